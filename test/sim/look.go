package sim

import "github.com/vipd/vipd/vrrp"

// look is what the invariants about states see of a node. While it stays as it is for all
// nodes, and no time runs, there is nothing to check. An invariant that looks at something
// else has it added here, or sets watch.changes.
type look struct {
	running, stalled, stopping, demoted, sendFails bool
	linkUp, held, told, starts, heard              bool

	truth    truth
	judged   vrrp.Grade
	grade    vrrp.Grade
	state    vrrp.State
	priority uint8

	eligible, holding bool
}

func lookAt(n *node) look {
	l := look{running: n.running, stalled: n.stalled, stopping: n.stopping, demoted: n.demoted, sendFails: n.sendFails,
		linkUp: n.linkUp(), held: n.iface.held, told: n.api.told, starts: n.api.starts, heard: n.api.heard,
		truth: n.api.truth, judged: n.api.grade}
	if n.m != nil {
		l.grade, l.state, l.priority = n.m.Grade(), n.m.State(), n.m.Priority()
		l.eligible, l.holding = n.m.Eligible(), n.m.Holding()
	}
	return l
}

// idle reports whether what happened to n, and to no other node, changed nothing that
// the invariants look at; nil is any node.
func (w *watch) idle(n *node) bool {
	if n == nil || w.always || w.changes || w.runs || w.settled() != w.wasSettled || lookAt(n) != w.nodes[n.id].look {
		return false
	}
	w.nodes[n.id].sentAt = n.sentAt
	return true
}

// looked remembers what the invariants saw.
func (w *watch) looked() {
	w.changes, w.wasSettled = false, w.settled()
	w.runs = w.timeRuns()
	for i, n := range w.c.nodes {
		w.nodes[i].look = lookAt(n)
	}
}

// timeRuns reports whether something may be broken by the passing of time alone.
func (w *watch) timeRuns() bool {
	for i := range w.nodes {
		s := &w.nodes[i]
		if min(s.idleFrom, s.goneFrom, s.barredAt, s.startsAt, s.fellAt, s.bareFrom, w.nowhere[i]) != vrrp.Never {
			return true
		}
		for _, t := range w.beside[i] {
			if t != vrrp.Never {
				return true
			}
		}
		if n := w.c.nodes[i]; falls(n) || leaves(n, s) {
			return true
		}
	}
	for _, cl := range w.c.clients {
		if cl.wrong != vrrp.Never {
			return true
		}
	}
	return false
}
