package vrrp

// becomeActive advertises before it claims, so that another Active yields before
// the network is told (RFC 9568, section 6.4.2, (360) to (380)).
func (m *Machine) becomeActive(now Instant, c Cause, by Advert) {
	m.clearTimers()
	m.challenge, m.rival = false, Rival{}
	m.lowerFrom = Never
	m.roseAt, m.spokeAt = now, Never
	if c == CauseUnfit || c == CausePreempt {
		m.tookAt = now
		if now.Sub(by.At) <= by.Interval+lastWordsApart { // or it is gone, and takes over if it speaks
			m.deposed, m.lastWord = by, now.Add(lastWordWithin)
		}
	}
	m.interval = m.cfg.AdvertInterval
	m.advertise(now)
	m.adverAt = m.aligned(now)
	if m.permitted || m.holding {
		m.claim(now)
	}
	m.change(Active, c, by)
}

// aligned returns when to advertise next after an advertisement at now: an interval later,
// or with Align before that, at a whole number of intervals. So the routers of a node
// wake it and its Backups together, and those rise together if it dies.
func (m *Machine) aligned(now Instant) Instant {
	if !m.cfg.Align {
		return now.Add(m.interval)
	}
	return (now/Instant(m.interval) + 1) * Instant(m.interval)
}

// afterTick returns when to advertise next after Adver_Timer has run.
func (m *Machine) afterTick(now Instant) Instant {
	if m.cfg.Align {
		return m.aligned(now)
	}
	return next(m.adverAt, m.interval, now)
}

func (m *Machine) claim(now Instant) {
	m.holding = true
	m.do(Claim)
	m.announceFromStart(now)
}

// announceFromStart begins the schedule of announcements anew.
func (m *Machine) announceFromStart(now Instant) {
	m.scheduleAt, m.step, m.restart = now, 0, false
	m.announceNow(now)
}

// announceNow announces, and sets when to do so next.
func (m *Machine) announceNow(now Instant) {
	m.do(Announce)
	m.announcedAt = now
	if m.restart && m.provokedAt.Add(announceGap) <= now {
		m.scheduleAt, m.step, m.restart = now, 0, false
		m.provokedAt = now
	}
	for m.step < len(announceSchedule) && m.scheduleAt.Add(announceSchedule[m.step]) <= now {
		m.step++
	}
	m.announceAt = now.Add(announceRefresh)
	if m.step < len(announceSchedule) {
		m.announceAt = m.scheduleAt.Add(announceSchedule[m.step])
	}
	if m.restart {
		m.announceAt = min(m.announceAt, m.provokedAt.Add(announceGap))
	}
}

// announceSoon announces now, or a second after the last time that it was provoked
// to, and goes on as after a claim: the competitor may announce itself once more before
// it yields, and answers for as long as it lingers.
func (m *Machine) announceSoon(now Instant) {
	if m.state != Active || !m.holding {
		return
	}
	m.restart = true
	if at := m.provokedAt.Add(announceGap); at > now {
		m.announceAt = min(m.announceAt, at)
		return
	}
	m.announceNow(now)
}

// contested announces again against another claim. It waits for more than an
// interval first: the other may be a successor whose advertisement was lost, and
// until that is known this router still answers. A rival is known to be none, and
// hears nothing, and a predecessor whose host stood still may announce what it was
// about to: against those this router has the last word.
func (m *Machine) contested(now Instant) {
	if m.state != Active || !m.holding {
		return
	}
	m.restart = true
	wait := min(m.interval+m.interval/2, announceGap)
	at := max(now.Add(wait), m.provokedAt.Add(announceGap))
	if m.Rival(now).Count > 0 || now.Sub(m.tookAt) <= announceGap {
		at = max(now, m.announcedAt.Add(lastWordGap))
	}
	m.announceAt = min(m.announceAt, at)
}

func (m *Machine) advertise(now Instant) { m.send(now, m.Priority()) }

func (m *Machine) send(now Instant, priority uint8) {
	m.put(Effect{Kind: Send, Priority: priority})
	m.sentAt = now
}

// tickActive runs the timers of Active (RFC 9568, section 6.4.3).
func (m *Machine) tickActive(now Instant) {
	if due := min(m.adverAt, m.askAt); due <= now {
		m.advertise(now)
		if m.adverAt <= now {
			m.adverAt = m.afterTick(now)
		}
		if m.askAt <= now {
			m.askAt = Never
		}
		if now.Sub(due) > m.interval { // this node stood still
			m.announceSoon(now)
		}
	}
	if m.announceAt <= now {
		m.announceNow(now)
	}
	if m.muteDeadline() <= now {
		m.muteTold = true
		m.put(Effect{Kind: Muted, On: true})
	}
}

// received is ADVERTISEMENT received, in any state.
func (m *Machine) received(now Instant, a Advert) {
	switch m.state {
	case Initialize:
		if m.stopping && now > m.yieldingTill {
			m.succeededBy(a)
		}
	case Backup:
		m.receivedBackup(now, a)
	case Active:
		m.receivedActive(now, a)
	}
}

// receivedActive is ADVERTISEMENT received in Active (RFC 9568, section 6.4.3).
func (m *Machine) receivedActive(now Instant, a Advert) {
	if a.Priority == PriorityLeave {
		if m.stalled(now) {
			return // an answer would make this router look awake to what is queued behind
		}
		m.advertise(now)
		m.adverAt = m.aligned(now)
		m.announceSoon(now) // it was Active beside us: hosts may know its address still
		return
	}
	switch {
	case m.Mute():
		m.muteRefrain = now.Add(muteBackoff)
		m.send(now, PriorityLeave)
		m.yield(CauseMute, a)
	case m.stalled(now):
		a.At = max(a.At, now.Add(-lingerAfterAdvert)) // it was queued: its sender has had its time, but not ours
		m.send(now, PriorityLeave)                    // the winner has to announce again, but must not yield to a higher priority
		m.yield(CauseStalled, a)
		m.wake(now)
	case m.farewell(now, a):
		m.answer(now)
		if m.beatenBy(a) {
			m.askAgain(now)
		}
	case m.beatenBy(a):
		cause := CauseTieBreak
		if a.Priority > m.Priority() {
			cause = CauseOutranked
		}
		m.advertise(now) // so that the winner knows that it has to announce again
		m.yield(cause, a)
	default:
		m.defend(now, a)
	}
}

// stalled reports whether this Active router was silent for so long that another may have
// taken over.
func (m *Machine) stalled(now Instant) bool { return now.Sub(m.sentAt) > 3*m.interval }

// farewell reports whether a is the last word of the router that this one took over
// from, or has answered, which advertises once more before it yields. If this node has
// fallen since, that would beat it, and both would yield to each other. So would one that
// beats it only since it fell, and cannot have taken over for that: it is no better, for
// nobody takes over within a grade, or Skew_Time has not passed. If it was no farewell
// the next one settles it.
func (m *Machine) farewell(now Instant, a Advert) bool {
	last := m.deposed
	if a.Src == last.Src && a.Priority <= last.Priority && now <= m.lastWord && m.fellAt <= m.spokeAt {
		m.lastWord = min(m.lastWord, now.Add(lastWordsApart))
		m.spokeAt = min(m.spokeAt, now)
		return true
	}
	since := now.Sub(m.fellAt)
	return since <= lastWordsApart && a.below(m.fellFrom, m.cfg.Addr) &&
		(GradeOf(a.Priority) <= m.Grade() || since < skew(a.Priority, m.interval))
}

// beatenBy reports whether a would have this router yield, were it not the last word.
func (m *Machine) beatenBy(a Advert) bool {
	return a.Priority > m.Priority() || a.Priority == m.Priority() && a.Src.Compare(m.cfg.Addr) > 0
}

// askAgain advertises as soon as one that goes on, and did not answer a moment ago, answers
// again. So two that are Active for a misunderstanding settle it before an interval ends.
// Adver_Timer goes on beside it: what is due sooner may come too soon to be answered.
func (m *Machine) askAgain(now Instant) {
	m.askAt = min(m.askAt, now.Add(m.interval/answersPerInterval+2*lastWordsApart))
}

// mayBeLeaving expects the last word of a rival whose first this router has just answered.
func (m *Machine) mayBeLeaving(r Rival) {
	if until := r.last.Add(lastWordsApart); r.Count == 1 && until > m.lastWord {
		m.deposed, m.lastWord, m.spokeAt = Advert{Src: r.Addr, Priority: r.Priority}, until, Never
	}
}

// yield becomes Backup to the sender of a. The addresses linger.
func (m *Machine) yield(c Cause, a Advert) {
	m.quitActive(Backup, c, a)
	m.accept(a)
	if !m.cfg.Linger {
		m.letGo()
	}
	m.succeededBy(a)
}

// wake begins anew after a stall: what this node knew of itself and of the others
// is old, and so is what is still queued.
func (m *Machine) wake(now Instant) {
	m.readyFrom, m.heardAt = now, now
	m.armDown()
}

func (m *Machine) succeededBy(a Advert) {
	if a.Priority != PriorityLeave {
		m.succeeded(a.At)
	}
}

// defend answers a lower advertisement at once (new in RFC 9568), and announces
// again, for the loser's announcement may have been the network's last word.
func (m *Machine) defend(now Instant, a Advert) {
	if m.rival.Addr != a.Src || now.Sub(m.rival.last) > 4*m.interval {
		m.rival = Rival{Addr: a.Src, Since: now}
	}
	m.rival.Count++
	m.rival.Priority, m.rival.last = a.Priority, now
	m.answer(now)
}

// answer tells a competitor, and the network, who is Active.
func (m *Machine) answer(now Instant) {
	if now.Sub(m.sentAt) >= m.interval/answersPerInterval {
		m.advertise(now)
	}
	m.announceSoon(now)
}

// reconsiderActive tells the peers at once what this node is worth now. It goes
// on holding the addresses until a better one takes over, unless it must not.
func (m *Machine) reconsiderActive(now Instant, was uint8) {
	if m.cfg.ReleaseOnDown && m.grade == Down && !m.stopping {
		m.leave(now, Backup, CauseUnready)
		return
	}
	if m.Priority() != was {
		fell, rival := m.Priority() < was, m.Rival(now)
		if fell && !m.Mute() && !m.stalled(now) { // or nobody knows of that priority
			m.noteFall(now, was)
		}
		m.mayBeLeaving(m.rival)
		m.advertise(now)
		m.adverAt = m.aligned(now)
		if fell && rival.Count > 0 {
			m.askAgain(now)
		}
	}
}

// noteFall notes from which priority this node fell, and when. A second step belongs to
// the first: so do Backups count.
func (m *Machine) noteFall(now Instant, was uint8) {
	if was >= m.fellFrom || now.Sub(m.fellAt) > lastWordsApart {
		m.fellFrom, m.fellAt = was, now
	}
}

// permit lets the addresses onto the interface, or has them taken off once a
// successor has had the time to take over. Without them a router is not Active: a
// node that is no better may be able to hold them.
func (m *Machine) permit(now Instant, on bool) {
	if m.permitted == on {
		return
	}
	wasEligible := m.Eligible()
	m.permitted, m.urgent, m.withdrawAt = on, false, Never
	if !on && m.holding {
		m.withdrawAt = now.Add(withdrawAfter)
	}
	m.becameFit(now, wasEligible)
	if m.state == Backup {
		m.reconsiderBackup(now)
	}
}

// withdraw takes the addresses off: K3s is about to start here, or is not there.
func (m *Machine) withdraw(now Instant) {
	if m.state == Active {
		m.leave(now, Backup, CauseWithheld)
	}
	m.letGo()
}

// withdrawNow does not leave a successor the time. A router that does not hold may
// be about to resume.
func (m *Machine) withdrawNow(now Instant) {
	m.urgent = !m.permitted
	if m.urgent && m.holding {
		m.withdraw(now)
	}
}

// addressLost puts the addresses back.
func (m *Machine) addressLost(now Instant) {
	if m.state == Active && m.holding {
		m.do(Claim)
		m.announceSoon(now)
	}
}

func (m *Machine) sendFailed(now Instant) {
	if m.state == Active {
		m.muteFrom = min(m.muteFrom, now)
	}
}

func (m *Machine) unmute() {
	m.muteFrom = Never
	if m.muteTold {
		m.muteTold = false
		m.put(Effect{Kind: Muted})
	}
}

// muteDeadline is when the operator is told that nothing goes out.
func (m *Machine) muteDeadline() Instant {
	if m.muteFrom == Never || m.muteTold {
		return Never
	}
	return m.muteFrom.Add(3 * m.interval)
}
