package sim

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/vipd/vipd/vrrp"
)

// Times of the machine around the agent.
const (
	maxLate   = time.Millisecond // how late a timer of the agent fires (SCHED_RR)
	rxBuffer  = 256              // advertisements that the socket holds while nobody reads
	renewEach = 500 * time.Millisecond
)

// node is a server: an agent that drives a Machine, the interface with the
// address, and the API server.
type node struct {
	c   *cluster
	id  int
	cfg vrrp.Config

	// The agent's process.
	m        *vrrp.Machine
	running  bool
	stalled  bool
	stopping bool
	process  uint64 // counts the processes, so that what an earlier one began ends with it
	inbox    []vrrp.Event
	stepping bool
	alarm    alarm
	received []vrrp.Advert // while stalled: in the socket
	pending  []vrrp.Event  // while stalled: from the kernel and from other goroutines

	// What the agent leaves to its successor.
	wasActive bool
	wasReady  bool

	sentAt    vrrp.Instant
	heardAt   vrrp.Instant // an advertisement other than priority 0 arrived
	sendFails bool
	demoted   bool
	barred    bool
	iface     iface
	api       api
}

func newNode(c *cluster, id int, cfg vrrp.Config, watchUnit, neverUp bool) *node {
	cfg.Addr = netip.AddrFrom4([4]byte{198, 51, 100, byte(11 + id)})
	n := &node{c: c, id: id, cfg: cfg, sentAt: -1 << 62, heardAt: -1 << 62}
	n.iface, n.alarm = iface{n: n}, alarm{n: n}
	n.api = api{n: n, watchUnit: watchUnit, broken: neverUp, truth: ready, unitActive: true}
	if neverUp {
		n.api.truth = hung
	}
	return n
}

func (n *node) String() string {
	if n == nil {
		return ""
	}
	return fmt.Sprintf("n%d", n.id+1)
}

func (n *node) logf(format string, args ...any) {
	if n.c.trace != nil {
		n.c.logf("n%d "+format, append([]any{n.id + 1}, args...)...)
	}
}

// live reports whether the agent runs and is not about to leave.
func (n *node) live() bool { return n.running && !n.stalled && !n.stopping }

func (n *node) linkUp() bool { return !n.c.net.down[n.id] }

// restart says what a new process inherits.
type restart struct {
	beenReady bool // the saved state says that the API was ready
	resume    bool // it says Active, too
}

// start starts the agent. It resumes as Active only if the address is still there
// and less than 3A have passed since the last advertisement.
func (n *node) start(r restart) {
	if n.running {
		return
	}
	cfg := n.cfg
	cfg.HasBeenReady = r.beenReady || n.c.sabotage.inherits
	n.m = vrrp.New(n.c.sabotage.configure(cfg))
	n.process++
	n.running, n.stalled, n.stopping = true, false, false
	n.alarm.reset()
	n.inbox, n.received, n.pending = n.inbox[:0], n.received[:0], n.pending[:0]
	n.wasReady = r.beenReady
	n.c.watch.started(n)
	resume := r.resume && n.wasActive && n.iface.held && n.linkUp() &&
		n.c.now.Sub(n.sentAt) < 3*n.cfg.AdvertInterval
	should := resume
	if n.c.sabotage.resumes != nil {
		resume = n.c.sabotage.resumes(should) && n.wasActive && n.iface.held && n.linkUp()
	}
	n.c.disturb("n%d starts", n.id+1)
	n.logf("agent starts (been ready %t, resumes %t)", r.beenReady, resume)
	n.wasActive = false
	n.api.begin(resume)
	n.step(vrrp.Demote(n.demoted))
	n.step(vrrp.Bar(n.barred))
	if !resume {
		n.iface.removeStale()
	}
	switch {
	case resume:
		n.step(vrrp.Resume())
	case n.linkUp():
		n.step(vrrp.Startup())
	}
	n.c.watch.begun(n, should)
	n.every(renewEach, n.iface.renew)
}

// every does something again and again while this process lives.
func (n *node) every(d time.Duration, do func()) {
	var again func()
	again = func() {
		if !n.stalled {
			do()
		}
		n.later(d, again)
	}
	n.later(d, again)
}

// later does something after d if this process still lives.
func (n *node) later(d time.Duration, do func()) {
	n.c.afterAll(d, event{do: do, node: n, process: n.process})
}

// end ends the process, in whatever way.
func (n *node) end() {
	n.running, n.stalled = false, false
	n.wasActive = n.m.State() == vrrp.Active
}

// feed hands in an event from another goroutine or from the kernel. A process
// that is stopped finds it later.
func (n *node) feed(e vrrp.Event) {
	switch {
	case !n.running:
	case n.stalled:
		n.pending = append(n.pending, e)
	default:
		n.step(e)
	}
}

// receive takes an advertisement off the wire.
func (n *node) receive(a vrrp.Advert) {
	if !n.running || !n.linkUp() {
		return
	}
	a.At = n.c.now
	if n.stalled && len(n.received) == rxBuffer {
		return
	}
	if a.Priority != vrrp.PriorityLeave {
		n.heardAt = n.c.now
	}
	if n.stalled {
		n.received = append(n.received, a)
		return
	}
	n.hear(a)
}

func (n *node) hear(a vrrp.Advert) {
	if n.c.sabotage.hears != nil {
		n.c.sabotage.hears(n, &a)
	}
	n.c.watch.hearing(n, a)
	n.step(vrrp.Received(a))
	n.c.watch.heard(n, a)
}

// proceed goes on after a stall: what was received comes before the timers.
func (n *node) proceed() {
	n.stalled = false
	n.c.watch.wakes(n)
	received, pending := n.received, n.pending
	if n.c.sabotage.forgets {
		received = nil
	}
	n.received, n.pending = nil, nil
	if n.c.sabotage.timersFirst {
		n.step(vrrp.Tick())
	}
	for _, a := range received {
		n.hear(a)
	}
	for _, e := range pending {
		n.step(e)
	}
	n.step(vrrp.Tick())
	n.iface.renew()
	n.c.watch.awake(n)
}

// step steps the machine, does what it wants, and steps what comes of that.
func (n *node) step(e vrrp.Event) {
	if !n.c.sabotage.lets(n, e) {
		return
	}
	n.inbox = append(n.inbox, e)
	if n.stepping {
		return
	}
	n.stepping = true
	for i := 0; i < len(n.inbox) && n.running; i++ {
		e := n.inbox[i]
		all := n.c.sabotage.change(n, e, n.m.Step(n.c.now, e))
		n.c.watch.wanted(n, all)
		for _, f := range all {
			n.do(f)
		}
		n.c.watch.stepped(n, e)
	}
	n.inbox = n.inbox[:0]
	n.stepping = false
	n.alarm.arm()
}

func (n *node) do(f vrrp.Effect) {
	switch f.Kind {
	case vrrp.Send:
		n.send(f.Priority)
	case vrrp.Claim:
		n.iface.queue(n.iface.claim)
	case vrrp.Release:
		n.iface.queue(n.iface.release)
	case vrrp.Announce:
		n.iface.queue(n.announce)
	case vrrp.Probe:
		n.api.probe()
	case vrrp.Changed:
		n.logf("%s -> %s: %s %s", f.Transition.From, f.Transition.To, f.Transition.Cause, n.c.node(f.Transition.Peer))
		n.c.watch.changed(n, f.Transition)
	case vrrp.Muted:
		n.logf("muted %t", f.On)
	case vrrp.Stopped:
		n.logf("agent ends")
		n.end()
	}
}

// send sends an advertisement to every other node.
func (n *node) send(priority uint8) {
	if n.sendFails {
		n.c.watch.cannotSend(n)
		n.step(vrrp.SendFailed())
		return
	}
	if n.m.WantsSent(n.c.now) {
		n.step(vrrp.Sent())
	}
	n.c.watch.sends(n, priority)
	n.sentAt = n.c.now
	a := &vrrp.Advert{Src: n.cfg.Addr, Priority: priority, Interval: n.cfg.AdvertInterval}
	for _, to := range n.c.nodes {
		if to == n {
			continue
		}
		if n.c.net.send(n.id, to.id, event{advert: a, node: to}) {
			n.logf("its advertisement to n%d is lost", to.id+1)
			n.c.watch.lost(n, to)
		}
	}
}

// announce tells the segment where the address is. The agent's worker leaves it
// out if the node has yielded in the meantime.
func (n *node) announce() {
	if n.m.State() != vrrp.Active || !n.linkUp() {
		return
	}
	n.c.watch.announces(n)
	for _, cl := range n.c.clients {
		if n.c.net.send(n.id, cl.id, event{do: func() { cl.hear(n) }}) {
			cl.lostAt = n.c.now
		}
	}
	for _, to := range n.c.nodes {
		if to == n {
			continue
		}
		lost := n.c.net.send(n.id, to.id, event{do: to.overhear, node: to})
		if lost || !n.c.net.passes(n.id, to.id) || to.deafToAnnouncements() {
			n.c.watch.unheard(to)
		}
	}
}

// overhear is another node's announcement, seen by the conflict watch.
func (n *node) overhear() {
	switch {
	case !n.running || !n.linkUp():
	case n.m.State() != vrrp.Active:
		n.feed(vrrp.SuccessorAnnounced())
	case !n.deafToAnnouncements():
		n.feed(vrrp.Contested())
	}
}

// deafToAnnouncements is set with a virtual MAC: the peers' frames look like our own.
func (n *node) deafToAnnouncements() bool { return !n.cfg.Linger }
