package vrrp

import (
	"net/netip"
	"time"
)

// Times that are not the RFC's.
const (
	// lingerAfterAdvert is how long after its successor's first advertisement a
	// router keeps the addresses, unless the successor announces itself sooner.
	lingerAfterAdvert = 100 * time.Millisecond
	// leaveExtra and maxLeave bound how long a leaving router waits for a
	// successor: four intervals and a bit, so that every Backup's timer has run.
	leaveExtra = 100 * time.Millisecond
	maxLeave   = 60 * time.Second
	// withdrawAfter is how long an Active router whose addresses are no longer
	// permitted waits for a successor before it takes them off.
	withdrawAfter = time.Second
	// announceGap is the least time between two beginnings of the schedule that
	// competing routers provoke.
	announceGap = time.Second
	// lastWordGap is the least time before an announcement against one of a rival, who
	// does not hear that it is beaten, or of a predecessor that was late with it.
	lastWordGap = 100 * time.Millisecond
	// lastWordWithin is how soon a router that yields says so, after the advertisement
	// that it yields to.
	lastWordWithin = 100 * time.Millisecond
	// lastWordsApart is how soon after that another may follow: its grade may have
	// fallen in the same moment.
	lastWordsApart = 20 * time.Millisecond
	// announceRefresh is the slow refresh: switches forget after 300 s.
	announceRefresh = 45 * time.Second
	// healWait is how long a node that has become ready leaves the addresses to a
	// degraded Active: what ailed all of them heals on all within two probes.
	healWait = time.Second
	// patience is how many times Skew_Time, and how long at most, a Backup waits besides
	// before it takes over from a degraded Active.
	patience    = 3
	maxPatience = time.Second
	// muteBackoff is how long a router that could not send, nor say that it yields, refrains
	// from challenging an Active router.
	muteBackoff = 10 * time.Second
	// answersPerInterval bounds the answers to lower advertisements.
	answersPerInterval = 4
	// spreadPart of the interval is what Backups of equal priority share out.
	spreadPart = 16
)

// announceSchedule is when a new Active announces itself, counted from its
// claim. Hosts ignore a change within 1 s of the last one (locktime), so a burst
// of milliseconds is not enough; the second comes just past the linger of a predecessor,
// or of a competitor that lost.
var announceSchedule = [...]time.Duration{
	0, 120 * time.Millisecond, 1100 * time.Millisecond, 2200 * time.Millisecond, 5 * time.Second,
}

// Config is the configuration of one virtual router on this node.
type Config struct {
	Priority       uint8 // 100 to 254, or PriorityOwner
	Addr           netip.Addr
	AdvertInterval time.Duration
	Align          bool          // advertise at the moments at which the node's other routers do
	Preempt        bool          // take over from a ready Active of lower priority
	PreemptDelay   time.Duration // how long to watch such a one first
	ReleaseOnDown  bool          // leave when the API server is down, rather than hold on as a last resort
	Linger         bool          // keep the addresses until the successor has announced itself
	Spread         bool          // other nodes may have the same priority: rise at different times
	HasBeenReady   bool          // this node's API server was ready before the agent was restarted
}

// Machine is the state machine of one virtual router (RFC 9568, section 6.4),
// with grades. Step is its only input and Deadline its only wish; it must not be
// used by two goroutines at once.
type Machine struct {
	cfg   Config
	state State

	// What is known of this node.
	grade     Grade
	hasReady  bool // has been ready since it started: it may claim
	readyFrom Instant
	hold      time.Duration
	evidence  [Ready + 1]Instant // by grade: the latest beginning of a probe that saw at least it
	demoted   bool
	barred    bool
	fitFrom   Instant // when it last became eligible
	permitted bool
	urgent    bool // not permitted, and no time for a successor

	// What is known of the others.
	interval  time.Duration // Active_Adver_Interval
	heardAt   Instant       // the last accepted advertisement, or the start
	heard     Advert        // that advertisement; its Src is invalid before the first
	challenge bool          // advertisements of a lower priority are being discarded
	lowerFrom Instant       // when preempt_delay began
	rise      rise
	rival     Rival
	deposed   Advert  // of the Active that this router took over from,
	lastWord  Instant // until then it may have one,
	spokeAt   Instant // and then it had it; Never: not yet
	tookAt    Instant // when that was: what it announces a moment later, it began before
	roseAt    Instant // when this router last became Active
	fellFrom  uint8   // the priority before it last got worse while Active,
	fellAt    Instant // and when

	yieldingTill Instant // until then what rivals say and announce may be their last word, not a successor's

	// Deadlines. Never means not set.
	downAt     Instant // Backup: Active_Down_Timer
	adverAt    Instant // Active: Adver_Timer
	askAt      Instant // Active: one more advertisement, out of turn
	announceAt Instant
	withdrawAt Instant
	lingerAt   Instant // addresses are kept until then
	leaveAt    Instant // next repetition of priority 0
	leaveUntil Instant

	holding     bool // the addresses were claimed and not yet released
	stopping    bool
	stopped     bool
	step        int  // of the announcement schedule
	restart     bool // begin the schedule again with the next announcement
	scheduleAt  Instant
	announcedAt Instant
	provokedAt  Instant // last burst that a competitor provoked
	sentAt      Instant // last advertisement
	muteFrom    Instant
	muteTold    bool
	muteRefrain Instant

	out  [12]Effect
	nout int
}

// rise is a takeover in view that need not wait for the Down timer: the Active
// leaves, or its API server is worse than ours.
type rise struct {
	at        Instant // Never: none in view
	cause     Cause
	heard     Advert
	needProbe bool    // only with evidence from a probe that began after from
	from      Instant // the advertisement that set it
}

// Rival is another node that advertises while this one is Active, and goes on
// although it should have heard us.
type Rival struct {
	Addr     netip.Addr
	Priority uint8
	Since    Instant
	Count    int
	last     Instant
}

// New returns a machine in Initialize. Nothing is known of the local API server
// yet, so the node ranks as down.
func New(c Config) *Machine {
	m := &Machine{cfg: c, grade: Down, hasReady: c.HasBeenReady, permitted: true}
	for g := range m.evidence {
		m.evidence[g] = -1 << 63
	}
	m.provokedAt, m.muteRefrain, m.fitFrom, m.tookAt, m.lastWord = -1<<62, -1<<62, -1<<62, -1<<62, -1<<62
	m.roseAt, m.fellAt, m.yieldingTill = -1<<62, -1<<62, -1<<62
	m.lowerFrom, m.muteFrom, m.withdrawAt = Never, Never, Never
	m.clearTimers()
	return m
}

// clearTimers clears all but withdrawAt, which goes with the addresses.
func (m *Machine) clearTimers() {
	m.downAt, m.adverAt, m.askAt, m.announceAt, m.lingerAt = Never, Never, Never, Never, Never
	m.leaveAt, m.leaveUntil = Never, Never
	m.rise.at = Never
}

// State returns the state.
func (m *Machine) State() State { return m.state }

// Holding reports whether the addresses are to be on the interface: while Active
// as far as that is permitted, and after that until a successor has announced itself.
func (m *Machine) Holding() bool { return m.holding }

// Mute reports whether advertisements fail to go out.
func (m *Machine) Mute() bool { return m.muteFrom != Never }

// WantsSent reports whether [Sent] is wanted for an advertisement that goes out now.
func (m *Machine) WantsSent(now Instant) bool { return m.Mute() || now < m.muteRefrain }

// Priority returns the priority that this node advertises, or would.
func (m *Machine) Priority() uint8 {
	if m.cfg.Priority == PriorityOwner && m.Grade() == Ready {
		return PriorityOwner
	}
	return WirePriority(m.Grade(), m.cfg.Priority)
}

// Grade returns the grade that this node ranks as.
func (m *Machine) Grade() Grade {
	if m.demoted {
		return Down
	}
	return m.grade
}

// Heard returns the last advertisement that was accepted from an Active router,
// and when. Without one the source is invalid.
func (m *Machine) Heard() (Advert, Instant) { return m.heard, m.heardAt }

// Interval returns Active_Adver_Interval.
func (m *Machine) Interval() time.Duration { return m.interval }

// Rival returns the node that advertises beside this Active one; Count is zero
// if there is none.
func (m *Machine) Rival(now Instant) Rival {
	if m.state != Active || now.Sub(m.rival.last) > 4*m.cfg.AdvertInterval {
		return Rival{}
	}
	return m.rival
}

// Eligible reports whether this node may become Active.
func (m *Machine) Eligible() bool {
	if !m.hasReady || m.barred || m.stopping || !m.permitted {
		return false
	}
	return !(m.cfg.ReleaseOnDown && m.grade == Down)
}

// HasBeenReady reports whether this node's API server has been ready since the
// start, or before a restart of the agent.
func (m *Machine) HasBeenReady() bool { return m.hasReady }

// Permitted reports whether the addresses may be on the interface.
func (m *Machine) Permitted() bool { return m.permitted }

// Deadline returns when the machine next wants a Tick, or Never.
func (m *Machine) Deadline() Instant {
	d := min(m.lingerAt, m.leaveAt, m.leaveUntil, m.withdrawAt)
	switch m.state {
	case Backup:
		d = min(d, m.risesAt())
	case Active:
		d = min(d, m.adverAt, m.askAt, m.announceAt, m.muteDeadline())
	}
	return d
}

// Step lets one event happen at the instant now, and returns what has to be done
// about it. The result is valid until the next Step.
func (m *Machine) Step(now Instant, e Event) []Effect {
	m.nout = 0
	switch e.kind {
	case evTick:
		m.tick(now)
	case evStartup, evResume:
		m.startup(now, e.kind == evResume)
	case evShutdown:
		m.shutdown(now)
	case evDisable:
		m.disable(now)
	case evReceived:
		m.received(now, e.advert)
	case evObserved:
		m.observed(e.grade, e.began)
	case evVerdict, evDemote, evBar, evConfigure:
		m.reconsider(now, e)
	case evPermit:
		m.permit(now, e.flag)
	case evWithdraw:
		m.withdrawNow(now)
	case evSuccessor:
		m.successorAnnounced(now)
	case evAddressLost:
		m.addressLost(now)
	case evContested:
		m.contested(now)
	case evSent:
		m.unmute()
		m.muteRefrain = now // the last word of one that yields may be the first that goes out again
	case evSendFailed:
		m.sendFailed(now)
	}
	return m.out[:m.nout]
}

func (m *Machine) do(k EffectKind) { m.put(Effect{Kind: k}) }

func (m *Machine) put(e Effect) {
	m.out[m.nout] = e
	m.nout++
}

func (m *Machine) change(to State, c Cause, by Advert) {
	if m.state == to {
		return
	}
	m.put(Effect{Kind: Changed, Transition: Transition{From: m.state, To: to, Cause: c, Peer: by.Src, Priority: by.Priority}})
	m.state = to
}

// tick runs what is due.
func (m *Machine) tick(now Instant) {
	m.tickLeaving(now)
	if m.withdrawAt <= now {
		m.withdraw(now)
	}
	switch m.state {
	case Backup:
		m.tickBackup(now)
	case Active:
		m.tickActive(now)
	}
}

// startup is the event Startup of RFC 9568, section 6.4.1.
func (m *Machine) startup(now Instant, resume bool) {
	if m.state != Initialize || m.stopping {
		return
	}
	m.interval = m.cfg.AdvertInterval
	m.heardAt, m.heard = now, Advert{}
	m.challenge, m.lowerFrom = false, Never
	if resume && m.hasReady {
		m.holding = true // the addresses are there, permitted or not
		if m.urgent {
			m.leave(now, Backup, CauseWithheld)
			m.letGo()
			return
		}
		if !m.permitted {
			m.withdrawAt = now.Add(withdrawAfter)
		}
		if m.cfg.ReleaseOnDown && m.grade == Down {
			m.leave(now, Backup, CauseUnready)
			return
		}
		m.becomeActive(now, CauseResumed, Advert{})
		return
	}
	if m.cfg.Priority == PriorityOwner && m.Eligible() && m.Grade() == Ready {
		m.becomeActive(now, CauseOwner, Advert{})
		return
	}
	m.change(Backup, CauseStartup, Advert{})
	m.armDown()
}

// shutdown leaves for good. An Active router says so, and keeps the addresses
// until somebody has taken over.
func (m *Machine) shutdown(now Instant) {
	if m.stopping {
		return
	}
	m.stopping = true
	if m.state == Active {
		m.leave(now, Initialize, CauseShutdown)
		return
	}
	m.change(Initialize, CauseShutdown, Advert{})
	m.stopIfDone()
}

// disable drops everything at once: nobody can hear us.
func (m *Machine) disable(Instant) {
	m.clearTimers()
	m.letGo()
	m.quitActive(Initialize, CauseDisabled, Advert{})
	m.stopIfDone()
}

// leave advertises priority 0 and goes on doing so until a successor is heard. Those who
// yield to us at this very moment are none.
func (m *Machine) leave(now Instant, to State, c Cause) {
	if now.Sub(m.roseAt) <= lastWordsApart || m.rival.Count > 0 && now.Sub(m.rival.last) <= lastWordsApart {
		m.yieldingTill = now.Add(lastWordsApart)
	}
	m.send(now, PriorityLeave)
	m.quitActive(to, c, Advert{})
	a := m.cfg.AdvertInterval
	m.leaveAt = now.Add(a)
	if m.yieldingTill > now { // a successor that spoke meanwhile answers
		m.leaveAt = min(m.leaveAt, m.yieldingTill)
	}
	m.leaveUntil = now.Add(min(4*a+leaveExtra, maxLeave))
	if !m.cfg.Linger {
		m.letGo()
	}
	if to == Backup {
		m.interval, m.heardAt = a, now
		m.armDown()
	}
}

// quitActive forgets what concerns an Active router alone, and changes the state.
// The addresses stay for now.
func (m *Machine) quitActive(to State, c Cause, by Advert) {
	m.adverAt, m.askAt, m.announceAt = Never, Never, Never
	m.rival = Rival{}
	m.unmute()
	m.change(to, c, by)
}

// tickLeaving repeats priority 0 while no successor is heard, and lets go of the
// addresses at the end.
func (m *Machine) tickLeaving(now Instant) {
	if m.leaveUntil <= now {
		m.leaveAt, m.leaveUntil, m.lingerAt = Never, Never, Never
		m.letGo()
		m.stopIfDone()
		return
	}
	if m.leaveAt <= now {
		m.put(Effect{Kind: Send, Priority: PriorityLeave})
		m.leaveAt = next(m.leaveAt, m.cfg.AdvertInterval, now)
	}
	if m.lingerAt <= now {
		m.endLinger()
	}
}

// succeeded notes that a successor was heard: the addresses go once it has had
// the time to announce itself.
func (m *Machine) succeeded(at Instant) {
	m.leaveAt, m.leaveUntil = Never, Never
	m.lingerAt = min(m.lingerAt, at.Add(lingerAfterAdvert))
	if !m.holding {
		m.endLinger()
	}
}

func (m *Machine) successorAnnounced(now Instant) {
	if m.state != Active && m.holding && now > m.yieldingTill {
		m.leaveAt, m.leaveUntil = Never, Never
		m.endLinger()
	}
}

func (m *Machine) endLinger() {
	m.lingerAt = Never
	m.letGo()
	m.stopIfDone()
}

func (m *Machine) letGo() {
	m.withdrawAt = Never
	if m.holding {
		m.holding = false
		m.do(Release)
	}
}

// stopIfDone reports the end of a shutdown once nothing is left to do for it.
func (m *Machine) stopIfDone() {
	if m.stopping && !m.stopped && m.state == Initialize && !m.holding && m.leaveUntil == Never {
		m.stopped = true
		m.do(Stopped)
	}
}

// observed keeps the evidence of a probe. What is seen at one grade is seen at
// every worse one too.
func (m *Machine) observed(g Grade, began Instant) {
	for ; g >= Down; g-- {
		m.evidence[g] = max(m.evidence[g], began)
	}
}

// reconsider changes what this node is worth, and acts on the difference.
func (m *Machine) reconsider(now Instant, e Event) {
	wasEligible, wasPriority := m.Eligible(), m.Priority()
	m.take(now, e)
	m.becameFit(now, wasEligible)
	switch m.state {
	case Backup:
		m.reconsiderBackup(now)
	case Active:
		m.reconsiderActive(now, wasPriority)
	}
}

// becameFit notes when this node became eligible.
func (m *Machine) becameFit(now Instant, wasEligible bool) {
	if !wasEligible && m.Eligible() {
		m.fitFrom = now
	}
}

func (m *Machine) take(now Instant, e Event) {
	switch e.kind {
	case evVerdict:
		if e.grade == Ready && m.grade != Ready {
			m.readyFrom = now
		}
		m.grade, m.hold = e.grade, e.hold
		m.hasReady = m.hasReady || e.grade == Ready
	case evDemote:
		m.demoted = e.flag
	case evBar:
		m.barred = e.flag
	case evConfigure:
		m.takeConfig(now, *e.config)
	}
}

func (m *Machine) takeConfig(now Instant, c Config) {
	old := m.cfg
	m.cfg = c
	if m.state == Active && old.AdvertInterval != c.AdvertInterval {
		m.interval = c.AdvertInterval
		m.adverAt = min(m.adverAt, m.aligned(now))
	}
	if m.state == Backup && !m.heard.Src.IsValid() {
		m.interval = c.AdvertInterval
	}
}

// next returns the deadline one period after the last. A timer that keeps to its
// own schedule does not drift; after a stall the missed ones are left out.
func next(last Instant, period time.Duration, now Instant) Instant {
	if n := last.Add(period); n > now {
		return n
	}
	return now.Add(period)
}
