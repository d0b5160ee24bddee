package sim

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/vipd/vipd/vrrp"
)

// Violation is an invariant that was broken.
type Violation struct {
	Invariant string
	At        time.Duration // virtual time
	Detail    string
}

func (v *Violation) Error() string {
	return fmt.Sprintf("%.4f s: invariant %q: %s", v.At.Seconds(), v.Invariant, v.Detail)
}

// watch sees all that happens, and checks the invariants after each event.
type watch struct {
	c      *cluster
	nodes  []watched
	broken error

	disturbAt vrrp.Instant // something happened that may move the VIP
	faultAt   vrrp.Instant // something happened that may leave it nowhere
	lossAt    vrrp.Instant // an advertisement was lost by chance
	refrains  vrrp.Instant // until then a router that could not send challenges nobody
	bounds    bounds

	always     bool // check after each event
	changes    bool // something changed beside the nodes
	runs       bool // time runs for an invariant
	wasSettled bool

	still        bool // nothing may move: all nodes have become equally bad
	disturbances int
	losses       int
	rises        int
	together     int // rises of two nodes of equal priority within one another's delay

	part    []int            // by node: the component of the network, or -1
	beside  [][]vrrp.Instant // by pair: since when both are Active
	nowhere []vrrp.Instant   // by component: since when the VIP could be held, and is not
}

// watched is what is remembered of one node.
type watched struct {
	priority  uint8        // its rank at the last event
	tookFrom  netip.Addr   // the worse or lower Active that it took over from
	rankedAt  vrrp.Instant // when that changed
	roseAt    vrrp.Instant // became Active
	leftAt    vrrp.Instant // ceased to be
	left      vrrp.Cause
	mistook   bool         // it may have left for a last word that it took for a takeover
	idleFrom  vrrp.Instant // since when it has had the address, running, without being Active
	goneFrom  vrrp.Instant // since when it has had the address without running
	toldAt    vrrp.Instant // last reason to tell the segment: it rose, or there was a competitor
	couldAt   vrrp.Instant // since when it could hold the VIP
	readyFrom vrrp.Instant // since when it is ready, or may be
	barredAt  vrrp.Instant // since when it has had the address without permission
	startsAt  vrrp.Instant // since when it has had it although K3s starts
	fellAt    vrrp.Instant // when an Active's grade fell
	sankAt    vrrp.Instant // when an Active's priority last changed, to a lower one
	sentAt    vrrp.Instant // last advertisement
	ruled
	look look
}

func newWatch(c *cluster, nodes int) watch {
	w := watch{c: c, nodes: make([]watched, nodes), nowhere: make([]vrrp.Instant, nodes)}
	for i := range w.nodes {
		w.nodes[i] = watched{idleFrom: vrrp.Never, goneFrom: vrrp.Never, couldAt: vrrp.Never, readyFrom: vrrp.Never, barredAt: vrrp.Never, startsAt: vrrp.Never, fellAt: vrrp.Never, sankAt: vrrp.Never, toldAt: -1, leftAt: -1, roseAt: -1, sentAt: -1, ruled: newRuled()}
		w.beside = append(w.beside, make([]vrrp.Instant, nodes))
	}
	return w
}

func (w *watch) breaks(invariant, format string, args ...any) {
	if w.broken != nil {
		return
	}
	w.broken = &Violation{Invariant: invariant, At: w.c.since(w.c.begin), Detail: fmt.Sprintf(format, args...)}
	w.c.logf("BROKEN %v", w.broken)
}

func (w *watch) disturbed() {
	w.disturbAt, w.changes = w.c.now, true
	w.disturbances++
	w.bounds = boundsOf(w.c)
}

func (w *watch) faulted() { w.faultAt, w.changes = w.c.now, true }

func (w *watch) lost(from, to *node) {
	w.lossAt, w.changes = w.c.now, true
	w.losses++
	w.beside[min(from.id, to.id)][max(from.id, to.id)] = vrrp.Never
}

// unheard notes that n did not notice another node's announcement to the clients: if it is
// Active it does not know that it has to have the last word.
func (w *watch) unheard(n *node) {
	if !n.running || n.m.State() != vrrp.Active {
		return
	}
	for _, cl := range w.c.clients {
		cl.lostAt = w.c.now
	}
}

func (w *watch) started(n *node) {
	w.faulted()
	w.nodes[n.id].left = vrrp.CauseStartup
}

// stepped notes a reason to tell the segment where the VIP is, other than a takeover.
func (w *watch) stepped(n *node, e vrrp.Event) {
	w.nodes[n.id].ruled.stepped = n.m.State()
	if n.m.State() != vrrp.Active {
		if e.String() == "successor" {
			w.nodes[n.id].told = w.c.now
		}
		return
	}
	switch e.String() {
	case "received", "contested", "address-lost", "permit":
		w.nodes[n.id].toldAt = w.c.now
	}
}

func (w *watch) changed(n *node, t vrrp.Transition) {
	s := &w.nodes[n.id]
	if t.Cause == vrrp.CauseMute {
		w.refrains = w.c.now.Add(muteBackoff)
	}
	w.checkStill(n, t)
	w.checkHealing(n, t)
	switch {
	case t.To == vrrp.Active:
		w.checkSilence(n, t)
		w.checkRise(n, t)
		w.rose(n)
		s.tookFrom = netip.Addr{}
		if t.Cause == vrrp.CauseUnfit || t.Cause == vrrp.CausePreempt {
			s.tookFrom = t.Peer
		}
	case t.From == vrrp.Active, t.Cause == vrrp.CauseUnready, t.Cause == vrrp.CauseWithheld:
		s.leftAt, s.left = w.c.now, t.Cause
		winner := w.c.node(t.Peer)
		s.mistook = winner != nil && w.mayMistake(n, winner)
		if winner != nil {
			w.nodes[winner.id].toldAt = w.c.now // it must learn that there was another
		}
	}
	w.checkQuiet(n, t)
}

// lastRise is when a node last became Active.
func (w *watch) lastRise() vrrp.Instant {
	last := vrrp.Instant(-1)
	for i := range w.nodes {
		last = max(last, w.nodes[i].roseAt)
	}
	return last
}

func (w *watch) rose(n *node) {
	w.rises++
	w.checkBeenReady(n)
	for i := range w.nodes {
		other := w.c.nodes[i]
		if i != n.id && other.cfg.Priority == n.cfg.Priority && w.c.now.Sub(w.nodes[i].roseAt) < w.c.net.maxDelay {
			w.together++
		}
	}
	w.nodes[n.id].roseAt, w.nodes[n.id].toldAt = w.c.now, w.c.now
}

// redraw finds the components of the network after it has changed. A node is in
// none if it is joined to another in one direction only, or if the two-way links
// around it are not a complete graph.
func (w *watch) redraw() {
	w.part = w.part[:0]
	for i := range w.nodes {
		w.part = append(w.part, w.partOf(i))
	}
	whole := make([]bool, len(w.nodes)) // by component
	for i := range whole {
		whole[i] = true
	}
	for i := range w.nodes {
		for j := range w.nodes {
			same := w.part[i] == w.part[j]
			if i != j && w.hears(i, j) != same {
				whole[w.part[i]], whole[w.part[j]] = false, false
			}
		}
	}
	for i, p := range w.part {
		if !whole[p] {
			w.part[i] = -1
		}
	}
	w.forget()
}

// partOf returns the first node that i is joined to in both directions.
func (w *watch) partOf(i int) int {
	for j := range i {
		if w.hears(i, j) && w.hears(j, i) {
			return j
		}
	}
	return i
}

// hears reports whether i's advertisements get to j.
func (w *watch) hears(i, j int) bool { return w.c.net.passes(i, j) && !w.c.nodes[i].sendFails }

func (w *watch) forget() {
	for i := range w.nowhere {
		w.nowhere[i] = vrrp.Never
		for j := range w.beside[i] {
			w.beside[i][j] = vrrp.Never
		}
	}
}

// mates calls f for each node of component p.
func (w *watch) mates(p int) func(yield func(*node) bool) {
	return func(yield func(*node) bool) {
		for i, n := range w.c.nodes {
			if w.part[i] == p && !yield(n) {
				return
			}
		}
	}
}

// could reports whether a node could hold the VIP.
func could(n *node) bool {
	return n.live() && n.linkUp() && n.m.State() != vrrp.Initialize && n.m.Eligible() && n.api.told
}
