package sim

import (
	"time"

	"github.com/vipd/vipd/vrrp"
)

// fault is something that happens to a cluster. It returns how to end it, or nil
// if it does not apply now or ends by itself.
type fault struct {
	name string
	does func(c *cluster) (end func())
}

// faults is all that can happen, the likelier things more than once.
var faults = []fault{
	{"API crash", func(c *cluster) func() { return c.pick().crashAPI() }},
	{"API crash of the Active", func(c *cluster) func() { return c.pickActive().crashAPI() }},
	{"API hangs", func(c *cluster) func() { return c.pick().failAPI(hung) }},
	{"API of the Active degraded", func(c *cluster) func() { return c.pickActive().failAPI(degraded) }},
	{"API degraded", func(c *cluster) func() { return c.pick().failAPI(degraded) }},
	{"all APIs degraded", func(c *cluster) func() { return c.failAll(degraded) }},
	{"all APIs hang", func(c *cluster) func() { return c.failAll(hung) }},
	{"drain", func(c *cluster) func() { return c.pickActive().drain() }},
	{"bar", func(c *cluster) func() { return c.pick().bar() }},
	{"agent shut down", func(c *cluster) func() { return c.pickActive().shutdown() }},
	{"agent shut down", func(c *cluster) func() { return c.pick().shutdown() }},
	{"agent restarted", func(c *cluster) func() {
		c.pickActive().restart(c.between(20*time.Millisecond, time.Second))
		return nil
	}},
	{"agent killed", func(c *cluster) func() { return c.pickActive().kill() }},
	{"agent killed, address released", func(c *cluster) func() { return c.pick().killAndRelease() }},
	{"power cut", func(c *cluster) func() { return c.pickActive().powerOff() }},
	{"power cut", func(c *cluster) func() { return c.pick().powerOff() }},
	{"stall", func(c *cluster) func() { return c.pickActive().stall() }},
	{"stall", func(c *cluster) func() { return c.pick().stall() }},
	{"link down", func(c *cluster) func() { return c.pickActive().linkDown() }},
	{"link down", func(c *cluster) func() { return c.pick().linkDown() }},
	{"sends fail", func(c *cluster) func() { return c.pickActive().failSends() }},
	{"address deleted", func(c *cluster) func() { c.pickActive().deleteAddress(); return nil }},
	{"partition", (*cluster).partition},
	{"partition", (*cluster).partition},
	{"one-way cut", (*cluster).oneWay},
	{"loss", (*cluster).lose},
	{"duplicates", (*cluster).duplicate},
}

// pick returns any node.
func (c *cluster) pick() *node { return c.nodes[c.rng.IntN(len(c.nodes))] }

// pickActive returns an Active node, or any if there is none.
func (c *cluster) pickActive() *node {
	if all := c.actives(); len(all) > 0 {
		return all[c.rng.IntN(len(all))]
	}
	return c.pick()
}

func (n *node) disturb(what string) { n.c.disturb("n%d: %s", n.id+1, what) }

func (n *node) fault(what string) { n.c.fault("n%d: %s", n.id+1, what) }

func (n *node) crashAPI() func() {
	n.fault("API crash")
	n.api.set(dead)
	return func() {
		n.fault("K3s starts")
		n.api.set(hung)
		n.c.after(n.c.between(4*time.Second, 10*time.Second), n.recoverAPI)
	}
}

func (n *node) failAPI(t truth) func() {
	n.disturb("API " + t.String())
	n.api.set(t)
	return n.recoverAPI
}

func (n *node) recoverAPI() {
	n.disturb("API ready")
	n.api.set(ready)
}

func (c *cluster) failAll(t truth) func() {
	for _, n := range c.nodes {
		n.failAPI(t)
	}
	return func() {
		for _, n := range c.nodes {
			c.after(c.between(0, 15*time.Second), n.recoverAPI)
		}
	}
}

func (n *node) drain() func() {
	n.setDemoted(true)
	return func() { n.setDemoted(false) }
}

func (n *node) setDemoted(on bool) {
	n.c.disturb("n%d: drained %t", n.id+1, on)
	n.demoted = on
	n.feed(vrrp.Demote(on))
}

func (n *node) bar() func() {
	n.setBarred(true)
	return func() { n.setBarred(false) }
}

func (n *node) setBarred(on bool) {
	n.c.disturb("n%d: barred %t", n.id+1, on)
	n.barred = on
	n.feed(vrrp.Bar(on))
}

func (n *node) shutdown() func() {
	if !n.live() {
		return nil
	}
	n.disturb("shutdown")
	n.stopping = true
	n.step(vrrp.Shutdown())
	return func() { n.revive(restart{}) }
}

// revive starts the agent if nothing has yet.
func (n *node) revive(r restart) {
	if n.running && !n.stopping {
		return
	}
	if n.running { // a shutdown that waits for a successor is ended by systemd
		n.end()
	}
	n.fault("agent starts")
	n.start(r)
}

// restart is a restart of the unit: the process ends without a word, and the next
// one resumes if it is in time.
func (n *node) restart(gap time.Duration) {
	if !n.live() {
		return
	}
	n.fault("agent restart")
	n.end()
	n.c.after(gap, func() { n.revive(restart{beenReady: n.wasReady, resume: true}) })
}

// kill leaves the address to its lease.
func (n *node) kill() func() {
	if !n.running {
		return nil
	}
	n.fault("agent killed")
	n.end()
	return func() { n.revive(restart{beenReady: n.wasReady}) }
}

// killAndRelease is a kill with what systemd does then: address off, priority 0.
func (n *node) killAndRelease() func() {
	if !n.running {
		return nil
	}
	n.fault("agent killed, released")
	n.end()
	process := n.process
	n.c.after(n.c.between(10*time.Millisecond, 50*time.Millisecond), func() {
		if n.process != process {
			return
		}
		n.iface.removeStale()
		if n.wasActive && n.linkUp() && !n.sendFails {
			n.wasActive = false
			n.send(vrrp.PriorityLeave)
		}
	})
	return func() { n.revive(restart{}) }
}

// powerOff ends everything on the node.
func (n *node) powerOff() func() {
	n.fault("power off")
	if n.running {
		n.end()
	}
	n.iface.held, n.wasActive = false, false
	n.demoted = false
	n.api.set(dead)
	return func() {
		n.api.set(hung)
		n.c.after(n.c.between(4*time.Second, 10*time.Second), n.recoverAPI)
		n.revive(restart{})
	}
}

func (n *node) stall() func() {
	if !n.running || n.stalled {
		return nil
	}
	n.fault("stall")
	n.stalled = true
	return n.wake
}

func (n *node) wake() {
	if !n.running || !n.stalled {
		return
	}
	n.fault("goes on")
	n.proceed()
}

func (n *node) linkDown() func() {
	if !n.linkUp() {
		return nil
	}
	n.c.net.down[n.id] = true
	n.c.topologyChanged("n%d: link down", n.id+1)
	n.feed(vrrp.Disable())
	return n.linkBack
}

func (n *node) linkBack() {
	if n.linkUp() {
		return
	}
	n.c.net.down[n.id] = false
	n.c.topologyChanged("n%d: link up", n.id+1)
	if n.stopping {
		return
	}
	n.feed(vrrp.Startup())
}

func (n *node) failSends() func() {
	n.setSendFails(true)
	return func() { n.setSendFails(false) }
}

func (n *node) setSendFails(on bool) {
	n.sendFails = on
	n.c.topologyChanged("n%d: sends fail %t", n.id+1, on)
}

func (n *node) deleteAddress() {
	n.fault("address deleted")
	n.iface.lose()
}

func (c *cluster) partition() func() {
	side := make([]bool, len(c.net.cut))
	for i := range side {
		side[i] = c.chance(0.5)
	}
	c.net.split(side)
	c.topologyChanged("partition %v", side)
	return c.healNetwork
}

func (c *cluster) healNetwork() {
	c.net.split(make([]bool, len(c.net.cut)))
	c.topologyChanged("network whole")
}

func (c *cluster) oneWay() func() {
	i, j := c.rng.IntN(len(c.nodes)), c.rng.IntN(len(c.nodes))
	if i == j {
		return nil
	}
	c.net.cut[i][j] = true
	c.topologyChanged("n%d does not hear n%d", j+1, i+1)
	return func() {
		c.net.cut[i][j] = false
		c.topologyChanged("n%d hears n%d", j+1, i+1)
	}
}

func (c *cluster) lose() func() {
	c.net.loss = []float64{0.005, 0.02, 0.1, 0.4}[c.rng.IntN(4)]
	c.fault("loss %v", c.net.loss)
	return func() {
		c.net.loss = 0
		c.fault("no loss")
	}
}

func (c *cluster) duplicate() func() {
	c.net.dup = 0.2
	c.disturb("duplicates")
	return func() {
		c.net.dup = 0
		c.disturb("no duplicates")
	}
}

// healAll ends all that is wrong.
func (c *cluster) healAll() {
	c.logf("=== all is healed")
	c.net.heal()
	c.topologyChanged("network whole")
	for _, n := range c.nodes {
		n.wake()
		n.sendFails = false
		n.setDemoted(false)
		n.setBarred(false)
		n.api.set(ready)
		n.revive(restart{beenReady: n.wasReady})
		if n.m.State() == vrrp.Initialize {
			n.feed(vrrp.Startup())
		}
	}
	c.topologyChanged("all well")
}
