package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/vipd/vipd/agent/control"
	"github.com/vipd/vipd/screen"
)

func newHistory(p *paths) *cobra.Command {
	var asJSON bool
	var f control.Filter
	var since string
	cmd := &cobra.Command{
		Use:   "history",
		Short: "Show every change of state and its cause",
		Long: `Show every change of state and of grade with its cause, the last 1000 since the host
started, restarts and crashes of the agent included. A gap is how long before this
node's first advertisement the last one was that it knows of.`,
		Example: `  vipd history --since 2h
  vipd history --since 03:15 --vip k3s
  vipd history -n 20
  vipd history --json | jq -r '.[] | select(.gap) | [.time, .vip, .gap] | @tsv'`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := readFilter(&f, since); err != nil {
				return usageError{err}
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), control.Timeout)
			defer cancel()
			events, err := control.NewClient(control.Socket(p.runtimeDir)).History(ctx)
			if err != nil {
				return err
			}
			if events, err = f.Apply(events); err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(events)
			}
			return control.WriteHistory(cmd.OutOrStdout(), events, paletteOf(screen.For(cmd.OutOrStdout())))
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, as docs/control.md describes it")
	cmd.Flags().Var(filled{&f.VIP}, "vip", "only what concerns the VIP with this `name`, or the whole node")
	cmd.Flags().Var(filled{&since}, "since", "only what happened since this `time`: 2h or 3d ago, 03:15, \"2026-03-01 03:15\"")
	cmd.Flags().VarP(number[int]{&f.Last, 1, most}, "last", "n", "only the last so many, a `number`")
	return cmd
}

func readFilter(f *control.Filter, since string) error {
	if since == "" {
		return nil
	}
	var err error
	if f.Since, err = control.ParseSince(since, time.Now()); err != nil {
		return fmt.Errorf("--since %s is not a time: %w", quoted(since), err)
	}
	return nil
}
