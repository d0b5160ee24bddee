package vrrp

import "time"

// risesAt returns when this Backup wants to become Active, as things stand.
func (m *Machine) risesAt() Instant {
	if !m.Eligible() {
		return Never
	}
	if m.rise.at != Never && m.confirmed() {
		return min(m.rise.at, m.downAt)
	}
	return m.downAt
}

// confirmed reports whether a takeover in view has the evidence that it needs: a
// probe that began after the Active's advertisement found this node better. So
// what ails both, like a lost datastore, does not move the addresses.
func (m *Machine) confirmed() bool {
	if !m.rise.needProbe {
		return true
	}
	for g := GradeOf(m.rise.heard.Priority) + 1; g <= m.Grade(); g++ {
		if m.evidence[g] >= m.rise.from {
			return true
		}
	}
	return false
}

// tickBackup is the expiry of the Active_Down_Timer, or of a takeover in view
// (RFC 9568, section 6.4.2).
func (m *Machine) tickBackup(now Instant) {
	if m.risesAt() > now {
		return
	}
	if m.rise.at <= now && m.confirmed() {
		m.becomeActive(now, m.rise.cause, m.rise.heard)
		return
	}
	if m.challenge {
		m.becomeActive(now, CausePreempt, m.heard)
		return
	}
	m.becomeActive(now, CauseSilence, m.heard)
}

// skew is this router's Skew_Time for interval a.
func (m *Machine) skew(a time.Duration) time.Duration { return skew(m.Priority(), a) }

// skew is Skew_Time (RFC 9568, section 6.1).
func skew(priority uint8, a time.Duration) time.Duration {
	return time.Duration(256-int(priority)) * a / 256
}

// spread is this node's share of the time over which Backups of equal priority
// rise, so that they seldom do at once.
func (m *Machine) spread(a time.Duration) time.Duration {
	if !m.cfg.Spread {
		return 0
	}
	h := uint32(2166136261) // FNV-1a, and a last mix, for neighbours differ in the last byte alone
	for _, b := range m.cfg.Addr.As16() {
		h = (h ^ uint32(b)) * 16777619
	}
	h = (h ^ h>>16) * 0x85ebca6b
	h = (h ^ h>>13) * 0xc2b2ae35
	h ^= h >> 16
	return time.Duration(uint64(a/spreadPart) * uint64(h) >> 32)
}

// armDown sets the Active_Down_Timer from the last accepted advertisement.
func (m *Machine) armDown() { m.downAt = m.inTurn(m.heardAt.Add(3 * m.interval)) }

// inTurn returns when this Backup may rise if it could from the given instant on.
// Nodes that become fit together rise in the order of their priorities too.
func (m *Machine) inTurn(from Instant) Instant {
	return max(from, m.fitFrom).Add(m.skew(m.interval) + m.spread(m.interval))
}

// receivedBackup is ADVERTISEMENT received in Backup (RFC 9568, section 6.4.2).
func (m *Machine) receivedBackup(now Instant, a Advert) {
	if (m.holding || m.leaveUntil != Never) && now > m.yieldingTill {
		m.succeededBy(a)
	}
	if a.Priority == PriorityLeave {
		if !m.overheard(a) {
			m.riseSoon(a, CauseLeft)
		}
		return
	}
	if m.rise.at == Never && m.overheard(a) {
		return
	}
	band, own := GradeOf(a.Priority), m.Grade()
	if band < own && m.mayChallenge(now) {
		m.heardWorse(a)
		return
	}
	if band == own && own == Ready && a.Priority < m.Priority() && m.mayPreempt(now) {
		m.challenge = true
		m.heard = a
		if m.rise.needProbe {
			m.rise.at = Never // it is ready again
		}
		return
	}
	if a.Priority >= m.Priority() {
		m.lowerFrom = Never // an equal or higher one cancels preempt_delay, or equals would flip-flop
	}
	m.accept(a)
}

// accept lets the sender be Active: its interval governs, and the timer restarts.
func (m *Machine) accept(a Advert) {
	m.heard, m.heardAt, m.interval = a, a.At, a.Interval
	m.challenge = false
	m.rise.at = Never
	m.armDown()
}

// heardWorse handles an Active whose API server is worse than ours. It is alive,
// so the Down timer restarts; but we rise after Skew_Time, as if it had left,
// once a fresh probe has confirmed that we are better. Advertisements that follow
// do not push that back.
func (m *Machine) heardWorse(a Advert) {
	if m.overheard(a) {
		return
	}
	pending := m.rise
	m.accept(a)
	if pending.at != Never && pending.needProbe {
		m.rise.heard = a
		m.rise.at = min(pending.at, m.mayRise(a, pending.from))
		if GradeOf(a.Priority) < GradeOf(pending.heard.Priority) {
			m.do(Probe) // it fell further: now there is no time to wait for one that may hang
		}
		return
	}
	m.riseSoon(a, CauseUnfit)
	if GradeOf(a.Priority) == Down {
		m.rise.at = min(m.rise.at, pending.at) // of one that left; a degraded one has succeeded it
	}
	m.do(Probe)
}

// overheard reports whether a comes from the loser of a split, saying so once
// before it yields to the Active that this Backup follows. That one deals with it;
// were it accepted, its interval would govern, which may be too short for the other.
func (m *Machine) overheard(a Advert) bool {
	if !m.heard.Src.IsValid() || m.heard.Src == a.Src || a.At >= m.heard.At.Add(m.heard.Interval) {
		return false
	}
	return a.below(m.heard.Priority, m.heard.Src)
}

// riseSoon has this Backup rise after Skew_Time, never later than was in view.
func (m *Machine) riseSoon(a Advert, c Cause) {
	if c == CauseLeft && m.rise.at != Never && !m.rise.needProbe {
		return
	}
	m.rise = rise{at: min(m.mayRise(a, a.At), m.rise.at), cause: c, heard: a, needProbe: c == CauseUnfit, from: a.At}
}

// mayRise returns when this Backup may take over from the sender of a, whose advertisement
// of the given time was the first to say that it leaves or is worse. A degraded one still
// serves: if it becomes ready soon after this node did, the addresses need not move, and
// the better Backup is left the time for a probe that takes longer than the others'.
func (m *Machine) mayRise(a Advert, from Instant) Instant {
	if GradeOf(a.Priority) != Degraded {
		return m.inTurn(from)
	}
	return m.inTurn(max(from, m.readyFrom.Add(healWait))).Add(min(patience*m.skew(m.interval), maxPatience))
}

// mayChallenge reports whether this node may take over from a living Active. One
// that could not send does not, for a while: it would be heard by nobody.
func (m *Machine) mayChallenge(now Instant) bool { return m.Eligible() && now >= m.muteRefrain }

// mayPreempt reports whether this node may take over from a ready Active of
// lower priority that it hears now. It begins to count preempt_delay.
func (m *Machine) mayPreempt(now Instant) bool {
	if !m.mayChallenge(now) {
		return false
	}
	if m.cfg.Priority == PriorityOwner {
		return true
	}
	if !m.cfg.Preempt || now.Sub(m.readyFrom) < m.hold {
		return false
	}
	m.lowerFrom = min(m.lowerFrom, now)
	return now.Sub(m.lowerFrom) >= m.cfg.PreemptDelay
}

// reconsiderBackup computes the timers anew after this node's worth has changed.
func (m *Machine) reconsiderBackup(now Instant) {
	if m.rise.at != Never {
		m.rise.at = m.mayRise(m.rise.heard, m.rise.from)
	}
	if m.rise.needProbe && GradeOf(m.rise.heard.Priority) >= m.Grade() {
		m.rise.at = Never
	}
	if m.challenge && (m.Grade() != Ready || m.heard.Priority >= m.Priority() || !m.mayPreempt(now)) {
		m.challenge = false
		m.heardAt, m.interval = m.heard.At, m.heard.Interval // what was discarded shows that its sender is alive
	}
	m.armDown()
}
