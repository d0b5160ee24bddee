package agent

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vipd/vipd/config"
	"github.com/vipd/vipd/vip"
	"github.com/vipd/vipd/vrrp"
)

const (
	// renewEvery is how often the lease of claimed addresses is renewed, by all
	// routers at the same moments: many in a row cost little more than one.
	renewEvery = 500 * time.Millisecond
	// overslept is how late the loop may wake before it looks at what arrived
	// meanwhile: a stalled Active has to learn of its successor, not fight it.
	overslept = 5 * time.Millisecond
	// recently is how long ago another router of the segment may have found nothing in
	// the socket that they share, so that this one, which is late, need not look.
	recently = time.Millisecond
	// claimRetry is how long a claim that failed waits for the next try.
	claimRetry = time.Second
	// A node that could not put the addresses on the interface ranks as down for
	// a while that doubles with each failure, or it would take them again and again.
	minPause, maxPause = 10 * time.Second, 5 * time.Minute
	// checkGap is the least time between two looks for another station that has
	// the addresses.
	checkGap = 5 * time.Second
	// queued bounds the advertisements that wait for the loop.
	queued = 16
	// calling bounds what others have asked of the loop.
	calling = 64
)

// id names a virtual router of this agent.
type id struct {
	VIP    string
	Family vrrp.Family
}

func (i id) String() string { return i.VIP + "/" + i.Family.String() }

func (i id) compare(o id) int {
	return cmp.Or(strings.Compare(i.VIP, o.VIP), cmp.Compare(i.Family, o.Family))
}

// link is what a router needs of the network, while it has it. The interfaces
// are those of vip.Holder and transport.Sender.
type link struct {
	iface  string
	src    netip.Addr
	holder holder
	sender sender
	drain  func(since vrrp.Instant) // deliver what the socket has queued, unless it was empty since
	check  func()                   // look for another station that has the addresses
}

type holder interface {
	Claim()
	Renew(token vrrp.Instant)
	Release()
	Announce()
	Hush()
}

type sender interface {
	Send(src, dst netip.Addr, payload []byte) error
}

// router runs one virtual router. Its loop owns the state machine: others talk
// to it by channel and read its published view.
type router struct {
	id     id
	clock  clock
	record *recorder
	probe  func() // begin a fresh probe of the API server

	adverts chan vrrp.Advert
	calls   chan func()
	done    chan struct{} // closed when the loop has ended

	auth      atomic.Pointer[auth]
	inspector atomic.Pointer[vrrp.Inspector]
	marks     map[netip.Addr]uint64 // of the peers' signatures, before a restart
	sequence  vrrp.Sequence         // of our own
	counters  vrrp.Counters
	sent      [2]atomic.Uint64 // advertisements, and those of priority 0
	dropped   atomic.Uint64    // advertisements for which there was no room
	told      notices
	claims    notices // of the addresses, by others: what else is told must not crowd them out
	peers     peers
	meter     *meter

	mu   sync.Mutex
	view view

	// Owned by the loop.
	cfg       config.VIP
	addrs     []netip.Addr
	signer    *vrrp.Signer
	machine   *vrrp.Machine
	link      *link
	packet    vrrp.Packet
	buf       []byte
	renewAt   vrrp.Instant
	retryAt   vrrp.Instant  // next try of a claim that failed
	pause     time.Duration // how long the last failure ranks the node as down
	pauseEnds vrrp.Instant
	checkedAt vrrp.Instant
	suspects  suspects
	changes   []move       // of this step, still to be told
	lastSent  vrrp.Instant // its last advertisement; 0: none since it has the network
	inherited vrrp.Instant // that of its predecessor
	demotion  demotion
	health    string // why the API server is not ready
	ended     bool
}

func newRouter(i id, cfg config.VIP, a *auth, hasReady bool, c clock, rec *recorder, probe func()) *router {
	r := &router{
		id: i, clock: c, record: rec, probe: probe,
		adverts: make(chan vrrp.Advert, queued), calls: make(chan func(), calling), done: make(chan struct{}), meter: newMeter(),
		renewAt: vrrp.Never, retryAt: vrrp.Never, pauseEnds: vrrp.Never, suspects: suspects{judgeAt: vrrp.Never},
	}
	r.view.since, r.view.cause = c.now(), "starting"
	r.take(cfg, a)
	r.machine = vrrp.New(r.machineConfig(hasReady))
	r.publish(c.now(), false)
	return r
}

// take makes cfg the router's configuration.
func (r *router) take(cfg config.VIP, a *auth) {
	r.cfg = cfg
	r.auth.Store(a)
	r.addrs = ofFamily(cfg.Addresses, r.id.Family)
	r.packet = vrrp.Packet{Version: 3, VRID: cfg.VRID, Interval: cfg.AdvertInterval, Addrs: wireOrder(r.addrs)}
	r.signer = a.signer(cfg.AdvertInterval)
	if r.signer != nil {
		r.signer.Continue(&r.sequence)
	}
}

func (r *router) machineConfig(hasReady bool) vrrp.Config {
	c := vrrp.Config{
		Priority:       r.cfg.Priority,
		AdvertInterval: r.cfg.AdvertInterval,
		Align:          true,
		Preempt:        r.cfg.Preempt,
		PreemptDelay:   r.cfg.PreemptDelay,
		ReleaseOnDown:  r.cfg.WhenDown == config.Release,
		Linger:         !r.cfg.VirtualMAC,
		Spread:         !r.cfg.PriorityUnique,
		HasBeenReady:   hasReady,
	}
	if r.link != nil {
		c.Addr = r.link.src
	}
	return c
}

// run is the loop. It ends when the router has stopped, or at once with ctx.
func (r *router) run(ctx context.Context) {
	defer close(r.done)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for !r.ended {
		deadline := min(r.machine.Deadline(), r.renewAt, r.retryAt, r.pauseEnds, r.suspects.judgeAt)
		timer.Reset(r.until(deadline))
		select {
		case a := <-r.adverts:
			r.step(vrrp.Received(a)) // first: what catchUp finds came later
			r.catchUp(deadline)
		case f := <-r.calls:
			r.catchUp(deadline)
			f()
		case <-timer.C:
			r.meter.woke(deadline, r.clock.now())
			r.catchUp(deadline)
			r.tick()
		case <-ctx.Done():
			return
		}
	}
}

func (r *router) until(deadline vrrp.Instant) time.Duration {
	if deadline == vrrp.Never {
		return time.Hour
	}
	return deadline.Sub(r.clock.now())
}

// catchUp steps what has been received before anything else, when a Backup's
// timer is about to decide or the loop was late.
func (r *router) catchUp(deadline vrrp.Instant) {
	late := r.clock.now().Sub(deadline)
	if late > overslept || late >= 0 && r.machine.State() == vrrp.Backup {
		r.readAll(max(deadline, r.clock.now().Add(-recently)))
	}
}

// readAll steps every advertisement that had arrived at that time, or before.
func (r *router) readAll(by vrrp.Instant) {
	if r.link == nil {
		return
	}
	r.link.drain(by)
	for range len(r.adverts) {
		r.step(vrrp.Received(<-r.adverts))
	}
}

func (r *router) tick() {
	r.step(vrrp.Tick())
	now := r.clock.now()
	if r.renewAt <= now {
		r.renew(now)
	}
	if r.retryAt <= now {
		r.retryAt = vrrp.Never
		if r.machine.Holding() && r.link != nil {
			r.link.holder.Claim()
			r.link.holder.Announce()
		}
	}
	if r.pauseEnds <= now {
		r.tryAgain(now)
	}
	if r.suspects.judgeAt <= now {
		r.judge(now)
	}
}

// renew hands the holder a token for one renewal.
func (r *router) renew(now vrrp.Instant) {
	if !r.machine.Holding() || r.link == nil {
		r.renewAt = vrrp.Never
		return
	}
	r.link.holder.Renew(now)
	r.renewAt = nextRenewal(now)
}

func nextRenewal(now vrrp.Instant) vrrp.Instant {
	return (now/vrrp.Instant(renewEvery) + 1) * vrrp.Instant(renewEvery)
}

// step steps the machine and carries out the effects.
func (r *router) step(e vrrp.Event) {
	now := r.clock.now()
	var sent, failed bool
	for _, f := range r.machine.Step(now, e) {
		if f.Kind == vrrp.Send {
			ok := r.send(f.Priority)
			sent, failed = sent || ok, failed || !ok
			if !ok {
				r.meter.unsent.Add(1)
			}
			continue
		}
		r.do(now, f)
	}
	r.publish(now, sent)
	if sent {
		r.lastSent = now
	}
	r.tellChanges(now)
	// What follows steps the machine again, so it has to come after its effects.
	switch {
	case failed && !sent:
		r.step(vrrp.SendFailed())
	case sent && r.machine.WantsSent(now):
		r.step(vrrp.Sent())
	}
}

func (r *router) do(now vrrp.Instant, f vrrp.Effect) {
	switch f.Kind {
	case vrrp.Claim:
		r.link.holder.Claim()
		r.renewAt = nextRenewal(now)
	case vrrp.Release:
		r.link.holder.Release()
		r.renewAt, r.retryAt = vrrp.Never, vrrp.Never
	case vrrp.Announce:
		r.link.holder.Announce()
	case vrrp.Probe:
		r.probe()
	case vrrp.Changed:
		r.changes = append(r.changes, move{Transition: f.Transition, gap: r.gap(now, f.Transition)})
		if f.Transition.From == vrrp.Active {
			r.link.holder.Hush()
		}
	case vrrp.Muted:
		if f.On || r.machine.State() == vrrp.Active { // one that has yielded may be mute still
			r.record.muted(r.id, r.cfg, f.On)
		}
	case vrrp.Stopped:
		r.ended = true
	}
}

// tellChanges records the changes of state, once the view shows them.
func (r *router) tellChanges(now vrrp.Instant) {
	for _, t := range r.changes {
		t.cause = explain(t.Transition, r.unfit(), r.cfg.Priority)
		t.priority = r.machine.Priority()
		r.meter.changed(t.Transition, t.gap)
		r.mu.Lock()
		r.view.since, r.view.cause = now, t.cause
		r.mu.Unlock()
		r.record.transition(r.id, r.cfg, r.iface(), t)
		if t.To == vrrp.Active {
			r.check()
		}
	}
	r.changes = r.changes[:0]
}

// gap returns how long nobody that this node knows of has advertised before a router
// became Active; 0 if it knows of nobody.
func (r *router) gap(now vrrp.Instant, t vrrp.Transition) time.Duration {
	last := r.lastSent
	if heard, _ := r.machine.Heard(); heard.Src.IsValid() {
		last = max(last, heard.At)
	}
	if t.To != vrrp.Active || last == 0 {
		return 0
	}
	return now.Sub(last)
}

// check has somebody ask whether another station has the addresses, unless that
// was asked just now.
func (r *router) check() {
	now := r.clock.now()
	if r.link.check != nil && now.Sub(r.checkedAt) > checkGap {
		r.checkedAt = now
		r.link.check()
	}
}

func (r *router) iface() string {
	if r.link == nil {
		return r.cfg.Interface
	}
	return r.link.iface
}

// call has the loop run f, unless it has ended.
func (r *router) call(f func()) {
	select {
	case r.calls <- f:
	case <-r.done:
	}
}

// post has the loop step an event.
func (r *router) post(e vrrp.Event) { r.call(func() { r.step(e) }) }

// wait has the loop run f and returns afterwards.
func (r *router) wait(f func()) {
	ran := make(chan struct{})
	r.call(func() { f(); close(ran) })
	select {
	case <-ran:
	case <-r.done:
	}
}

// attach gives the router the network. It resumes as Active if it may.
func (r *router) attach(l *link, resume bool) {
	r.wait(func() {
		r.link, r.lastSent = l, 0 // what was before it listened says nothing of a gap
		r.step(vrrp.Configure(r.machineConfig(false)))
		if resume {
			r.lastSent = r.inherited
			r.step(vrrp.Resume())
			return
		}
		r.step(vrrp.Startup())
	})
}

// moved tells the router of another source address.
func (r *router) moved(src netip.Addr) {
	r.wait(func() {
		l := *r.link
		l.src = src
		r.link = &l
		r.step(vrrp.Configure(r.machineConfig(false)))
	})
}

// detach takes the network away.
func (r *router) detach() {
	r.wait(func() {
		if r.link == nil {
			return
		}
		r.step(vrrp.Disable())
		r.forgive()
		r.link = nil
		r.publish(r.clock.now(), false)
	})
}

// configure applies a configuration that needs no other sockets or addresses.
func (r *router) configure(cfg config.VIP, a *auth) {
	r.wait(func() {
		r.take(cfg, a)
		r.step(vrrp.Configure(r.machineConfig(false)))
	})
}

// heldEvent is told by the holder's worker what became of an operation.
func (r *router) heldEvent(e vip.Event) {
	r.meter.held(e, r.clock.now())
	switch {
	case e.Op == vip.OpClaim:
		r.call(func() { r.claimed(e.Err) })
	case e.Op == vip.OpRenew && errors.Is(e.Err, vip.ErrGone):
		r.post(vrrp.AddressLost())
	case e.Err != nil:
		r.record.holderFailed(r.id, e)
	}
}
