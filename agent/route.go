package agent

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/vipd/vipd/bgp"
	"github.com/vipd/vipd/config"
	"github.com/vipd/vipd/vip"
	"github.com/vipd/vipd/vrrp"
)

// routeLinger is how long the addresses stay after their routes were withdrawn: packets
// are under way, and routers take a moment.
const routeLinger = 500 * time.Millisecond

// keeper is that of the addresses of a route.
type keeper interface {
	Claim()
	Renew(token vrrp.Instant)
	Release()
}

// announcer tells the routers of routes. It never waits for them.
type announcer interface {
	Announce(bgp.Route)
	Renew(netip.Addr)
	Withdraw(netip.Addr)
}

// route runs a VIP of mode "bgp" in one address family. Its loop owns the machine: others
// talk to it by channel and read its published view.
type route struct {
	id      id
	clock   clock
	record  *recorder
	speaker announcer
	calls   chan func()
	done    chan struct{} // closed when the loop has ended

	mu   sync.Mutex
	view routeView

	// Owned by the loop.
	cfg      config.VIP
	drain    time.Duration
	addrs    []netip.Addr
	machine  *bgp.Machine
	keeper   keeper // nil: there is no interface
	iface    string
	renewAt  vrrp.Instant
	demotion demotion
	health   string
	leaving  bool
	ended    bool
}

// routeView is what the loop publishes.
type routeView struct {
	cfg       config.VIP
	state     vrrp.State
	standing  bgp.Standing
	since     vrrp.Instant
	cause     string
	holding   bool
	grade     vrrp.Grade
	hasReady  bool
	permitted bool
	iface     string
	claimErr  error
	blocked   error
}

func newRoute(i id, cfg config.VIP, drain time.Duration, hasReady bool, c clock, rec *recorder, to announcer) *route {
	r := &route{id: i, clock: c, record: rec, speaker: to, calls: make(chan func(), calling), done: make(chan struct{}), renewAt: vrrp.Never}
	r.take(cfg, drain)
	plan := r.plan()
	plan.HasBeenReady = hasReady
	r.machine = bgp.NewMachine(plan)
	r.view.since, r.view.cause = c.now(), "starting"
	r.publish()
	return r
}

func (r *route) take(cfg config.VIP, drain time.Duration) {
	r.cfg, r.drain, r.addrs = cfg, drain, ofFamily(cfg.Addresses, r.id.Family)
}

func (r *route) plan() bgp.Plan {
	return bgp.Plan{ReleaseOnDown: r.cfg.WhenDown == config.Release, Drain: r.drain, Linger: routeLinger}
}

// run is the loop. It ends when the route has been withdrawn for good, or at once with ctx.
func (r *route) run(ctx context.Context) {
	defer close(r.done)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for !r.ended {
		timer.Reset(r.until(min(r.machine.Deadline(), r.renewAt)))
		select {
		case f := <-r.calls:
			f()
		case <-timer.C:
			r.tick()
		case <-ctx.Done():
			return
		}
	}
}

func (r *route) until(deadline vrrp.Instant) time.Duration {
	if deadline == vrrp.Never {
		return time.Hour
	}
	return deadline.Sub(r.clock.now())
}

func (r *route) tick() {
	now := r.clock.now()
	if r.renewAt <= now {
		r.renew(now)
	}
	r.do(r.machine.Tick(now))
}

// renew extends the leases of the addresses and of the routes.
func (r *route) renew(now vrrp.Instant) {
	if !r.machine.Holding() || r.keeper == nil {
		r.renewAt = vrrp.Never
		return
	}
	r.keeper.Renew(now)
	for _, a := range r.addrs {
		r.speaker.Renew(a)
	}
	r.renewAt = nextRenewal(now)
}

// do carries out what the machine asks for.
func (r *route) do(effects []bgp.Effect) {
	for _, e := range effects {
		switch e.Kind {
		case bgp.Claim:
			r.keeper.Claim()
			r.renewAt = nextRenewal(r.clock.now())
		case bgp.Release:
			r.keeper.Release()
			r.renewAt = vrrp.Never
		case bgp.Announce:
			r.announce(e.Standing)
		case bgp.Withdraw:
			for _, a := range r.addrs {
				r.speaker.Withdraw(a)
			}
		case bgp.Stopped:
			r.ended = true
		}
	}
	r.tell()
}

func (r *route) announce(s bgp.Standing) {
	var rank uint8
	if !r.cfg.Spread {
		rank = vrrp.MaxPriority - r.cfg.Priority
	}
	for _, a := range r.addrs {
		r.speaker.Announce(bgp.Route{Addr: a, Standing: s, Rank: rank, Ranked: !r.cfg.Spread})
	}
}

// tell publishes what is so now, and records what has changed.
func (r *route) tell() {
	was := r.snapshot()
	now := r.publish()
	if was.state == now.state && was.standing == now.standing {
		return
	}
	cause := r.why(was)
	r.mu.Lock()
	r.view.cause = cause
	if was.state != now.state {
		r.view.since = r.clock.now()
	}
	r.mu.Unlock()
	r.record.announced(r.id, r.cfg, r.iface, was, now, cause)
}

// why says why the route is announced as it is, or not.
func (r *route) why(was routeView) string {
	switch {
	case r.keeper == nil:
		return "the interface is not usable"
	case r.leaving:
		return "the agent was stopped"
	case r.machine.Standing() != bgp.None && r.demotion == 0 && r.machine.Grade() == vrrp.Ready:
		return "ready"
	case !r.machine.Permitted():
		return "K3s is not running here: the addresses stay off until it is"
	case r.view.claimErr != nil:
		return "cannot put the addresses on the interface"
	case r.demotion != 0:
		return r.demotion.words()
	case was.state == vrrp.Initialize && r.machine.Standing() == bgp.None:
		return "started"
	}
	return r.health
}

func (r *route) publish() routeView {
	r.mu.Lock()
	defer r.mu.Unlock()
	v := &r.view
	v.cfg, v.standing, v.holding, v.grade = r.cfg, r.machine.Standing(), r.machine.Holding(), r.machine.Grade()
	v.hasReady, v.permitted, v.iface = r.machine.HasBeenReady(), r.machine.Permitted(), r.iface
	switch {
	case v.standing != bgp.None:
		v.state = vrrp.Active
	case r.keeper == nil || r.ended:
		v.state = vrrp.Initialize
	default:
		v.state = vrrp.Backup
	}
	return *v
}

func (r *route) snapshot() routeView {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.view
}

func (r *route) setBlocked(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.view.blocked = err
}

// call has the loop run f, unless it has ended.
func (r *route) call(f func()) {
	select {
	case r.calls <- f:
	case <-r.done:
	}
}

// wait has the loop run f and returns afterwards.
func (r *route) wait(f func()) {
	ran := make(chan struct{})
	r.call(func() { f(); close(ran) })
	select {
	case <-ran:
	case <-r.done:
	}
}

// attach gives the route an interface. It resumes with a standing if its predecessor had one.
func (r *route) attach(iface string, k keeper, resume bgp.Standing) {
	r.wait(func() {
		r.iface, r.keeper = iface, k
		if resume != bgp.None {
			r.do(r.machine.Resume(r.clock.now(), resume))
			return
		}
		r.do(r.machine.Start(r.clock.now()))
	})
}

// detach takes the interface away.
func (r *route) detach() {
	r.wait(func() {
		r.do(r.machine.Disable(r.clock.now()))
		r.keeper = nil
		r.tell()
	})
}

func (r *route) configure(cfg config.VIP, drain time.Duration) {
	r.wait(func() {
		r.take(cfg, drain)
		r.do(r.machine.Configure(r.clock.now(), r.plan()))
		if s := r.machine.Standing(); s != bgp.None {
			r.announce(s) // with another priority, perhaps
		}
	})
}

// stop has the route withdrawn and waits for it.
func (r *route) stop() {
	r.call(func() {
		r.leaving = true
		r.do(r.machine.Shutdown(r.clock.now()))
	})
	<-r.done
}

func (r *route) setVerdict(g vrrp.Grade, hold time.Duration, cause string) {
	r.health = cause
	r.do(r.machine.Verdict(r.clock.now(), g, hold))
}

func (r *route) setDemotion(why demotion, on bool) {
	r.demotion &^= why
	if on {
		r.demotion |= why
	}
	r.do(r.machine.Demote(r.clock.now(), r.demotion != 0))
}

func (r *route) permit(on, urgent bool) {
	r.do(r.machine.Permit(r.clock.now(), on))
	if urgent {
		r.do(r.machine.LetGo(r.clock.now()))
	}
}

// demote adds a reason to leave, or takes it away.
func (r *route) demote(why demotion, on bool) { r.call(func() { r.setDemotion(why, on) }) }

// lost is told that something took an address off.
func (r *route) lost() { r.call(func() { r.do(r.machine.Lost(r.clock.now())) }) }

// heldEvent is told by the holder's worker what became of an operation.
func (r *route) heldEvent(e vip.Event) {
	switch {
	case e.Op == vip.OpClaim:
		r.call(func() { r.claimed(e.Err) })
	case e.Op == vip.OpRenew && errors.Is(e.Err, vip.ErrGone):
		r.lost()
	case e.Err != nil:
		r.record.holderFailed(r.id, e)
	}
}

func (r *route) claimed(err error) {
	if err != nil && !r.machine.Holding() {
		return // it was released meanwhile
	}
	r.mu.Lock()
	was := r.view.claimErr
	r.view.claimErr = err
	r.mu.Unlock()
	if (err == nil) != (was == nil) {
		r.record.claimed(r.id, r.cfg, err)
	}
	r.do(r.machine.Claimed(r.clock.now(), err == nil))
}

// summary says in a few words what this node does for a VIP.
func (v routeView) summary(f vrrp.Family) string {
	addrs := ofFamily(v.cfg.Addresses, f)
	what := addrs[0].String()
	if n := len(addrs) - 1; n > 0 {
		what += fmt.Sprintf(" and %d more", n)
	}
	switch v.standing {
	case bgp.None:
		return "this node does not announce " + what
	case bgp.Ready:
		return "this node announces " + what
	}
	return "this node announces " + what + " as " + v.standing.String()
}
