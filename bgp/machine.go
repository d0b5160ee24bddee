package bgp

import (
	"time"

	"github.com/vipd/vipd/vrrp"
)

// Machine decides what a node says of one virtual IP in one address family: whether its
// addresses are on the host, and how it stands behind their routes. It knows neither
// sockets nor a clock: events go in, effects come out, in order.
//
// It is for one goroutine.
type Machine struct {
	cfg Plan

	started   bool
	permitted bool
	hasReady  bool
	demoted   bool
	stopping  bool
	ended     bool
	grade     vrrp.Grade
	hold      time.Duration
	readyAt   vrrp.Instant // since when the grade is ready

	standing Standing     // as announced
	wanted   Standing     // as it should be
	holding  bool         // the addresses were asked for
	serving  bool         // they are on the host
	leaveBy  vrrp.Instant // when a route that is leaving is withdrawn
	letGoAt  vrrp.Instant // when the addresses go, after the withdrawal
	retryAt  vrrp.Instant // when to ask for the addresses again
	deadline vrrp.Instant
	out      []Effect
}

// Plan is the configuration of a [Machine].
type Plan struct {
	ReleaseOnDown bool          // withdraw when the API server is down, rather than announce as last resort
	Drain         time.Duration // from the announcement that it leaves to the withdrawal
	Linger        time.Duration // from the withdrawal until the addresses go: packets are under way
	HasBeenReady  bool
}

// claimAgain is how long an attempt to put the addresses on the host is not repeated.
const claimAgain = time.Second

// Effect is something to be done.
type Effect struct {
	Kind     EffectKind
	Standing Standing // Announce
}

// EffectKind says what an [Effect] asks for.
type EffectKind uint8

// The effects.
const (
	Claim    EffectKind = iota // put the addresses on the host, and say with Claimed what became of it
	Release                    // take them off
	Announce                   // announce the routes, or announce them otherwise
	Withdraw                   // withdraw them
	Stopped                    // the shutdown is complete
)

var effectNames = [...]string{"claim", "release", "announce", "withdraw", "stopped"}

func (k EffectKind) String() string { return effectNames[k] }

// NewMachine returns a machine that does nothing until Start.
func NewMachine(p Plan) *Machine {
	return &Machine{cfg: p, permitted: true, hasReady: p.HasBeenReady, deadline: vrrp.Never, leaveBy: vrrp.Never, letGoAt: vrrp.Never, retryAt: vrrp.Never}
}

// Standing is how the routes are announced.
func (m *Machine) Standing() Standing { return m.standing }

// Holding reports whether the addresses are on the host, or about to be.
func (m *Machine) Holding() bool { return m.holding }

// Grade is what this node ranks as.
func (m *Machine) Grade() vrrp.Grade {
	if m.demoted || m.stopping {
		return vrrp.Down
	}
	return m.grade
}

// HasBeenReady reports whether the node may claim: its API server has been ready.
func (m *Machine) HasBeenReady() bool { return m.hasReady }

// Permitted reports whether the addresses may be on the host.
func (m *Machine) Permitted() bool { return m.permitted }

// Deadline is when to call Tick next.
func (m *Machine) Deadline() vrrp.Instant { return m.deadline }

// Start begins.
func (m *Machine) Start(now vrrp.Instant) []Effect {
	m.started = true
	return m.decide(now)
}

// Resume begins where a predecessor left off a moment ago, with the addresses on the host.
func (m *Machine) Resume(now vrrp.Instant, s Standing) []Effect {
	m.started, m.hasReady, m.holding, m.serving = true, true, true, true
	m.standing = s
	if s == Ready {
		m.grade, m.readyAt = vrrp.Ready, now
	}
	m.do(Claim) // the lease goes on
	m.say(s)
	return m.decide(now)
}

// Verdict says how fit the API server is, and for how long it must have been ready before
// the node announces again.
func (m *Machine) Verdict(now vrrp.Instant, g vrrp.Grade, hold time.Duration) []Effect {
	if g == vrrp.Ready && m.grade != vrrp.Ready {
		m.readyAt = now
	}
	m.grade, m.hold, m.hasReady = g, hold, m.hasReady || g == vrrp.Ready
	return m.decide(now)
}

// Demote takes the node out, or back in: it leaves while it still serves.
func (m *Machine) Demote(now vrrp.Instant, on bool) []Effect {
	m.demoted = on
	return m.decide(now)
}

// Permit says whether the addresses may be on the host.
func (m *Machine) Permit(now vrrp.Instant, on bool) []Effect {
	m.permitted = on
	return m.decide(now)
}

// LetGo takes the addresses off at once, if the route is withdrawn: something is about
// to look at the host's addresses.
func (m *Machine) LetGo(now vrrp.Instant) []Effect {
	if !m.permitted && m.letGoAt != vrrp.Never {
		m.letGoAt = now
	}
	return m.decide(now)
}

// Claimed says whether the addresses could be put on the host.
func (m *Machine) Claimed(now vrrp.Instant, ok bool) []Effect {
	if !m.holding {
		return nil // they were released meanwhile
	}
	m.serving = ok
	if !ok {
		m.retryAt = now.Add(claimAgain)
	}
	return m.decide(now)
}

// Lost says that something else took an address off the host.
func (m *Machine) Lost(now vrrp.Instant) []Effect {
	if m.holding && m.standing != None {
		m.do(Claim)
	}
	return m.decide(now)
}

// Shutdown begins to leave; Stopped tells of the end.
func (m *Machine) Shutdown(now vrrp.Instant) []Effect {
	m.stopping = true
	return m.decide(now)
}

// Disable withdraws and lets go at once: the host cannot hold the addresses. Start undoes it.
func (m *Machine) Disable(now vrrp.Instant) []Effect {
	m.started = false
	out := m.decide(now)
	m.letGo()
	return append(out, m.take()...)
}

// Configure replaces the configuration.
func (m *Machine) Configure(now vrrp.Instant, p Plan) []Effect {
	m.cfg = p
	return m.decide(now)
}

// Tick does what has become due.
func (m *Machine) Tick(now vrrp.Instant) []Effect { return m.decide(now) }

// decide compares what is with what should be.
func (m *Machine) decide(now vrrp.Instant) []Effect {
	if m.ended {
		return nil
	}
	m.deadline = vrrp.Never
	m.wanted = m.want(now)
	if m.wanted == None {
		m.withdraw(now)
	} else {
		m.announce(now)
	}
	if m.stopping && !m.holding {
		m.do(Stopped)
		m.ended, m.deadline = true, vrrp.Never
	}
	return m.take()
}

// want returns how the node should stand behind the route now.
func (m *Machine) want(now vrrp.Instant) Standing {
	leaving := m.demoted || m.stopping
	if !leaving {
		m.leaveBy = vrrp.Never
	}
	switch {
	case !m.started || !m.permitted:
		return None
	case leaving:
		return m.leave(now)
	case !m.hasReady:
		return None
	case m.grade == vrrp.Ready:
		return m.rise(now)
	case m.grade == vrrp.Degraded:
		return Degraded
	case m.grade == vrrp.Down && m.cfg.ReleaseOnDown:
		return None
	case m.grade == vrrp.Down:
		return LastResort
	}
	return m.standing // nothing is known yet
}

// leave gives the traffic time to move. One whose API server is down has none to give.
func (m *Machine) leave(now vrrp.Instant) Standing {
	if m.standing == None {
		return None
	}
	if m.leaveBy == vrrp.Never {
		m.leaveBy = now.Add(m.cfg.Drain)
	}
	if m.leaveBy <= now {
		return None
	}
	m.due(m.leaveBy)
	return min(m.standing, Leaving)
}

// rise returns Ready once the node has been ready for long enough.
func (m *Machine) rise(now vrrp.Instant) Standing {
	at := m.readyAt.Add(m.hold)
	if m.standing == Ready || at <= now {
		return Ready
	}
	m.due(at)
	return m.standing
}

func (m *Machine) announce(now vrrp.Instant) {
	m.letGoAt = vrrp.Never
	switch {
	case !m.holding:
		m.holding = true
		m.do(Claim)
	case !m.serving && m.retryAt <= now:
		m.retryAt = vrrp.Never
		m.do(Claim)
	case !m.serving:
		if m.standing != None {
			m.say(None)
		}
		if m.retryAt != vrrp.Never {
			m.due(m.retryAt)
		}
	case m.standing != m.wanted:
		m.say(m.wanted)
	}
}

func (m *Machine) withdraw(now vrrp.Instant) {
	if m.standing != None {
		m.say(None)
		m.letGoAt = now.Add(m.cfg.Linger)
	}
	if !m.holding {
		return
	}
	if !m.serving || m.letGoAt == vrrp.Never || m.letGoAt <= now {
		m.letGo()
		return
	}
	m.due(m.letGoAt)
}

func (m *Machine) letGo() {
	if m.holding {
		m.do(Release)
	}
	m.holding, m.serving, m.letGoAt, m.retryAt = false, false, vrrp.Never, vrrp.Never
}

func (m *Machine) say(s Standing) {
	m.standing = s
	if s == None {
		m.do(Withdraw)
		return
	}
	m.out = append(m.out, Effect{Kind: Announce, Standing: s})
}

func (m *Machine) do(k EffectKind) { m.out = append(m.out, Effect{Kind: k}) }

func (m *Machine) due(at vrrp.Instant) { m.deadline = min(m.deadline, at) }

func (m *Machine) take() []Effect {
	out := m.out
	m.out = nil
	return out
}
