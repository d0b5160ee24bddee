package main

import (
	"context"
	"encoding/json"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/vipd/vipd/agent/control"
	"github.com/vipd/vipd/screen"
)

func newStatus(p *paths) *cobra.Command {
	var asJSON, watch bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show who holds each VIP, and how fit the API server is",
		Long: `Show who holds each VIP since when, what this node ranks as and why, the other nodes
that were heard, and the last moves. A line that begins with "!" says what to mend.
Colours are for terminals alone, and not with NO_COLOR in the environment.`,
		Example: `  vipd status
  vipd status --watch
  vipd status --json | jq -r '.routers[].state'`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			out, write := statusFor(cmd.OutOrStdout(), asJSON)
			frame := func(ctx context.Context) (string, error) { return status(ctx, p, write) }
			if watch {
				return out.Watch(cmd.Context(), time.Second, frame)
			}
			text, err := frame(cmd.Context())
			if err != nil {
				return err
			}
			_, err = io.WriteString(cmd.OutOrStdout(), text)
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, as docs/control.md describes it")
	cmd.Flags().BoolVar(&watch, "watch", false, "show it anew every second, until Ctrl-C")
	return cmd
}

// statusFor returns where a status goes and how it is written there.
func statusFor(w io.Writer, asJSON bool) (*screen.Output, func(io.Writer, control.Status) error) {
	if asJSON {
		return screen.Pipe(w), func(w io.Writer, s control.Status) error { return json.NewEncoder(w).Encode(s) }
	}
	out := screen.For(w)
	return out, func(w io.Writer, s control.Status) error { return s.WriteText(w, time.Now(), paletteOf(out)) }
}

func paletteOf(out *screen.Output) control.Palette {
	if out.Color() {
		return control.Colored()
	}
	return control.Plain()
}

func status(ctx context.Context, p *paths, write func(io.Writer, control.Status) error) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, control.Timeout)
	defer cancel()
	s, err := control.NewClient(control.Socket(p.runtimeDir)).Status(ctx)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	err = write(&b, s)
	return b.String(), err
}
