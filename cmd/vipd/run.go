package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/vipd/vipd/agent"
	"github.com/vipd/vipd/agent/control"
	"github.com/vipd/vipd/systemd"
)

// jobTimeout bounds the question to systemd whether a stop is a restart.
const jobTimeout = time.Second

func newRun(p *paths) *cobra.Command {
	var debug bool
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run the agent in the foreground",
		Long: `Run the agent in the foreground. vipd.service runs this command.

Signals:
  SIGTERM, SIGINT  hand over to another node and end
  SIGUSR1          end, but leave the VIPs to the agent that is started next, within
                   3 advert intervals; systemctl restart needs no such signal
  SIGHUP           reload the configuration

Exits 78 if the configuration is bad.`,
		Example: `  vipd run
  vipd run --config ./vipd.toml --runtime-dir ./run`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			level := slog.LevelInfo
			if debug {
				level = slog.LevelDebug
			}
			log := slog.New(systemd.NewLogHandler(os.Stderr, level))
			defer beFrugal()()
			inherited := systemd.Inherited()
			if err := systemd.LockMemory(); err != nil {
				log.Debug("the agent's memory is not locked", "error", err)
			}
			ctx, end := context.WithCancel(cmd.Context())
			defer end()
			units := systemd.NewUnits()
			s := &signals{paths: p, log: log, end: end}
			s.handle(ctx)
			notifier := systemd.NewNotifier()
			err := agent.Run(ctx, agent.Options{
				ConfigPath: p.config, RuntimeDir: p.runtimeDir, Version: version, Logger: log,
				Notifier: notifier, Units: units, Inherited: inherited,
				Restarting: func() bool { return s.restart.Load() || restartJob(units, log) },
			})
			if err != nil {
				// For systemctl status. Whether or not that gets through, err is said below.
				_ = notifier.Status(err.Error())
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&debug, "debug", false, "log more")
	return cmd
}

// signals acts on the signals that do not simply end the agent.
type signals struct {
	paths   *paths
	log     *slog.Logger
	end     context.CancelFunc
	restart atomic.Bool
}

// handle acts on the signals until ctx ends. From then on they do nothing, for as long
// as the process lives: they must not cut a hand-over short. They are never given back
// to the system, whose answer is death: one that was sent long before may arrive only
// after that, at another thread than the one that gave them back.
func (s *signals) handle(ctx context.Context) {
	reload, restart := make(chan os.Signal, 1), make(chan os.Signal, 1)
	signal.Notify(reload, syscall.SIGHUP)
	signal.Notify(restart, syscall.SIGUSR1)
	go s.awaitRestart(ctx, restart) // apart, for a reload may take its time
	go s.awaitReload(ctx, reload)
}

func (s *signals) awaitRestart(ctx context.Context, c <-chan os.Signal) {
	select {
	case <-c:
		s.restart.Store(true)
		s.end()
	case <-ctx.Done():
	}
}

func (s *signals) awaitReload(ctx context.Context, c <-chan os.Signal) {
	for {
		select {
		case <-c:
			s.reload(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// reload is the same as vipd reload.
func (s *signals) reload(ctx context.Context) {
	if _, err := control.NewClient(control.Socket(s.paths.runtimeDir)).Reload(ctx); err != nil {
		s.log.Error("the configuration was not reloaded", "error", err)
	}
}

// restartJob reports whether systemd stops the agent in order to start it again.
func restartJob(units *systemd.Units, log *slog.Logger) bool {
	unit := systemd.Own()
	if unit == "" {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), jobTimeout)
	defer cancel()
	job, err := units.Job(ctx, unit)
	if err != nil {
		log.Warn("cannot tell whether this is a restart: handing over", "error", err)
		return false
	}
	return job == "restart"
}
