package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/vipd/vipd/agent/control"
)

// longestReload is beyond the minute that a handover of what was removed may take.
const longestReload = 2 * time.Minute

func newReload(p *paths) *cobra.Command {
	return &cobra.Command{
		Use:   "reload",
		Short: "Have the agent read its configuration again",
		Long: `Have the agent read its configuration again and apply what has changed. VIPs that
did not change do not notice. A bad file changes nothing, and the command exits 1.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), longestReload)
			defer cancel()
			res, err := control.NewClient(control.Socket(p.runtimeDir)).Reload(ctx)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), res.Message)
			return err
		},
	}
}
