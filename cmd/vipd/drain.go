package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/vipd/vipd/agent/control"
)

func newDrain(p *paths) *cobra.Command {
	var wait bool
	cmd := &cobra.Command{
		Use:   "drain",
		Short: "Have another node take over, before maintenance",
		Long: `Rank this node as down until "vipd resume" or a reboot. It goes on holding what it
holds until a better node takes over, so nothing is lost if there is none.`,
		Example: "  vipd drain --wait && systemctl restart k3s && vipd resume",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			res, err := control.NewClient(control.Socket(p.runtimeDir)).Drain(cmd.Context(), wait)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), res.Message)
			return err
		},
	}
	cmd.Flags().BoolVar(&wait, "wait", false, "return when another node holds the VIP, or when it is clear that none will")
	return cmd
}

func newResume(p *paths) *cobra.Command {
	return &cobra.Command{
		Use:   "resume",
		Short: "Undo drain",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), control.Timeout)
			defer cancel()
			res, err := control.NewClient(control.Socket(p.runtimeDir)).Resume(ctx)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), res.Message)
			return err
		},
	}
}
