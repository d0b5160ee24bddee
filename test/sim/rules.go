package sim

import (
	"net/netip"
	"slices"
	"time"

	"github.com/vipd/vipd/health"
	"github.com/vipd/vipd/vrrp"
)

// ruled is what the invariants about steps remember of one node.
type ruled struct {
	begunAt   vrrp.Instant // the process began
	wokeAt    vrrp.Instant // a stall ended
	readyFrom vrrp.Instant // it has been judged ready since
	fell      vrrp.Instant // was last judged to be ready no more
	hold      time.Duration
	bareFrom  vrrp.Instant // since when it has been Active without the address
	worseFrom vrrp.Instant // since when what it hears ranks in a worse grade
	failsFrom vrrp.Instant // since when this Active's advertisements have failed
	downAt    vrrp.Instant // last said that its API server is down; others may hear it after what it said next

	sent    int           // advertisements
	sentWas int           // before what it hears now; so are these:
	before  time.Duration // since its last advertisement
	was     vrrp.State
	mute    bool
	stepped vrrp.State       // after the last step
	told    vrrp.Instant     // a successor's announcement was seen
	overdue bool             // it slept as Active for too long, and another has spoken
	bursts  [15]vrrp.Instant // the last announcements since it rose
	rivalAt vrrp.Instant     // a rival or a predecessor was there when it announced itself
}

func newRuled() ruled {
	const long = -1 << 62
	r := ruled{begunAt: long, wokeAt: long, readyFrom: vrrp.Never, fell: long, told: long,
		bareFrom: vrrp.Never, worseFrom: vrrp.Never, failsFrom: vrrp.Never}
	r.forgetBursts()
	return r
}

func (r *ruled) forgetBursts() {
	r.rivalAt = -1 << 62
	for i := range r.bursts {
		r.bursts[i] = -1 << 62
	}
}

// ages is a rest that was jumped over.
func (w *watch) ages(d time.Duration) {
	for i := range w.nodes {
		w.nodes[i].fell = w.nodes[i].fell.Add(-d)
	}
}

// begun is a new process that has done its first steps. It is Active if it was right
// to resume, and only then (rule 7).
func (w *watch) begun(n *node, resumes bool) {
	r := newRuled()
	r.begunAt, r.hold = w.c.now, minHold
	if n.api.grade == vrrp.Ready {
		r.readyFrom = w.c.now
	}
	w.nodes[n.id].ruled = r
	mustNot := n.cfg.ReleaseOnDown && n.api.grade == vrrp.Down || n.api.starts
	if active := n.m.State() == vrrp.Active; active != (resumes && !mustNot) {
		w.breaks("resume", "n%d begins as %s; that it resumes is %t", n.id+1, n.m.State(), resumes)
	}
}

// judged holds the judge to its pace (rule 2), and counts falls for checkRise.
func (w *watch) judged(n *node, v health.Verdict) {
	r, was := &w.nodes[n.id].ruled, n.api.grade
	if was == vrrp.Ready && v.Grade == vrrp.Degraded {
		if well := max(n.api.seen[vrrp.Ready], r.begunAt); w.c.since(well) < degradeAfter {
			w.breaks("patience", "n%d is judged degraded %v after it was ready", n.id+1, w.c.since(well))
		}
	}
	switch {
	case n.api.heard && was == vrrp.Ready && v.Grade < vrrp.Ready:
		r.hold = min(2*r.hold, maxHold)
		if w.c.since(r.fell) > quietAfter {
			r.hold = minHold
		}
		r.fell, r.readyFrom = w.c.now, vrrp.Never
	case v.Grade == vrrp.Ready && was != vrrp.Ready:
		r.readyFrom = w.c.now
	}
}

// wanted: who takes over advertises, puts the address and announces it, in this order
// (rule 5), so that the other yields before the network is told.
func (w *watch) wanted(n *node, all []vrrp.Effect) {
	claim := slices.IndexFunc(all, func(f vrrp.Effect) bool { return f.Kind == vrrp.Claim })
	if claim < 0 {
		return
	}
	sent := false
	for i, f := range all {
		sent = sent || f.Kind == vrrp.Send && i < claim
		if f.Kind == vrrp.Announce && i < claim {
			w.breaks("order", "n%d announces the address before it has it", n.id+1)
		}
	}
	if rises := slices.ContainsFunc(all, becomesActive); rises && !sent {
		w.breaks("order", "n%d takes the address before it has advertised", n.id+1)
	}
}

func becomesActive(f vrrp.Effect) bool {
	return f.Kind == vrrp.Changed && f.Transition.To == vrrp.Active
}

// checkRise: nobody takes over from a living Active but by the rules of rule 2.
func (w *watch) checkRise(n *node, t vrrp.Transition) {
	r := &w.nodes[n.id].ruled
	r.forgetBursts()
	band, own := vrrp.GradeOf(t.Priority), n.m.Grade()
	switch t.Cause {
	case vrrp.CausePreempt:
		if own != vrrp.Ready || band != vrrp.Ready || t.Priority >= n.m.Priority() || !n.cfg.Preempt {
			w.breaks("preemption", "n%d (%s, %d) preempts one of priority %d", n.id+1, own, n.m.Priority(), t.Priority)
		}
		hold := r.hold
		if w.c.since(r.fell) > quietAfter {
			hold = minHold
		}
		if r.readyFrom == vrrp.Never || w.c.since(r.readyFrom) < hold {
			w.breaks("damping", "n%d preempts after having been ready for %v, want %v", n.id+1, w.c.since(r.readyFrom), hold)
		}
	case vrrp.CauseUnfit:
		if band >= own {
			w.breaks("preemption", "n%d is %s, and takes over from one of priority %d as if that were worse", n.id+1, own, t.Priority)
		}
		if n.api.seen[min(band+1, vrrp.Ready)] < r.worseFrom {
			w.breaks("fresh probe", "n%d takes over for its better grade, and no probe has confirmed it since", n.id+1)
		}
	}
}

// hearing is an advertisement that n is about to deal with.
func (w *watch) hearing(n *node, a vrrp.Advert) {
	r := &w.nodes[n.id].ruled
	r.sentWas, r.before, r.was, r.mute = r.sent, w.c.since(n.sentAt), n.m.State(), r.failsFrom != vrrp.Never
	switch {
	case a.Priority == vrrp.PriorityLeave:
	case n.cfg.Preempt && vrrp.GradeOf(a.Priority) == vrrp.Ready && a.Priority < n.m.Priority():
		// It need not be worse any more: a takeover in view goes on, as a preemption.
	case vrrp.GradeOf(a.Priority) >= n.m.Grade():
		r.worseFrom = vrrp.Never
	case r.worseFrom == vrrp.Never:
		r.worseFrom = a.At
	}
}

// heard checks what an Active makes of an advertisement: a mute one yields to any
// (rule 7), the others do not answer more often than four times per interval (rule 8).
func (w *watch) heard(n *node, a vrrp.Advert) {
	r := &w.nodes[n.id].ruled
	if r.was != vrrp.Active || n.m.State() != vrrp.Active || a.Priority == vrrp.PriorityLeave {
		return
	}
	if r.mute {
		w.breaks("mute", "n%d cannot send, hears %s, and stays Active", n.id+1, w.c.node(a.Src))
	}
	if r.sent > r.sentWas && r.before < n.cfg.AdvertInterval/4 {
		w.breaks("answers", "n%d answers %v after its last advertisement", n.id+1, r.before)
	}
}

// sends is an advertisement that goes out. Priority 0 is for those who leave (rule 5).
func (w *watch) sends(n *node, priority uint8) {
	r := &w.nodes[n.id].ruled
	r.sent++
	r.failsFrom = vrrp.Never
	if vrrp.GradeOf(priority) == vrrp.Down {
		r.downAt = w.c.now
	}
	if priority == vrrp.PriorityLeave && n.running && r.stepped == vrrp.Active && n.m.State() == vrrp.Active {
		w.breaks("leave", "n%d says that it leaves, and stays Active", n.id+1)
	}
}

// cannotSend is one that does not.
func (w *watch) cannotSend(n *node) {
	if r := &w.nodes[n.id].ruled; n.m.State() == vrrp.Active {
		r.failsFrom = min(r.failsFrom, w.c.now)
	}
}

// wakes is the end of a stall, awake when all that waited has been dealt with. An
// Active that slept for more than three intervals is it no more if another has
// spoken, whatever its priority (rule 7), and has not left again.
func (w *watch) wakes(n *node) {
	r := &w.nodes[n.id].ruled
	r.wokeAt, r.overdue = w.c.now, false
	if n.m.State() != vrrp.Active || w.c.since(n.sentAt) <= 3*n.cfg.AdvertInterval {
		return
	}
	left := make(map[netip.Addr]bool)
	for _, a := range n.received {
		left[a.Src] = left[a.Src] || a.Priority == vrrp.PriorityLeave
	}
	for _, gone := range left {
		r.overdue = r.overdue || !gone
	}
}

func (w *watch) awake(n *node) {
	if s := &w.nodes[n.id]; s.overdue && s.leftAt != w.c.now {
		w.breaks("stall", "n%d slept, another has spoken, and it did not yield", n.id+1)
	}
}

// announces: no more than one burst of two per second is provoked, beside that of a
// claim; against a rival that hears nothing, ten (rule 8).
func (w *watch) announces(n *node) {
	b := &w.nodes[n.id].bursts
	copy(b[1:], b[:])
	b[0] = w.c.now
	r := &w.nodes[n.id].ruled
	if n.m.Rival(w.c.now).Count > 0 || w.c.since(w.nodes[n.id].roseAt) <= time.Second {
		r.rivalAt = w.c.now
	}
	most := 5
	if w.c.since(r.rivalAt) < time.Second {
		most = len(b)
	}
	if last := b[most-1]; w.c.since(last) < time.Second && w.c.since(w.nodes[n.id].wokeAt) > time.Second {
		w.breaks("announcements", "n%d announces itself %d times in %v", n.id+1, most, w.c.since(last))
	}
}

// expired: only who hangs or is gone loses the address to its lease (rule 6).
func (w *watch) expired(n *node) {
	if n.live() && n.m.Holding() {
		w.breaks("renewal", "the lease of n%d ran out, although it lives", n.id+1)
	}
}

// checkRules checks what must be so of a node between any two events.
func (w *watch) checkRules(n *node, s *watched) {
	bare := n.live() && n.m.State() == vrrp.Active && n.api.told && n.linkUp() && !n.iface.held
	since(&s.bareFrom, bare, w.c.now)
	if bare && w.c.since(s.bareFrom) > maxWatch+maxLate+netlinkSlack {
		w.breaks("without address", "n%d has been Active without the address for %v", n.id+1, w.c.since(s.bareFrom))
	}
	if n.live() && n.cfg.ReleaseOnDown && n.api.heard && n.api.grade == vrrp.Down && n.m.State() == vrrp.Active {
		w.breaks("unready", "n%d is down and should release, but is Active", n.id+1)
	}
	w.checkFall(n, s)
	w.checkLeaver(n, s)
}

// checkFall: a crash is seen at once, a hang after three probes (rule 4).
func (w *watch) checkFall(n *node, s *watched) {
	if !falls(n) {
		return
	}
	from, allowed := n.api.since, maxDeath
	if n.api.truth == hung {
		allowed = fall*probeEach + headStart + aliveTimeout
	}
	if seen := max(s.begunAt, s.wokeAt); seen > from {
		from, allowed = seen, max(allowed, probeEach+maxProbe)
	}
	if w.c.since(from) > allowed+maxLate {
		w.breaks("fall", "the API server of n%d has been %s for %v, and it ranks as %s", n.id+1, n.api.truth, w.c.since(from), n.api.grade)
	}
}

// falls reports whether n's rank is to fall, and has not.
func falls(n *node) bool {
	return n.live() && n.api.grade != vrrp.Down && n.api.truth >= hung
}

// checkLeaver: who leaves says so in each interval until somebody succeeds (rule 5).
func (w *watch) checkLeaver(n *node, s *watched) {
	if !leaves(n, s) || max(n.heardAt, s.told) >= s.leftAt {
		return
	}
	if quiet := w.c.since(max(n.sentAt, w.faultAt)); quiet > n.cfg.AdvertInterval+2*maxLate {
		w.breaks("leaver", "n%d leaves, nobody succeeds, and it has not said so for %v", n.id+1, quiet)
	}
}

// leaves reports whether n leaves, and can say so.
func leaves(n *node, s *watched) bool {
	if !n.running || n.stalled || n.m.State() == vrrp.Active || !n.m.Holding() || n.sendFails || !n.linkUp() {
		return false
	}
	return s.left == vrrp.CauseShutdown || s.left == vrrp.CauseUnready
}
