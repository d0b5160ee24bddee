package sim

import (
	"time"

	"github.com/vipd/vipd/vrrp"
)

// check checks all invariants that are about states. Those about steps are
// checked when the step is taken: checkStill, checkBeenReady, checkQuiet,
// checkSilence, released, and most of those in rules.go. Something has happened to
// n; nil: to any node.
func (w *watch) check(n *node) {
	if w.idle(n) {
		return
	}
	for i, n := range w.c.nodes {
		w.note(n, &w.nodes[i])
		w.checkStale(n, &w.nodes[i])
		w.checkRules(n, &w.nodes[i])
	}
	w.checkTwoActives()
	w.checkNowhere()
	w.checkPrompt()
	w.checkSettled()
	w.checkClients()
	w.looked()
}

// note keeps the times that the invariants need.
func (w *watch) note(n *node, s *watched) {
	since(&s.couldAt, could(n), w.c.now)
	since(&s.readyFrom, n.running && (n.m.Grade() == vrrp.Ready || n.api.grade == vrrp.Ready || n.demoted), w.c.now)
	since(&s.barredAt, n.iface.held && n.live() && !n.api.told, w.c.now)
	since(&s.startsAt, n.iface.held && n.live() && n.api.starts, w.c.now)
	runs := n.running && !n.stalled
	since(&s.idleFrom, n.iface.held && runs && n.m.State() != vrrp.Active, w.c.now)
	since(&s.goneFrom, n.iface.held && !runs, w.c.now)
	if !n.running {
		return
	}
	if p := n.m.Priority(); p != s.priority {
		w.noteFall(n, s, p)
		s.sankAt = vrrp.Never
		if p < s.priority && n.m.State() == vrrp.Active {
			s.sankAt = w.c.now
		}
		s.priority, s.rankedAt = p, w.c.now
		for i := range w.nodes {
			w.beside[min(i, n.id)][max(i, n.id)] = vrrp.Never
		}
	}
	s.sentAt = n.sentAt
}

// noteFall notes that an Active's grade has fallen, unless an advertisement from
// before may arrive after the one that says so, or nothing goes out.
func (w *watch) noteFall(n *node, s *watched, priority uint8) {
	s.fellAt = vrrp.Never
	fell := vrrp.GradeOf(priority) < vrrp.GradeOf(s.priority)
	if fell && n.m.State() == vrrp.Active && !n.m.Mute() && w.c.since(s.sentAt) > w.net().maxDelay && w.net().dup == 0 {
		s.fellAt = w.c.now
	}
}

// since keeps in t when a condition began to be true.
func since(t *vrrp.Instant, holds bool, now vrrp.Instant) {
	switch {
	case !holds:
		*t = vrrp.Never
	case *t == vrrp.Never:
		*t = now
	}
}

// checkStale: no node that is not Active keeps the address. A Backup lingers
// for 100 ms after its successor's first advertisement, a leaver waits 4A + 0.1 s
// for one; who does not run any more has a lease. A node whose K3s has
// ended has a second to withdraw, and no time once K3s starts.
func (w *watch) checkStale(n *node, s *watched) {
	allowed := linger
	if s.left == vrrp.CauseShutdown || s.left == vrrp.CauseUnready {
		allowed = w.bounds.leave
	}
	w.checkStaleFrom(n, "stale holder", s.idleFrom, allowed)
	w.checkStaleFrom(n, "lease", s.goneFrom, lease+maxSweep)
	w.checkStaleFrom(n, "withdrawn", s.barredAt, maxDeath+withdraw)
	w.checkStaleFrom(n, "K3s starts", s.startsAt, 0)
}

func (w *watch) checkStaleFrom(n *node, invariant string, from vrrp.Instant, allowed time.Duration) {
	if from != vrrp.Never && w.c.now > from.Add(allowed+maxLate+netlinkSlack) {
		w.breaks(invariant, "n%d has held the address for %v, but may for %v", n.id+1, w.c.since(from), allowed)
	}
}

// checkTwoActives: two Actives that hear each other are one after the next
// advertisement of the higher.
func (w *watch) checkTwoActives() {
	for j, m := range w.c.nodes {
		for i, n := range w.c.nodes[:j] {
			t := &w.beside[i][j]
			both := n.live() && m.live() && n.m.State() == vrrp.Active && m.m.State() == vrrp.Active &&
				w.hears(i, j) && w.hears(j, i)
			since(t, both, w.c.now)
			if !both {
				continue
			}
			allowed := max(n.cfg.AdvertInterval, m.cfg.AdvertInterval) + w.bounds.delay
			if w.fellSinceTakeover(n, m) || w.fellSinceTakeover(m, n) {
				allowed += lastWordWithin
			}
			ranked := max(w.nodes[i].rankedAt, w.nodes[j].rankedAt).Add(lastWordsApart)
			if w.c.now > max(*t, ranked).Add(allowed) {
				w.breaks("two actives", "n%d and n%d have been Active side by side for %v (allowed: %v)", i+1, j+1, w.c.since(*t), allowed)
			}
			w.checkSuccession(n, m)
			w.checkSuccession(m, n)
			w.checkSunk(n, m)
			w.checkSunk(m, n)
		}
	}
}

// fellSinceTakeover reports whether heir has become worse since it took over from old. For a
// moment it takes what it hears from that one for its last word.
func (w *watch) fellSinceTakeover(heir, old *node) bool {
	s := &w.nodes[heir.id]
	return s.tookFrom == old.cfg.Addr && s.rankedAt > s.roseAt
}

// checkSuccession: who is taken over from because it is worse, or lower, yields to the
// first word of the other. One that was Active just before may be answering still. One that
// comes sooner than Skew_Time after a fall is taken for one that yields: it had the takeover
// in view before, for what said that the other is well again was overtaken on its way.
func (w *watch) checkSuccession(old, heir *node) {
	s := &w.nodes[heir.id]
	from := max(s.roseAt, w.nodes[old.id].wokeAt, w.nodes[old.id].rankedAt, s.rankedAt)
	if s.tookFrom != old.cfg.Addr || w.quietFrom() >= s.roseAt || heir.sendFails || w.net().loss > 0 || w.net().dup > 0 || s.roseAt.Sub(s.leftAt) < time.Second {
		return
	}
	fell := w.nodes[old.id].sankAt
	if fell != vrrp.Never && s.roseAt.Sub(fell) < skewAt(heir, old.cfg.AdvertInterval) {
		return
	}
	if beats(heir, old) && w.c.since(from) > 2*w.bounds.delay {
		w.breaks("succession", "n%d took over from n%d %v ago, and that one is Active still", heir.id+1, old.id+1, w.c.since(s.roseAt))
	}
}

// mayMistake reports whether old, which yields to heir just after a fall, may take its last
// word for a takeover: Skew_Time is no longer than a word is under way, and has passed.
func (w *watch) mayMistake(old, heir *node) bool {
	fell := w.nodes[old.id].sankAt
	return fell != vrrp.Never && w.c.since(fell) <= lastWordsApart && skewAt(heir, old.cfg.AdvertInterval) <= 2*w.bounds.delay
}

// checkSunk: whose grade falls while another is Active that beats it from then on asks again
// if it took that one's answer for a last word, and does not wait for the end of an interval.
// Another that advertised so shortly before that it did not answer has that interval.
func (w *watch) checkSunk(n, better *node) {
	s, o := &w.nodes[n.id], &w.nodes[better.id]
	if s.sankAt == vrrp.Never || n.sendFails || better.sendFails || w.net().loss > 0 || w.net().dup > 0 || w.quietFrom() > s.sankAt {
		return
	}
	if better.sentAt <= s.sankAt || w.c.since(better.sentAt) <= 2*w.bounds.delay {
		return
	}
	if p := better.m.Priority(); p < s.priority || p == s.priority && better.cfg.Addr.Less(n.cfg.Addr) {
		return
	}
	allowed := max(n.cfg.AdvertInterval, better.cfg.AdvertInterval)/answersPerInterval + 3*lastWordsApart + 3*w.bounds.delay
	if n.cfg.AdvertInterval < better.cfg.AdvertInterval {
		allowed += n.cfg.AdvertInterval // the first that it asks may come too soon
	}
	if w.fellSinceTakeover(n, better) {
		allowed += lastWordWithin
	}
	if from := max(s.sankAt, s.roseAt, o.roseAt, o.rankedAt); w.c.since(from) > allowed {
		w.breaks("sunk", "n%d fell %v ago and is Active still, beside n%d, which is better (allowed: %v)", n.id+1, w.c.since(from), better.id+1, allowed)
	}
}

// checkNowhere: where a node lives that has been ready, the VIP is nowhere for
// no longer than it takes the first Backup to miss the Active.
func (w *watch) checkNowhere() {
	for p := range w.nodes {
		held, due := false, vrrp.Never
		for n := range w.mates(p) {
			held = held || n.iface.held
			if could(n) {
				due = min(due, w.dueAt(n))
			}
		}
		since(&w.nowhere[p], !held && due != vrrp.Never, w.c.now)
		if w.nowhere[p] != vrrp.Never && w.c.now > due.Add(w.bounds.delay+netlinkSlack) {
			w.breaks("never nowhere", "nobody beside n%d has held the address for %v, though one could", p+1, w.c.since(w.nowhere[p]))
		}
	}
}

// dueAt is when a node must have taken the VIP, if nobody has had it and nothing
// has happened to the nodes since.
func (w *watch) dueAt(n *node) vrrp.Instant {
	s := &w.nodes[n.id]
	due := max(s.couldAt, w.faultAt).Add(w.bounds.downTime(n))
	return max(due, s.rankedAt)
}

// released checks make before break: who gives up the address to a successor, or
// while there is one, does so when the other has it.
func (w *watch) released(n *node) {
	s := &w.nodes[n.id]
	p := w.part[n.id]
	if !n.cfg.Linger || !n.api.told || s.mistook {
		w.faulted() // no linger, no longer, or no heir: from here on the others have the time that they need
		return
	}
	if p < 0 || w.net().loss > 0 || w.disturbedByFault(s.leftAt) || !planned(s.left) {
		return
	}
	successor := false
	for m := range w.mates(p) {
		if m.iface.held {
			return
		}
		successor = successor || m != n && w.nodes[m.id].couldAt <= s.leftAt
	}
	if successor {
		w.breaks("make before break", "n%d took the address off (%s) before anybody else had it", n.id+1, s.left)
	}
}

func (w *watch) net() *network { return &w.c.net }

// disturbedByFault reports whether something unplanned happened shortly before t or
// after it.
func (w *watch) disturbedByFault(t vrrp.Instant) bool {
	return max(w.faultAt, w.lossAt).Add(w.bounds.rise) >= t
}

func planned(c vrrp.Cause) bool {
	switch c {
	case vrrp.CauseShutdown, vrrp.CauseOutranked, vrrp.CauseTieBreak, vrrp.CauseUnready:
		return true
	}
	return false
}

// checkSettled: some time after the last thing that happened there is one Active
// in each component, and it is the right one.
func (w *watch) checkSettled() {
	if !w.settled() {
		return
	}
	for p := range w.nodes {
		w.checkSettledPart(p)
	}
}

func (w *watch) checkSettledPart(p int) {
	var active *node
	eligible := 0
	for n := range w.mates(p) {
		if !n.live() || !n.linkUp() {
			continue
		}
		if n.m.Eligible() {
			eligible++
		}
		if n.m.State() != vrrp.Active {
			continue
		}
		if active != nil {
			w.breaks("settle", "n%d and n%d are both Active", active.id+1, n.id+1)
		}
		active = n
	}
	if active == nil {
		if eligible > 0 {
			w.breaks("settle", "nobody beside n%d is Active", p+1)
		}
		return
	}
	if active.api.told && !active.iface.held {
		w.breaks("settle", "n%d is Active without the address", active.id+1)
	}
	for n := range w.mates(p) {
		if n.live() && n.linkUp() && n.m.Eligible() && beats(n, active) {
			w.breaks("settle", "n%d (%s, %d) is Active although n%d (%s, %d) is better", active.id+1,
				active.m.Grade(), active.m.Priority(), n.id+1, n.m.Grade(), n.m.Priority())
		}
	}
}

// beats reports whether n should take over from the Active a. A better grade must
// be confirmed by probes.
func beats(n, a *node) bool {
	if n.m.Grade() != a.m.Grade() {
		return min(n.m.Grade(), gradeOf(n.api.truth)) > a.m.Grade()
	}
	return n.m.Grade() == vrrp.Ready && n.cfg.Preempt && n.cfg.Priority > a.cfg.Priority
}

// checkQuiet: when all has settled, nothing moves; and before that no more than
// each node once for each thing that happened.
func (w *watch) checkQuiet(n *node, t vrrp.Transition) {
	if w.settled() {
		w.breaks("flapping", "n%d goes from %s to %s (%s), and nothing has happened for %v", n.id+1, t.From, t.To, t.Cause, w.c.since(w.quietFrom()))
	}
	if allowed := len(w.nodes) * (w.disturbances + w.losses); w.rises > allowed {
		w.breaks("flapping", "%d takeovers after %d disturbances", w.rises, w.disturbances)
	}
}

// checkStill: what ails all nodes moves nothing.
func (w *watch) checkStill(n *node, t vrrp.Transition) {
	if w.still {
		w.breaks("common cause", "n%d goes from %s to %s (%s), while all nodes are equally bad", n.id+1, t.From, t.To, t.Cause)
	}
}

// checkHealing: a node that has just become ready leaves the VIP to one that is degraded
// and serves: what ailed both of them may have healed. If somebody rose or yielded just
// now, the takeover may have been in view since before.
func (w *watch) checkHealing(n *node, t vrrp.Transition) {
	ready := w.c.since(w.nodes[n.id].readyFrom)
	if t.Cause != vrrp.CauseUnfit || ready >= healWait {
		return
	}
	other := -1
	for i, m := range w.c.nodes {
		s := &w.nodes[i]
		if w.c.since(max(s.roseAt, s.leftAt)) <= healWait+w.bounds.delay && m != n {
			return
		}
		if m.live() && m.m.State() == vrrp.Active && m.m.Grade() == vrrp.Down {
			return // it is Active beside the degraded one, which it does not hear, and need not be waited for
		}
		if m.cfg.Addr == t.Peer && m.live() && m.m.Grade() == vrrp.Degraded && w.c.since(max(s.rankedAt, s.downAt)) > healWait+w.bounds.delay {
			other = i
		}
	}
	if other >= 0 {
		w.breaks("healing", "n%d has been ready for %v and takes over from n%d, which is degraded", n.id+1, ready, other+1)
	}
}

// checkBeenReady: a node that has not been ready since its start never claims.
func (w *watch) checkBeenReady(n *node) {
	if !n.wasReady {
		w.breaks("never ready", "n%d becomes Active, and its API server has never been ready", n.id+1)
	}
}

// checkSilence: who takes over for silence has heard nothing for more than two
// intervals; what its socket holds counts as heard (C31).
func (w *watch) checkSilence(n *node, t vrrp.Transition) {
	least := w.bounds.interval
	for _, m := range w.c.nodes {
		least = min(least, m.cfg.AdvertInterval)
	}
	if t.Cause == vrrp.CauseSilence && w.c.since(n.heardAt) < 2*least {
		w.breaks("silence", "n%d takes over for silence %v after an advertisement", n.id+1, w.c.since(n.heardAt))
	}
}

// checkPrompt: when an Active's grade falls, a better node takes over after
// Skew_Time and a probe: the news is not left to the next advertisement (C60).
func (w *watch) checkPrompt() {
	for i, n := range w.c.nodes {
		s := &w.nodes[i]
		if s.fellAt == vrrp.Never || w.part[i] < 0 {
			continue
		}
		if !n.live() || n.m.State() != vrrp.Active || w.quietFrom() > s.fellAt || w.net().loss > 0 || w.betterActive(n) {
			s.fellAt = vrrp.Never
			continue
		}
		for m := range w.mates(w.part[i]) {
			if follows(m, n, s.fellAt) {
				s.fellAt = vrrp.Never
				break
			}
			if max(w.nodes[m.id].couldAt, w.nodes[m.id].rankedAt) > s.fellAt || !beats(m, n) {
				continue
			}
			from, skew := s.fellAt, w.bounds.skew(m)
			if n.m.Grade() == vrrp.Degraded {
				skew += min(patience*skew, maxPatience)
				from = max(from, max(w.nodes[m.id].rankedAt, w.nodes[m.id].wokeAt).Add(healWait))
			}
			if w.c.since(from) > skew+headStart+maxProbe+2*w.bounds.delay {
				w.breaks("prompt", "n%d fell to %s %v ago, and n%d has not taken over", i+1, n.m.Grade(), w.c.since(s.fellAt), m.id+1)
			}
		}
	}
}

// follows reports whether m heard another Active than n less than an interval before
// the given time: then n's word is one too many, and the next one counts.
func follows(m, n *node, at vrrp.Instant) bool {
	if !m.live() {
		return false
	}
	a, heardAt := m.m.Heard()
	return a.Src.IsValid() && a.Src != n.cfg.Addr && heardAt.Add(m.m.Interval()) > at
}

// betterActive reports whether a better node is Active beside n: the two settle it.
func (w *watch) betterActive(n *node) bool {
	for m := range w.mates(w.part[n.id]) {
		if m.live() && m.m.State() == vrrp.Active && beats(m, n) {
			return true
		}
	}
	return false
}

// checkClients: a client that the only Active reaches believes in it. After a
// claim or a beaten competitor the announcement at 2.2 s is the first that
// no locktime can be in the way of; where the network changed and nobody
// competed, the client finds out by itself or by the slow refresh.
func (w *watch) checkClients() {
	active := w.onlyActive()
	for _, cl := range w.c.clients {
		wrong := active != nil && active.iface.held && cl.reaches(active) && cl.entry != nil && cl.entry != active
		since(&cl.wrong, wrong, w.c.now)
		if !wrong {
			continue
		}
		allowed, from := refresh, max(cl.wrong, w.faultAt, cl.lostAt)
		if told := w.nodes[active.id].toldAt; told > max(w.faultAt, w.lossAt, cl.lostAt) && w.part[active.id] >= 0 {
			allowed, from = pastLocktime, told
		}
		if w.c.now > from.Add(allowed+w.bounds.delay+maxLate+netlinkSlack) {
			w.breaks("clients", "client %d still believes in n%d, but n%d is Active and told so %v ago", cl.id-len(w.nodes)+1,
				cl.entry.id+1, active.id+1, w.c.since(w.nodes[active.id].toldAt))
		}
	}
}

// onlyActive returns the one Active node of the whole cluster, or nil.
func (w *watch) onlyActive() *node {
	var active *node
	for _, n := range w.c.nodes {
		switch {
		case n.running && n.m.State() == vrrp.Active && active != nil:
			return nil
		case n.live() && n.m.State() == vrrp.Active:
			active = n
		}
	}
	return active
}
