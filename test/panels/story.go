package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/vipd/vipd/test/cluster"
	"github.com/vipd/vipd/test/lab"
)

// event is something that is done to the cluster.
type event struct {
	after time.Duration // what is before it
	what  string
	do    func(ctx context.Context, c *cluster.Cluster) error
}

// story is what the panels show: failovers, and a datastore that is lost.
func story() []event {
	everywhere := func(mode string) func(context.Context, *cluster.Cluster) error {
		return func(ctx context.Context, c *cluster.Cluster) error {
			var errs []error
			for _, s := range c.Servers {
				errs = append(errs, s.SetAPI(ctx, mode))
			}
			return errors.Join(errs...)
		}
	}
	return []event{
		{15 * time.Second, "API server of node1 killed", func(_ context.Context, c *cluster.Cluster) error { return c.Servers[0].SignalAPI(syscall.SIGKILL) }},
		{15 * time.Second, "started again", func(_ context.Context, c *cluster.Cluster) error { return c.Servers[0].StartAPI("ready") }},
		{20 * time.Second, "datastore lost everywhere", everywhere("etcd-lost")},
		{20 * time.Second, "back", everywhere("ready")},
		{15 * time.Second, "node1 without power", func(_ context.Context, c *cluster.Cluster) error { return c.Servers[0].Die() }},
		{15 * time.Second, "back", func(_ context.Context, c *cluster.Cluster) error { return c.Servers[0].Revive() }},
		{20 * time.Second, "", nil},
	}
}

// record plays the story and returns what the panels show of it.
func record(ctx context.Context, logPath string) (r *recording, err error) {
	panels, err := readDashboard(dashboardPath, keyPanels())
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "vipd-panels-")
	if err != nil {
		return nil, fmt.Errorf("make a directory: %w", err)
	}
	defer os.RemoveAll(dir)
	log := io.Writer(io.Discard)
	if logPath != "" {
		f, err := os.Create(logPath)
		if err != nil {
			return nil, fmt.Errorf("open the log: %w", err)
		}
		defer f.Close()
		log = f
	}
	s, err := newStage(ctx, dir, log)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	return s.play(ctx, panels)
}

// stage is a cluster with a Prometheus.
type stage struct {
	lab        *lab.Lab
	cluster    *cluster.Cluster
	prometheus *prometheus
	stop       context.CancelFunc
	relayed    chan error
}

// newStage starts everything, and waits until a server holds the VIP.
func newStage(ctx context.Context, dir string, log io.Writer) (s *stage, err error) {
	bin, err := cluster.Build(dir)
	if err != nil {
		return nil, err
	}
	s = &stage{}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if s.lab, err = lab.New(); err != nil {
		return s, err
	}
	config := func(s *cluster.Server) string {
		return cluster.DefaultConfig(s) + fmt.Sprintf("[metrics]\nlisten = \"unix:%s\"\n", metricsSocket(s))
	}
	if s.cluster, err = cluster.New(s.lab, cluster.Options{Binaries: bin, Dir: dir, Servers: 3, Config: config, Launcher: cluster.RealTime(), Log: log}); err != nil {
		return s, err
	}
	relay, err := newRelay(s.cluster.Servers)
	if err != nil {
		return s, err
	}
	relaying, stop := context.WithCancel(ctx)
	s.stop, s.relayed = stop, make(chan error, 1)
	go func() { s.relayed <- relay.run(relaying) }()
	limited, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err = s.cluster.Start(limited); err != nil {
		return s, err
	}
	s.prometheus, err = startPrometheus(ctx, dir, relay, log)
	return s, err
}

func (s *stage) close() error {
	var errs []error
	if s.prometheus != nil {
		errs = append(errs, s.prometheus.end())
	}
	if s.stop != nil {
		s.stop()
		errs = append(errs, <-s.relayed)
	}
	if s.cluster != nil {
		errs = append(errs, s.cluster.Close())
	}
	if s.lab != nil {
		errs = append(errs, s.lab.Close())
	}
	return errors.Join(errs...)
}

// play makes the story happen, and asks what the panels ask.
func (s *stage) play(ctx context.Context, panels []panel) (*recording, error) {
	r := &recording{When: time.Now().UTC().Format(time.DateOnly), Tool: s.prometheus.version}
	if err := pause(ctx, 10*step); err != nil { // for the first rates
		return nil, err
	}
	began := time.Now()
	for _, e := range story() {
		if err := pause(ctx, e.after); err != nil {
			return nil, err
		}
		if e.do == nil {
			continue
		}
		r.Marks = append(r.Marks, mark{At: time.Since(began).Round(100 * time.Millisecond).Seconds(), What: e.what})
		if err := e.do(ctx, s.cluster); err != nil {
			return nil, fmt.Errorf("%s: %w", e.what, err)
		}
	}
	r.Length = time.Since(began).Round(step).Seconds()
	if err := s.wasSeen(ctx, began); err != nil {
		return nil, err
	}
	for _, p := range panels {
		view, err := s.look(ctx, began, time.Now(), p)
		if err != nil {
			return nil, err
		}
		r.Panels = append(r.Panels, view)
	}
	return r, nil
}

// wasSeen returns an error if the machine was too busy for the pictures to tell anything
// of vipd: if more than a few scrapes failed of the servers that lived all the time.
func (s *stage) wasSeen(ctx context.Context, began time.Time) error {
	const few = 3
	lines, err := s.prometheus.between(ctx, began, time.Now(), target{Expr: `up{instance!="node1"} == 0`})
	if err != nil {
		return err
	}
	failed := 0
	for _, l := range lines {
		failed += len(l.Points)
	}
	if failed > few {
		return fmt.Errorf("%d scrapes of living servers failed: the machine is too busy", failed)
	}
	return nil
}

func (s *stage) look(ctx context.Context, from, to time.Time, p panel) (shown, error) {
	out := shown{Title: p.Title, Type: p.Type, Unit: p.Field.Defaults.Unit, Looks: p.looks()}
	for _, t := range p.Targets {
		lines, err := s.prometheus.between(ctx, from, to, t)
		if err != nil {
			return out, err
		}
		out.Asked = append(out.Asked, t.Expr)
		slices.SortFunc(lines, func(a, b line) int { return cmp.Compare(a.Name, b.Name) })
		out.Series = append(out.Series, lines...)
	}
	return out, nil
}

// pause lets time pass in the story.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
