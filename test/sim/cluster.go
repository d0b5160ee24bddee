package sim

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/vipd/vipd/vrrp"
)

// cluster is a simulated cluster: its nodes, the hosts that use the virtual IP,
// the network between them, and the time.
type cluster struct {
	begin    vrrp.Instant
	now      vrrp.Instant
	queue    queue
	rng      *rand.Rand
	net      network
	nodes    []*node
	clients  []*client
	watch    watch
	rests    rests
	calm     bool // no jitter: everything takes its least time
	sabotage sabotage
	trace    io.Writer // nil: none
	observe  func()    // after each event, if not nil
}

// plan is what a cluster is made of.
type plan struct {
	nodes     []vrrp.Config // Addr is set by newCluster
	clients   int
	watchUnit bool // the addresses are permitted only while K3s runs
	neverUp   int  // that many nodes, the last ones, never have a ready API server
	maxDelay  time.Duration
	begin     vrrp.Instant
}

func newCluster(seed uint64, p plan, s sabotage, trace io.Writer) *cluster {
	c := &cluster{rng: rand.New(rand.NewPCG(seed, 0x76697064)), sabotage: s, trace: trace, begin: p.begin, now: p.begin}
	c.net = newNetwork(c, len(p.nodes)+p.clients, p.maxDelay)
	c.watch = newWatch(c, len(p.nodes))
	for i, cfg := range p.nodes {
		c.nodes = append(c.nodes, newNode(c, i, cfg, p.watchUnit, i >= len(p.nodes)-p.neverUp))
	}
	for i := range p.clients {
		c.clients = append(c.clients, newClient(c, len(p.nodes)+i))
	}
	c.topologyChanged("begin")
	for _, n := range c.nodes {
		c.after(c.between(0, 2*time.Second), func() { n.start(restart{}) })
	}
	return c
}

// run lets time pass until the given instant, or until an invariant is broken.
func (c *cluster) run(until vrrp.Instant) error {
	for c.watch.broken == nil && c.queue.next() <= until {
		c.now = c.queue.next()
		e := c.queue.take()
		e.happen()
		c.watch.check(e.node)
		if c.observe != nil {
			c.observe()
		}
	}
	if c.watch.broken == nil {
		c.now = max(c.now, until)
		c.watch.check(nil)
	}
	return c.watch.broken
}

func (e *event) happen() {
	switch n := e.node; {
	case e.process != 0 && (n.process != e.process || !n.running):
	case e.advert != nil:
		n.receive(*e.advert)
	default:
		e.do()
	}
}

// runFor lets d pass.
func (c *cluster) runFor(d time.Duration) error { return c.run(c.now.Add(d)) }

func (c *cluster) after(d time.Duration, do func()) { c.afterAll(d, event{do: do}) }

func (c *cluster) afterAll(d time.Duration, e event) { c.queue.put(c.now.Add(d), e) }

// between returns a random duration from lo to hi.
func (c *cluster) between(lo, hi time.Duration) time.Duration {
	if c.calm || hi <= lo {
		return lo
	}
	return lo + time.Duration(c.rng.Int64N(int64(hi-lo)))
}

// since returns how long ago t was.
func (c *cluster) since(t vrrp.Instant) time.Duration { return c.now.Sub(t) }

func (c *cluster) chance(p float64) bool { return p > 0 && c.rng.Float64() < p }

// logf adds a line to the trace.
func (c *cluster) logf(format string, args ...any) {
	if c.trace != nil {
		fmt.Fprintf(c.trace, "%10.4f  %s\n", c.since(c.begin).Seconds(), fmt.Sprintf(format, args...))
	}
}

// disturb notes that something happened from outside that may well move the VIP.
func (c *cluster) disturb(format string, args ...any) {
	c.logf("--- "+format, args...)
	c.watch.disturbed()
}

// fault notes a disturbance after which, for a while, nobody may hold the VIP.
func (c *cluster) fault(format string, args ...any) {
	c.disturb(format, args...)
	c.watch.faulted()
}

func (c *cluster) topologyChanged(format string, args ...any) {
	c.fault(format, args...)
	c.watch.redraw()
}

// node returns the node with the given address, or nil.
func (c *cluster) node(a netip.Addr) *node {
	for _, n := range c.nodes {
		if n.cfg.Addr == a {
			return n
		}
	}
	return nil
}

// actives returns the nodes that run and are Active.
func (c *cluster) actives() []*node {
	var all []*node
	for _, n := range c.nodes {
		if n.live() && n.m.State() == vrrp.Active {
			all = append(all, n)
		}
	}
	return all
}
