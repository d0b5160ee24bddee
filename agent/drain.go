package agent

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/vipd/vipd/agent/control"
	"github.com/vipd/vipd/health"
	"github.com/vipd/vipd/vrrp"
)

// drainExtra is what a drain that is waited for allows a Backup beside its
// timers: a fresh probe of its API server.
const drainExtra = 2 * time.Second

// Drain implements [control.Handler].
func (a *Agent) Drain(ctx context.Context, o control.DrainOptions) (control.Result, error) {
	words := "drained: this node ranks as down until vipd resume or a reboot"
	if o.UntilReady {
		words = handoverWords
		a.setHandover(true)
	} else {
		a.setDrained(true)
	}
	if !o.Wait {
		return control.Result{Message: words}, nil
	}
	return a.awaitHandover(ctx)
}

// awaitHandover returns once this node holds nothing, or when a Backup that was
// better would have taken over.
func (a *Agent) awaitHandover(ctx context.Context) (control.Result, error) {
	limit := drainExtra
	for _, p := range a.all() {
		limit = max(limit, 4*p.router.snapshot().cfg.AdvertInterval+drainExtra)
	}
	limit += a.leaveTime()
	over := time.NewTimer(limit)
	defer over.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if !a.holds() {
			return control.Result{Message: "drained: this node holds no VIP", Moved: true}, nil
		}
		select {
		case <-tick.C:
		case <-over.C:
			return control.Result{Message: "drained, but no better node is there: this one goes on holding"}, nil
		case <-ctx.Done():
			return control.Result{}, fmt.Errorf("drained, but the wait was cut short: %w", ctx.Err())
		}
	}
}

func (a *Agent) holds() bool {
	for _, p := range a.all() {
		if v := p.router.snapshot(); v.holding || v.state == vrrp.Active {
			return true
		}
	}
	for _, r := range a.routes() {
		if v := r.snapshot(); v.holding || v.state == vrrp.Active {
			return true
		}
	}
	return false
}

// leaveTime is how long routes take to be withdrawn.
func (a *Agent) leaveTime() time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.routing == nil || a.cfg.BGP == nil {
		return 0
	}
	return a.cfg.BGP.DrainDelay + routeLinger
}

// Resume implements [control.Handler].
func (a *Agent) Resume(_ context.Context, o control.ResumeOptions) (control.Result, error) {
	a.setHandover(false)
	if o.UntilReady {
		return control.Result{Message: "resumed; a drain by the operator stays"}, nil
	}
	a.setDrained(false)
	return control.Result{Message: "resumed"}, nil
}

func (a *Agent) setDrained(on bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.drained == on {
		return
	}
	a.drained = on
	for _, p := range a.routers {
		p.router.demote(drained, on)
	}
	for _, r := range a.routes() {
		r.demote(drained, on)
	}
	words := "drained by the operator"
	if !on {
		words = "resumed by the operator"
	}
	a.record.drain(words)
}

// handover is a drain that precedes a stop of K3s. It goes by what is seen of K3s,
// and so needs no command to end it.
type handover struct{ phase atomic.Int32 }

// handoverWords are for whoever asks, and what to do if K3s is not stopped after all.
const handoverWords = "drained: this node ranks as down until K3s was stopped and is ready again; vipd resume ends it sooner"

// Phases of a handover.
const (
	noHandover   int32 = iota
	beforeStop         // K3s still runs
	untilStarted       // it was seen not to be ready
)

func (h *handover) on() bool { return h.phase.Load() != noHandover }

// begin and end report whether that changed anything.
func (h *handover) begin() bool { return h.phase.CompareAndSwap(noHandover, beforeStop) }
func (h *handover) end() bool   { return h.phase.Swap(noHandover) != noHandover }

// observe follows K3s, and reports whether it is back.
func (h *handover) observe(v health.Verdict, u health.Unit) bool {
	if !h.on() || !v.Settled {
		return false
	}
	runs := u.ActiveState == "" || u.ActiveState == "active" && !u.Dead
	if v.Grade != vrrp.Ready || !runs {
		h.phase.CompareAndSwap(beforeStop, untilStarted)
		return false
	}
	return h.phase.CompareAndSwap(untilStarted, noHandover)
}

// away reports whether K3s has no main process.
func away(u *health.Unit) bool {
	return u != nil && u.ActiveState != "" && (u.MainPID == 0 || u.Dead)
}

func (a *Agent) setHandover(on bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	// Not for sure because K3s is back: its start may have failed, and the operator may
	// have ended it.
	changed, words := a.handover.end, "the drain for a stop of K3s is over"
	if on {
		if away(a.unit.Load()) {
			return // a restart after a failure: the node ranks as down already
		}
		changed, words = a.handover.begin, "handing over: K3s is about to be stopped"
	}
	if !changed() {
		return
	}
	for _, p := range a.routers {
		a.tellStopping(p.router)
	}
	for _, r := range a.routes() {
		a.tellStopping(r)
	}
	a.record.drain(words)
}
