package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/vipd/vipd/agent"
)

func newRelease(p *paths) *cobra.Command {
	return &cobra.Command{
		Use:   "release",
		Short: "Take leftover VIPs off this host",
		Long: `Take the configured VIPs off this host, after the agent has died, and tell the other
nodes if it held them: until one of them has taken over, for at most 1.5 s, the VIPs
stay. vipd.service runs this command when the agent has ended. While
the agent runs it puts them back: use "vipd drain" to move a VIP.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			done, err := agent.Release(cmd.Context(), p.config, p.runtimeDir)
			for _, line := range done {
				fmt.Fprintln(cmd.OutOrStdout(), line)
			}
			return err
		},
	}
}
