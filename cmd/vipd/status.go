package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/vipd/vipd/agent/control"
)

// clearScreen moves to the upper left corner and clears what follows.
const clearScreen = "\x1b[H\x1b[2J"

func newStatus(p *paths) *cobra.Command {
	var asJSON, watch bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show who holds each VIP, and how fit the API server is",
		Example: `  vipd status
  vipd status --watch
  vipd status --json | jq -r '.routers[].state'`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			show := func(prefix string) error { return showStatus(cmd.Context(), cmd.OutOrStdout(), p, prefix, asJSON) }
			if !watch {
				return show("")
			}
			prefix := clearScreen
			if asJSON {
				prefix = ""
			}
			return repeat(cmd.Context(), time.Second, func() error { return show(prefix) })
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, as docs/control.md describes it")
	cmd.Flags().BoolVar(&watch, "watch", false, "show it anew every second")
	return cmd
}

func showStatus(ctx context.Context, w io.Writer, p *paths, prefix string, asJSON bool) error {
	ctx, cancel := context.WithTimeout(ctx, control.Timeout)
	defer cancel()
	s, err := control.NewClient(control.Socket(p.runtimeDir)).Status(ctx)
	if err != nil {
		return err
	}
	if asJSON {
		return json.NewEncoder(w).Encode(s)
	}
	if _, err := fmt.Fprint(w, prefix); err != nil {
		return err
	}
	return s.WriteText(w, time.Now())
}

// repeat calls f at once and then every so often, until ctx ends or f fails.
func repeat(ctx context.Context, every time.Duration, f func() error) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if err := f(); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}
