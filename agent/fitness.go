package agent

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/vipd/vipd/config"
	"github.com/vipd/vipd/health"
	"github.com/vipd/vipd/systemd"
	"github.com/vipd/vipd/vrrp"
)

// startMonitor begins to probe as the configuration says, in place of the
// monitor that runs. Until the new one knows enough, the old verdict holds.
func (a *Agent) startMonitor(cfg *config.Config) error {
	opts := health.Options{Report: a.report, Probed: a.probed.observe}
	if a.opts.Units != nil {
		opts.WatchUnit = a.watchUnit
	}
	m, err := health.New(checks(cfg), opts)
	if err != nil {
		return fmt.Errorf("set up the health checks: %w", err)
	}
	if a.stopMon != nil {
		a.stopMon() // first: its last word must not come after the new one's first
	}
	ctx, cancel := context.WithCancel(a.ctx)
	ended := make(chan struct{})
	a.stopMon = func() { cancel(); <-ended }
	a.monitor.Store(m)
	a.spawn(func() error { defer close(ended); return m.Run(ctx) })
	return nil
}

func checks(cfg *config.Config) []health.Check {
	var out []health.Check
	for _, c := range cfg.Checks {
		out = append(out, health.Check{
			Type: string(c.Type), Interval: c.Interval, Timeout: c.Timeout, Fall: c.Fall, Rise: c.Rise,
			URL: c.URL, DataDir: c.DataDir, ReadyTimeout: c.ReadyTimeout, Unit: c.Unit,
			CAFile: c.CAFile, CertFile: c.CertFile, KeyFile: c.KeyFile,
			InsecureSkipVerify: c.InsecureSkipVerify, ExpectStatus: c.ExpectStatus,
			Address: c.Address, Command: c.Command,
		})
	}
	return out
}

// watchUnit lets the monitor watch a unit of systemd.
func (a *Agent) watchUnit(ctx context.Context, unit string, f func(health.Unit)) error {
	return a.opts.Units.Watch(ctx, unit, func(s systemd.State) {
		if s.LoadState == "not-found" || (!s.Known && !s.Dead) {
			f(health.Unit{})
			return
		}
		f(health.Unit{ActiveState: s.ActiveState, SubState: s.SubState, MainPID: s.MainPID, Dead: s.Dead, Exit: s.Exit})
	})
}

func (a *Agent) probeNow() { a.monitor.Load().ProbeNow() }

// report is the monitor's: it passes on what has changed, and the evidence.
func (a *Agent) report(u health.Update) {
	old := a.verdict.Load()
	changed := u.Verdict.Settled && (old == nil || old.Grade != u.Verdict.Grade || old.Hold != u.Verdict.Hold || old.Cause != u.Verdict.Cause)
	unitChanged := a.unit.Load() == nil || *a.unit.Load() != u.Unit
	a.unit.Store(&u.Unit) // before the verdict, which means less while K3s is being stopped
	if changed {
		a.verdict.Store(&u.Verdict)
		if u.Verdict.Grade == vrrp.Ready {
			a.ready.Store(true)
		}
		a.recordVerdict(old, u.Verdict)
	}
	if a.handover.observe(u.Verdict, u.Unit) {
		unitChanged = true // as far as the routers go
		a.record.drain("K3s is ready again: this node takes part again")
	}
	tell := func(r ranked) {
		if changed || unitChanged {
			a.tellVerdict(r) // first: a unit that has ended gives the rank back to the verdict
		}
		if unitChanged {
			a.tellUnit(r)
		}
	}
	for _, r := range a.routes() {
		tell(r)
	}
	for _, r := range *a.live.Load() {
		tell(r)
		if !u.Began.IsZero() {
			r.post(vrrp.Observed(u.Observed, a.clock.at(u.Began)))
		}
	}
}

func (a *Agent) recordVerdict(old *health.Verdict, v health.Verdict) {
	from := vrrp.Grade(0)
	if old != nil {
		from = old.Grade
	}
	if from != v.Grade {
		a.record.health(from, v.Grade, v.Cause)
	}
}

// ranked is what is told how fit this node is: a router or a route.
type ranked interface {
	call(f func())
	setVerdict(g vrrp.Grade, hold time.Duration, cause string)
	setDemotion(why demotion, on bool)
	permit(on, urgent bool) // urgent: if not, the addresses must be off now
}

// acquaint tells a new router what is known of the API server.
func (a *Agent) acquaint(r ranked) {
	if a.unit.Load() != nil {
		a.tellUnit(r)
	}
	a.tellStopping(r)
	a.tellVerdict(r)
}

// tellVerdict passes the verdict on. While K3s is being stopped it ranks the node
// as down without being a reason to leave: it holds until another takes over.
func (a *Agent) tellVerdict(r ranked) {
	r.call(func() {
		v := a.verdict.Load() // here, so that the last word counts whoever was quicker to say it
		if v == nil {
			return
		}
		if u := a.unit.Load(); u != nil && u.ActiveState == "deactivating" && !u.Dead {
			return
		}
		r.setVerdict(v.Grade, v.Hold, v.Cause)
	})
}

// tellUnit keeps the addresses off the interface while K3s may be choosing its
// node address from it.
func (a *Agent) tellUnit(r ranked) {
	r.call(func() {
		u := *a.unit.Load()
		known := u.ActiveState != ""
		absent := u.MainPID == 0 || u.Dead || u.ActiveState == "activating"
		r.permit(!known || !absent, starting(u))
	})
	a.tellStopping(r)
}

// starting reports whether K3s is about to look at the interface, or does so now.
// Between its end and its next start there is time for a successor.
func starting(u health.Unit) bool {
	return u.ActiveState == "activating" && !strings.HasPrefix(u.SubState, "auto-restart")
}

// tellStopping ranks the node as down while K3s stops, and from a handover before
// that until it is ready again.
func (a *Agent) tellStopping(r ranked) {
	r.call(func() {
		u := a.unit.Load()
		r.setDemotion(preparing, a.handover.on())
		r.setDemotion(stopping, u != nil && u.ActiveState == "deactivating")
	})
}
