package sim

import (
	"slices"

	"github.com/vipd/vipd/vrrp"
)

// alarm is the timer of an agent's process. Each advertisement puts a Backup's off; the
// queue sees little of that: it has one event, which goes on waiting if it comes too early.
type alarm struct {
	n      *node
	at     vrrp.Instant // the deadline that counts
	rings  vrrp.Instant // a bit later
	queued vrrp.Instant // the event
	// set are those that are still to come, with the ones that do not count now: one may
	// again, and then it is as late as it was.
	set []setting
}

type setting struct{ at, rings vrrp.Instant }

// reset is a new process.
func (a *alarm) reset() {
	a.at, a.rings, a.queued, a.set = vrrp.Never, vrrp.Never, vrrp.Never, a.set[:0]
}

// arm sets the timer to the machine's deadline.
func (a *alarm) arm() {
	at := a.n.m.Deadline()
	if at == a.at || !a.n.running {
		return
	}
	a.at = at
	if at == vrrp.Never {
		return
	}
	a.rings = a.choose(at, max(at, a.n.c.now).Add(a.n.c.between(0, maxLate)))
	if a.rings < a.queued {
		a.enqueue()
	}
}

func (a *alarm) choose(at, rings vrrp.Instant) vrrp.Instant {
	a.set = slices.DeleteFunc(a.set, func(s setting) bool { return s.rings < a.n.c.now })
	for i := range a.set {
		if s := &a.set[i]; s.at == at {
			s.rings = min(s.rings, rings)
			return s.rings
		}
	}
	a.set = append(a.set, setting{at, rings})
	return rings
}

func (a *alarm) enqueue() {
	a.queued = a.rings
	a.n.c.queue.put(a.rings, event{do: a.ring, node: a.n, process: a.n.process})
}

func (a *alarm) ring() {
	if a.queued != a.n.c.now {
		return // an earlier one took its place
	}
	a.queued = vrrp.Never
	switch {
	case a.at == vrrp.Never:
	case a.rings > a.n.c.now:
		a.enqueue()
	case a.rings == a.n.c.now && !a.n.stalled:
		a.at = vrrp.Never
		a.n.step(vrrp.Tick())
	}
}
