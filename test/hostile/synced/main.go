// Synced is vipd run on a host whose clock is synchronised, which that of a machine
// that runs tests need not be.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"

	"github.com/vipd/vipd/agent"
	"github.com/vipd/vipd/systemd"
)

func main() {
	if err := run(os.Args[2:]); err != nil { // behind "run"
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	var o agent.Options
	fs := flag.NewFlagSet("run", flag.ExitOnError)
	fs.StringVar(&o.ConfigPath, "config", "", "vipd.toml")
	fs.StringVar(&o.RuntimeDir, "runtime-dir", "", "directory of the control socket")
	if err := fs.Parse(args); err != nil {
		return err
	}
	ctx, end := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer end()
	restart := make(chan os.Signal, 1)
	signal.Notify(restart, syscall.SIGUSR1)
	var restarting atomic.Bool
	go func() {
		<-restart
		restarting.Store(true)
		end()
	}()
	o.Version = "development" // as that of cmd/vipd where nobody gives it one
	o.Notifier = systemd.NewNotifier()
	o.Logger = slog.New(slog.NewTextHandler(os.Stderr, nil))
	o.Restarting = restarting.Load
	o.Synchronised = func(context.Context) error { return nil }
	return agent.Run(ctx, o)
}
