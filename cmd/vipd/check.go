package main

import (
	"fmt"
	"os"
	"slices"

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
			if err := readKeys(cfg.Auth); err != nil {
				return err
			}
			if err := readPasswords(cfg.BGP); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s is valid (VIPs: %d, checks: %d%s)\n", p.config, len(cfg.VIPs), len(cfg.Checks), hooks(cfg))
			return nil
		},
	}
}

// hooks says how many there are, if any.
func hooks(cfg *config.Config) string {
	if len(cfg.Hooks) == 0 {
		return ""
	}
	return fmt.Sprintf(", hooks: %d", len(cfg.Hooks))
}

// readKeys reads the keys that can be read here: systemd gives credentials to the
// unit alone.
func readKeys(auth *config.Auth) error {
	if auth == nil {
		return nil
	}
	here := *auth
	if os.Getenv("CREDENTIALS_DIRECTORY") == "" {
		here.Keys = slices.DeleteFunc(slices.Clone(auth.Keys), func(k config.Key) bool { return k.Credential != "" })
	}
	_, err := here.ReadKeys()
	return err
}

// readPasswords reads those of the BGP peers that can be read here.
func readPasswords(b *config.BGP) error {
	if b == nil {
		return nil
	}
	for _, p := range b.Peers {
		if p.Password.Credential != "" && os.Getenv("CREDENTIALS_DIRECTORY") == "" {
			continue
		}
		if _, err := p.ReadPassword(); err != nil {
			return err
		}
	}
	return nil
}
