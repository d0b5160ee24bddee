package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/vipd/vipd/config"
)

func newCheck(p *paths) *cobra.Command {
	return &cobra.Command{
		Use:     "check",
		Short:   "Validate the configuration",
		Long:    "Validate the configuration without starting anything. Exits 1 if the agent would refuse it.",
		Example: "  vipd check --config ./vipd.toml",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.Load(p.config)
			if err != nil {
				return err
			}
			if cfg.Auth != nil {
				if _, err := cfg.Auth.ReadKeys(); err != nil {
					return err
				}
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s is valid (VIPs: %d, checks: %d)\n", p.config, len(cfg.VIPs), len(cfg.Checks))
			return nil
		},
	}
}
