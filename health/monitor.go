package health

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vipd/vipd/vrrp"
)

// Options is what a Monitor works with. All of it may be left out.
type Options struct {
	// Report is told of each probe's result and of each change of the verdict,
	// by one goroutine at a time. It must not block.
	Report func(Update)

	// Probed is told of each probe, with the name of its check, by the same goroutine.
	// It must not block.
	Probed func(check string, r Result)

	// Logger gets a line for each change of grade.
	Logger *slog.Logger

	// WatchUnit tells f the state of a systemd unit, now and at each change, until
	// ctx ends or it fails. A unit that does not exist, or is not known at the
	// moment, is told as the zero Unit. Nil: there is no systemd.
	WatchUnit func(ctx context.Context, unit string, f func(Unit)) error
}

// Monitor probes the local API server and publishes the verdict.
type Monitor struct {
	opts    Options
	judge   *Judge // of Run's goroutine
	runners []*runner
	verdict atomic.Pointer[Verdict]

	results chan Result
	units   chan unitChange
}

type unitChange struct {
	check int
	unit  Unit
}

// New returns a Monitor that does nothing until Run. It fails if a check cannot
// be made into a probe.
func New(checks []Check, opts Options) (*Monitor, error) {
	if len(checks) == 0 {
		return nil, errors.New("no checks: use one of type none to be ready always")
	}
	for i, c := range checks {
		if err := c.validate(); err != nil {
			return nil, fmt.Errorf("check %d (%s): %w", i+1, c, err)
		}
	}
	if opts.Report == nil {
		opts.Report = func(Update) {}
	}
	if opts.Probed == nil {
		opts.Probed = func(string, Result) {}
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	m := &Monitor{
		opts:    opts,
		judge:   NewJudge(slices.Clone(checks)),
		results: make(chan Result),
		units:   make(chan unitChange),
	}
	for i, c := range checks {
		m.runners = append(m.runners, newRunner(i, c))
	}
	v := m.judge.verdict
	m.verdict.Store(&v)
	return m, nil
}

// Run probes until ctx ends, and returns when all of its probes have ended. What hangs
// in the kernel, a program or the reading of a file, is left behind. It can be called
// once. It returns nil.
func (m *Monitor) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	for _, r := range m.runners {
		wg.Go(func() { r.run(ctx, m.results) })
		if r.check.Unit != "" {
			wg.Go(func() { m.watch(ctx, r) })
		}
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case r := <-m.results:
			m.opts.Probed(m.runners[r.Check].name, r)
			m.publish(m.judge.Observe(time.Now(), r))
		case u := <-m.units:
			m.publish(m.judge.ObserveUnit(time.Now(), u.check, u.unit))
		}
	}
}

// ProbeNow begins a fresh probe of every check within 2 ms, beside those that are
// under way. It returns without waiting for the answers. Who calls within that time
// shares the probe.
func (m *Monitor) ProbeNow() {
	for _, r := range m.runners {
		r.refresh()
	}
}

// Verdict returns the latest verdict, at any time.
func (m *Monitor) Verdict() Verdict { return *m.verdict.Load() }

func (m *Monitor) publish(u Update) {
	was := m.verdict.Swap(&u.Verdict)
	if was.Grade != u.Verdict.Grade || was.Settled != u.Verdict.Settled {
		level := slog.LevelInfo
		if u.Verdict.Grade < vrrp.Ready {
			level = slog.LevelWarn
		}
		m.opts.Logger.Log(context.Background(), level, "verdict", "grade", u.Verdict.Grade.String(), "cause", u.Verdict.Cause)
	}
	m.opts.Report(u)
}

// watch follows the unit of a check until ctx ends.
func (m *Monitor) watch(ctx context.Context, r *runner) {
	told := func(u Unit) {
		if r.unit != nil {
			r.unit.told(u)
			r.wake()
			return
		}
		select {
		case m.units <- unitChange{check: r.index, unit: u}:
		case <-ctx.Done():
		}
	}
	err := errors.New("systemd is not there")
	if m.opts.WatchUnit != nil {
		err = m.opts.WatchUnit(ctx, r.check.Unit, told)
	}
	if err == nil || ctx.Err() != nil {
		return
	}
	if r.unit != nil {
		r.unit.failed(err)
		r.wake()
		return
	}
	m.opts.Logger.Info("unit is not watched, only the probe counts", "unit", r.check.Unit, "cause", err)
}
