package vrrp

import (
	"net/netip"
	"slices"
	"testing"
	"time"
)

// ordeal puts a machine through events that bytes choose, and holds what it does
// against what must always be so.
type ordeal struct {
	t   *testing.T
	in  []byte
	m   *Machine
	cfg Config
	now Instant

	// What follows from the effects so far.
	state       State
	holding     bool
	muted       bool
	stopped     int
	leftAt      Instant // last left
	leaveUntil  Instant // priority 0 may be sent before
	forbidden   bool    // the addresses are not permitted,
	forbiddenAt Instant // since then
}

// The events that a byte can choose.
const (
	opTick = iota
	opAdvance
	opStall
	opStartup
	opResume
	opShutdown
	opDisable
	opReceive
	opVerdict
	opObserve
	opDemote
	opBar
	opPermit
	opSuccessor
	opAddressLost
	opContested
	opSent
	opSendFailed
	opConfigure
	opWithdraw
	ops
)

// FuzzMachine finds sequences of events after which the machine panics, spins,
// speaks out of turn, keeps the addresses for ever or never stops.
func FuzzMachine(f *testing.F) {
	start := []byte{100, 1, 0b01111, 0, opVerdict, 2, 0, opStartup} // priority 200, 250 ms
	receive := func(priority byte) []byte { return []byte{opReceive, 1, 0, priority, 1} }
	for _, then := range [][][]byte{
		{{opAdvance, 20, opShutdown, opAdvance, 5}, receive(150)},
		{{opAdvance, 20}, receive(250), {opPermit, 0}, receive(0), {opTick, opAdvance, 40}},
		{receive(1), {opObserve, 2, 0, opAdvance, 2, opVerdict, 0, 0, opAdvance, 60}},
		{{opAdvance, 20, opSendFailed, opAdvance, 20, opDisable, opStartup, opAdvance, 20, opSendFailed, opAdvance, 20}, receive(150)},
		{{opShutdown}, receive(100), {opDisable}},
		{receive(150), {opConfigure, 20, 2, 0b00101, 1, opStall, 30, opTick, opDemote, 1, opBar, 1}},
	} {
		f.Add(slices.Concat(append([][]byte{start}, then...)...))
	}
	f.Add([]byte{155, 3, 0b10110, 0, opVerdict, 2, 0, opStartup, opVerdict, 0, 0, opPermit, 0, opAdvance, 60})
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) > 1024 {
			return
		}
		o := &ordeal{t: t, in: in}
		o.cfg = o.config()
		o.m = New(o.cfg)
		for len(o.in) > 0 && !t.Failed() {
			o.next()
		}
		o.end()
	})
}

// arg takes the next byte, modulo n.
func (o *ordeal) arg(n int) int {
	if len(o.in) == 0 {
		return 0
	}
	b := o.in[0]
	o.in = o.in[1:]
	return int(b) % n
}

func (o *ordeal) interval() time.Duration {
	return []time.Duration{MinInterval, 250 * time.Millisecond, time.Second, MaxInterval}[o.arg(4)]
}

func (o *ordeal) config() Config {
	c := Config{Addr: netip.MustParseAddr("198.51.100.11"), Priority: MinPriority + uint8(o.arg(156)), AdvertInterval: o.interval()}
	flags := o.arg(64)
	c.Preempt, c.Linger, c.HasBeenReady = flags&1 != 0, flags&2 != 0, flags&4 != 0
	c.Spread, c.ReleaseOnDown, c.Align = flags&8 != 0, flags&16 != 0, flags&32 != 0
	c.PreemptDelay = time.Duration(o.arg(3)) * time.Second
	return c
}

func (o *ordeal) next() {
	op := o.arg(ops)
	switch op {
	case opTick:
		o.step(Tick())
	case opAdvance:
		o.advance(time.Duration(o.arg(64)) * o.cfg.AdvertInterval / 4)
	case opStall:
		o.now = o.now.Add(time.Duration(o.arg(64)) * o.cfg.AdvertInterval / 4)
	case opConfigure:
		o.cfg = o.config()
		o.step(Configure(o.cfg))
	case opReceive:
		src := netip.AddrFrom4([4]byte{198, 51, 100, 10 + uint8(o.arg(4))})
		at := o.now.Add(-time.Duration(o.arg(8)) * o.cfg.AdvertInterval / 4)
		o.step(Received(Advert{Src: src, Priority: uint8(o.arg(256)), At: at, Interval: o.interval()}))
	case opVerdict:
		o.step(Verdict(Grade(1+o.arg(3)), time.Duration(o.arg(4))*time.Second))
	case opObserve:
		o.step(Observed(Grade(1+o.arg(3)), o.now.Add(-time.Duration(o.arg(4))*o.cfg.AdvertInterval/4)))
	case opDemote:
		o.step(Demote(o.arg(2) == 1))
	case opBar:
		o.step(Bar(o.arg(2) == 1))
	case opPermit:
		o.permit(o.arg(2) == 1)
	default:
		o.step(map[int]Event{opStartup: Startup(), opResume: Resume(), opShutdown: Shutdown(), opDisable: Disable(), opSuccessor: SuccessorAnnounced(),
			opWithdraw: Withdraw(), opAddressLost: AddressLost(), opContested: Contested(), opSent: Sent(), opSendFailed: SendFailed()}[op])
	}
}

func (o *ordeal) permit(on bool) {
	if !on && !o.forbidden {
		o.forbiddenAt = o.now
	}
	o.forbidden = !on
	o.step(Permit(on))
}

// advance lets time pass and ticks at each deadline.
func (o *ordeal) advance(d time.Duration) {
	end := o.now.Add(d)
	for o.m.Deadline() <= end && !o.t.Failed() {
		o.now = max(o.now, o.m.Deadline())
		o.step(Tick())
		if o.m.Deadline() <= o.now {
			o.t.Fatalf("at %v: a tick left the deadline at %v", o.now, o.m.Deadline())
		}
	}
	o.now = end
}

// leaveBound is the longest that a router may take to leave.
func (o *ordeal) leaveBound() time.Duration {
	return min(4*o.cfg.AdvertInterval+100*time.Millisecond, time.Minute)
}

func (o *ordeal) step(e Event) {
	before, mayRise := o.m.State(), o.m.Eligible()
	succeeded := e.kind == evReceived && before != Active && e.advert.Priority != PriorityLeave && o.now > o.leftAt.Add(lastWordsApart)
	if succeeded || e.kind == evDisable {
		o.leaveUntil = 0 // somebody succeeded, and does not yield to us, or nobody hears us
	}
	effects := o.m.Step(o.now, e)
	if o.stopped > 0 && len(effects) > 0 {
		o.fail(e, "does %v after it has stopped", effects[0].Kind)
	}
	for _, f := range effects {
		o.effect(e, f)
	}
	if before != Active && o.state == Active && e.kind == evTick && !mayRise {
		o.fail(e, "became Active without being eligible")
	}
	o.check(e)
}

func (o *ordeal) effect(e Event, f Effect) {
	switch f.Kind {
	case Send:
		o.sent(e, f.Priority)
	case Claim:
		o.holding = true
		if o.m.State() != Active {
			o.fail(e, "claims in %v", o.m.State())
		}
	case Release:
		if !o.holding {
			o.fail(e, "releases what it does not hold")
		}
		o.holding = false
	case Announce:
		if !o.holding || o.m.State() != Active {
			o.fail(e, "announces in %v, holding %t", o.m.State(), o.holding)
		}
	case Changed:
		o.changed(e, f.Transition)
	case Muted:
		if f.On == o.muted {
			o.fail(e, "muted %t twice", f.On)
		}
		o.muted = f.On
	case Stopped:
		o.stopped++
	}
}

func (o *ordeal) sent(e Event, priority uint8) {
	if priority != PriorityLeave {
		if o.state != Active && o.m.State() != Active {
			o.fail(e, "advertises %d in %v", priority, o.state)
		}
		if priority != o.m.Priority() {
			o.fail(e, "advertises %d, but is worth %d", priority, o.m.Priority())
		}
		return
	}
	if begins := (o.state == Active || e.kind == evResume) && o.m.State() != Active; !begins && o.now >= o.leaveUntil {
		o.fail(e, "advertises priority 0, but does not leave")
	}
}

func (o *ordeal) changed(e Event, tr Transition) {
	if tr.From != o.state || tr.To == tr.From {
		o.fail(e, "%v -> %v in %v", tr.From, tr.To, o.state)
	}
	o.state = tr.To
	if tr.Cause == CauseResumed || tr.From == Initialize && (tr.Cause == CauseUnready || tr.Cause == CauseWithheld) {
		o.holding, o.forbiddenAt = true, o.now // the predecessor claimed
	}
	switch {
	case tr.To == Active:
		o.leaveUntil = 0
	case tr.Cause == CauseUnready, tr.Cause == CauseWithheld, tr.From == Active && tr.Cause == CauseShutdown:
		o.leftAt, o.leaveUntil = o.now, o.now.Add(o.leaveBound())
	}
}

// check holds the machine against what must be so between any two events.
func (o *ordeal) check(e Event) {
	m := o.m
	if m.State() != o.state || m.Holding() != o.holding {
		o.fail(e, "is %v, holding %t; its effects say %v, %t", m.State(), m.Holding(), o.state, o.holding)
	}
	if o.state != Active && (m.Mute() || o.muted) {
		o.fail(e, "mute in %v", o.state)
	}
	d := m.Deadline()
	if o.state != Active && o.holding && d == Never {
		o.fail(e, "keeps the addresses for ever in %v", o.state)
	}
	if until := o.forbiddenAt.Add(withdrawAfter); o.forbidden && o.holding && (d > max(until, o.now) || e.kind == evTick && o.now >= until) {
		o.fail(e, "keeps the addresses although they are not permitted")
	}
	if e.kind == evWithdraw && o.forbidden && o.holding {
		o.fail(e, "keeps the addresses although K3s starts")
	}
	a := o.cfg.AdvertInterval
	if o.state == Active && d > o.now.Add(a) {
		o.fail(e, "Active, but the next deadline is %v away", d.Sub(o.now))
	}
	a = m.Interval()
	if o.state == Backup && m.Eligible() && d > o.now.Add(4*a+a/spreadPart) {
		o.fail(e, "Backup, but the next deadline is %v away", d.Sub(o.now))
	}
	if e.kind == evTick && d <= o.now {
		o.fail(e, "the deadline does not move")
	}
}

// end shuts the machine down and waits until it has stopped.
func (o *ordeal) end() {
	until := max(o.leaveUntil, o.now.Add(o.leaveBound()))
	o.step(Shutdown())
	for o.m.Deadline() != Never && !o.t.Failed() {
		o.now = max(o.now, o.m.Deadline())
		o.step(Tick())
	}
	if o.now > until {
		o.fail(Shutdown(), "took %v longer than it may", o.now.Sub(until))
	}
	o.step(Received(Advert{Src: netip.MustParseAddr("198.51.100.12"), Priority: 100, At: o.now, Interval: MinInterval}))
	o.step(Disable())
	if o.stopped != 1 || o.holding || o.state != Initialize {
		o.fail(Shutdown(), "stopped %d times, in %v, holding %t", o.stopped, o.state, o.holding)
	}
}

func (o *ordeal) fail(e Event, format string, args ...any) {
	o.t.Helper()
	o.t.Errorf("%v after %v: "+format, append([]any{time.Duration(o.now), e}, args...)...)
}
