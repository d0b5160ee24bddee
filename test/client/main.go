// Command client is a client outside the cluster: it opens a new connection to
// an address every 2 ms and tells which node answered, or what went wrong. It
// prints a JSON line for each change of the node that answers and, at SIGTERM or
// SIGINT, a last one with the report.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/vipd/vipd/test/client/probe"
)

func main() {
	var c probe.Config
	c.Flags(flag.CommandLine)
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx, c); err != nil {
		fmt.Fprintln(os.Stderr, "client:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, c probe.Config) error {
	p, err := probe.New(c)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	out := json.NewEncoder(os.Stdout)
	report := p.Run(ctx, func(ch probe.Change) {
		if err := out.Encode(probe.Event{Change: &ch}); err != nil {
			// Nobody listens any more: there is no point in going on.
			cancel(err)
		}
	})
	if err := out.Encode(probe.Event{Report: &report}); err != nil {
		return fmt.Errorf("print report: %w", err)
	}
	return nil
}
