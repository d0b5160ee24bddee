package sim

import (
	"time"

	"github.com/vipd/vipd/vrrp"
)

// The kernel's side of the address.
const (
	lease      = 2 * time.Second
	maxSweep   = 1400 * time.Millisecond // after the lease, until the kernel has swept it
	maxWatch   = time.Millisecond        // until the netlink watch tells
	maxNetlink = 2 * time.Millisecond    // one operation of the worker
)

// iface is the interface with the address on it, and the worker that changes it
// one operation after the other.
type iface struct {
	n      *node
	held   bool
	lease  vrrp.Instant // when the kernel takes the address off
	sweep  bool         // an expiry is in the queue
	freeAt vrrp.Instant // when the worker is free
	waits  []func()     // while the process is stopped
}

// queue hands an operation to the worker, which dies with the process.
func (i *iface) queue(do func()) {
	i.freeAt = max(i.freeAt, i.n.c.now).Add(i.n.c.between(20*time.Microsecond, maxNetlink))
	i.n.later(i.freeAt.Sub(i.n.c.now), func() {
		if i.n.stalled {
			i.waits = append(i.waits, do)
			return
		}
		i.flush()
		do()
	})
}

// flush does what waited for the process to go on.
func (i *iface) flush() {
	waits := i.waits
	i.waits = nil
	for _, do := range waits {
		do()
	}
}

func (i *iface) claim() {
	if !i.n.linkUp() {
		return
	}
	if !i.held {
		i.n.logf("address on")
	}
	i.held = true
	i.extend()
}

func (i *iface) release() {
	if i.held {
		i.held = false
		i.n.logf("address off")
		i.n.c.watch.released(i.n)
	}
}

// removeStale is what a new agent does with an address that it finds.
func (i *iface) removeStale() {
	i.waits = nil
	if i.held {
		i.held = false
		i.n.logf("stale address removed")
	}
}

// renew extends the lease of an address that is there. One that is not is never
// put back this way: a successor may have it.
func (i *iface) renew() {
	i.flush()
	if i.n.m.Holding() && i.held && !i.n.c.sabotage.noRenewal {
		i.extend()
	}
}

func (i *iface) extend() {
	i.lease = i.n.c.now.Add(lease)
	if !i.sweep {
		i.sweep = true
		i.n.c.queue.put(i.lease.Add(i.n.c.between(0, maxSweep)), event{do: i.expire, node: i.n})
	}
}

// expire is the kernel's sweep.
func (i *iface) expire() {
	i.sweep = false
	switch {
	case !i.held || i.n.c.sabotage.leaseForever:
	case i.lease > i.n.c.now:
		i.sweep = true
		i.n.c.queue.put(i.lease.Add(i.n.c.between(0, maxSweep)), event{do: i.expire, node: i.n})
	default:
		i.n.logf("lease expires")
		i.n.c.watch.expired(i.n)
		i.lose()
	}
}

// lose takes the address off behind the agent's back; the netlink watch tells it.
func (i *iface) lose() {
	if !i.held {
		return
	}
	i.held = false
	i.n.later(i.n.c.between(50*time.Microsecond, maxWatch), func() {
		if !i.held {
			i.n.feed(vrrp.AddressLost())
		}
	})
}
