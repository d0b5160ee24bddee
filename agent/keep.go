package agent

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/vipd/vipd/systemd"
	"github.com/vipd/vipd/vrrp"
)

// saveEvery is how often the state is saved without a change.
const saveEvery = time.Minute

// changed is called when something was recorded: systemd's status line and the
// saved state follow.
func (a *Agent) changed() {
	a.tellStatus()
	select {
	case a.save <- struct{}{}:
	default:
	}
}

// tellStatus gives systemd the line that systemctl status shows, if it is a new one.
func (a *Agent) tellStatus() {
	line := a.summary()
	if old := a.told.Swap(&line); old != nil && *old == line {
		return
	}
	a.notify("status", a.opts.Notifier.Status(line))
}

// summary says in one line who holds what.
func (a *Agent) summary() string {
	var parts []string
	for _, r := range *a.live.Load() {
		if len(parts) == 8 {
			parts = append(parts, "...")
			break
		}
		parts = append(parts, r.id.VIP+": "+a.holder(r.snapshot(), r.id.Family))
	}
	for _, r := range a.routes() {
		if len(parts) < 8 {
			parts = append(parts, r.id.VIP+": "+r.snapshot().summary(r.id.Family))
		}
	}
	if v := a.verdict.Load(); v == nil {
		parts = append(parts, "API server not known yet")
	} else {
		parts = append(parts, "API server "+v.Grade.String())
	}
	return strings.Join(parts, "; ")
}

// holder says who has the addresses, as far as this node knows.
func (a *Agent) holder(v view, f vrrp.Family) string {
	addrs := ofFamily(v.cfg.Addresses, f)
	what := addrs[0].String()
	if n := len(addrs) - 1; n > 0 {
		what += fmt.Sprintf(" and %d more", n)
	}
	switch {
	case v.state == vrrp.Active && v.holding:
		return "this node holds " + what
	case v.state == vrrp.Active:
		return "this node is Active, without " + what
	case v.state == vrrp.Initialize:
		return "this node takes no part in " + what
	case a.follows(v):
		return v.heard.Src.String() + " holds " + what
	}
	return "nobody is known to hold " + what
}

// follows reports whether a Backup knows of an Active.
func (a *Agent) follows(v view) bool {
	return v.state == vrrp.Backup && v.heard.Src.IsValid() && a.clock.now().Sub(v.heard.At) < 4*v.interval
}

// saver writes the state for a successor.
func (a *Agent) saver(ctx context.Context) {
	tick := time.NewTicker(saveEvery)
	defer tick.Stop()
	for {
		select {
		case <-a.save:
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if err := a.saveState(false); err != nil {
			a.record.failed("a restarted agent would start afresh", err)
		}
	}
}

func (a *Agent) saveState(restarting bool) error {
	s := state{
		BootID: a.state.BootID, HasBeenReady: a.ready.Load(), Restarting: restarting,
		Grade: a.state.Grade, Saved: a.clock.now(), Routers: make(map[string]savedState),
	}
	if v := a.verdict.Load(); v != nil {
		s.Grade = v.Grade
	}
	a.mu.Lock()
	s.Drained = a.drained
	if a.auth != nil {
		s.Auth = a.auth.cfg
	}
	a.guard(&s)
	for i, p := range a.routers {
		v := p.router.snapshot()
		saved := savedState{State: v.state.String(), Interface: v.iface, VRID: v.cfg.VRID, Source: v.src.String(), SentAt: v.sentAt, Interval: v.cfg.AdvertInterval,
			Peers: v.cfg.Peers, Checksum: v.cfg.Checksum, VirtualMAC: v.cfg.VirtualMAC}
		for _, x := range ofFamily(v.cfg.Addresses, i.Family) {
			saved.Addresses = append(saved.Addresses, x.String())
		}
		s.Routers[i.String()] = saved
	}
	s.Routes, s.Sessions, s.RouterID = a.savedRoutes(), a.sessions, a.state.RouterID
	a.mu.Unlock()
	return a.write(s, restarting)
}

// guard notes in s what guards against replays. The caller holds a.mu.
func (a *Agent) guard(s *state) {
	s.Marks, s.Sequences = maps.Clone(a.state.Marks), maps.Clone(a.state.Sequences) // also of those that have heard nobody yet
	for _, p := range a.routers {
		s.note(p.router)
	}
	s.ClockAhead = a.clock.day.known()
}

// forgetState leaves only what is to survive a stop: whether the node is drained, and
// what guards against replays.
func (a *Agent) forgetState() {
	a.mu.Lock()
	s := state{BootID: a.state.BootID, Drained: a.drained, Saved: a.clock.now()}
	a.guard(&s)
	a.mu.Unlock()
	if err := a.write(s, true); err != nil {
		a.record.failed("save the state", err)
	}
}

// write saves s, unless the agent's last word was saved already: the saver may
// still be at work then.
func (a *Agent) write(s state, last bool) error {
	a.saving.Lock()
	defer a.saving.Unlock()
	if a.sealed {
		return nil
	}
	a.sealed = last
	return s.save(a.opts.RuntimeDir)
}

// watchdog tells systemd that the agent lives as long as every router's loop
// answers: a stuck one starves it.
func (a *Agent) watchdog(ctx context.Context) error {
	every, err := systemd.WatchdogInterval()
	if err != nil || every == 0 {
		return err
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		for _, r := range *a.live.Load() {
			r.wait(func() {})
		}
		for _, r := range a.routes() {
			r.wait(func() {})
		}
		a.notify("watchdog", a.opts.Notifier.Watchdog())
		a.tellStatus() // a Backup is told of no event when its Active changes
	}
}
