package main

import (
	"context"
	"encoding/json"

	"github.com/spf13/cobra"

	"github.com/vipd/vipd/agent/control"
)

func newHistory(p *paths) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "history",
		Short:   "Show every change of state and its cause",
		Example: "  vipd history\n  vipd history --json",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), control.Timeout)
			defer cancel()
			events, err := control.NewClient(control.Socket(p.runtimeDir)).History(ctx)
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(events)
			}
			return control.WriteHistory(cmd.OutOrStdout(), events)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, as docs/control.md describes it")
	return cmd
}
