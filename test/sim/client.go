package sim

import (
	"time"

	"github.com/vipd/vipd/vrrp"
)

// A Linux host's neighbour table.
const (
	// locktime: an entry that changed is not changed again for that long. It is
	// counted in ticks of 4 ms, and the last one must be over.
	locktime = time.Second + 4*time.Millisecond
	// giveUp: DELAY of 5 s and three probes of 1 s, and the entry is gone.
	giveUp  = 8 * time.Second
	useEach = time.Second
)

// client is a host of the segment that uses the virtual IP each second.
type client struct {
	c       *cluster
	id      int // endpoint
	entry   *node
	changed vrrp.Instant // when entry did
	silent  vrrp.Instant // since when its node does not answer
	wrong   vrrp.Instant // since when the entry is not the Active one
	lostAt  vrrp.Instant // an announcement was lost on the way here
}

func newClient(c *cluster, id int) *client {
	cl := &client{c: c, id: id, silent: vrrp.Never, wrong: vrrp.Never, lostAt: -1}
	c.after(c.between(0, useEach), cl.use)
	return cl
}

// hear is an announcement. It makes no entry where there is none (arp_accept = 0).
func (cl *client) hear(n *node) {
	if cl.entry != nil {
		cl.learn(n)
	}
}

func (cl *client) learn(n *node) {
	if cl.entry == n {
		return
	}
	if cl.entry != nil && cl.c.now.Sub(cl.changed) < locktime {
		return
	}
	cl.entry, cl.changed, cl.silent = n, cl.c.now, vrrp.Never
	cl.c.watch.changes = true
	cl.c.logf("client %d believes in n%d", cl.id-len(cl.c.nodes)+1, n.id+1)
}

func (cl *client) reaches(n *node) bool {
	return cl.c.net.passes(cl.id, n.id) && cl.c.net.passes(n.id, cl.id)
}

// use sends something to the virtual IP.
func (cl *client) use() {
	cl.c.after(useEach, cl.use)
	switch {
	case cl.entry == nil:
		cl.ask()
	case cl.entry.iface.held && cl.reaches(cl.entry):
		cl.silent = vrrp.Never
	case cl.silent == vrrp.Never:
		cl.silent = cl.c.now
	case cl.c.now.Sub(cl.silent) >= giveUp:
		cl.entry, cl.silent = nil, vrrp.Never
		cl.ask()
	}
}

// ask asks who has the address; every holder in reach answers.
func (cl *client) ask() {
	for _, n := range cl.c.nodes {
		if !n.iface.held || !cl.reaches(n) {
			continue
		}
		cl.c.net.send(n.id, cl.id, event{do: func() { cl.learn(n) }})
	}
}
