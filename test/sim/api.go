package sim

import (
	"time"

	"github.com/vipd/vipd/vrrp"
)

// Times of the health checks.
const (
	probeEach    = 500 * time.Millisecond
	aliveTimeout = 750 * time.Millisecond
	maxProbe     = 20 * time.Millisecond // an answer from a server that is well
	maxDeath     = 30 * time.Millisecond // until the end of the main process is noticed
	degradeAfter = 8 * time.Second
	fall, rise   = 3, 2
	minHold      = time.Second
	maxHold      = time.Minute
	quietAfter   = 10 * time.Minute
)

// truth is how an API server really is.
type truth int

const (
	ready    truth = iota // answers, with its datastore
	degraded              // answers, without
	hung                  // does not answer, or is starting
	dead                  // there is no process
)

func (t truth) String() string {
	return [...]string{"ready", "degraded", "hung", "dead"}[t]
}

// api is a node's API server, and what the agent makes of it.
type api struct {
	n         *node
	truth     truth
	broken    bool // will never be ready
	watchUnit bool
	// unitActive is what systemd says; while it is false the addresses are not permitted.
	unitActive bool
	told       bool // what the agent knows of that

	// The agent's judge.
	grade     vrrp.Grade
	settled   bool
	fails     int
	alive     int
	well      int
	unwell    vrrp.Instant // since when /readyz fails
	hold      time.Duration
	lastFall  vrrp.Instant
	hasFallen bool
}

// begin is the judge of a new agent. One that resumes knows its predecessor's verdict.
func (a *api) begin(resume bool) {
	if !resume {
		a.grade = vrrp.Down
	}
	a.settled, a.fails, a.alive, a.well = resume, 0, 0, 0
	a.unwell, a.hold, a.hasFallen = vrrp.Never, minHold, false
	a.permit()
	if resume {
		a.n.step(vrrp.Verdict(a.grade, a.hold))
	}
	a.n.later(a.n.c.between(0, probeEach), func() {
		a.probe()
		a.n.every(probeEach, a.probe)
	})
}

func (a *api) permitted() bool { return a.unitActive || !a.watchUnit }

// set changes the truth.
func (a *api) set(t truth) {
	if a.truth == t || a.broken {
		return
	}
	a.truth = t
	a.n.logf("API is %s", t)
	if t == dead {
		a.setUnit(false)
		a.n.later(a.n.c.between(time.Millisecond, maxDeath), func() { a.result(dead) })
	}
	if t == ready {
		a.setUnit(true)
	}
}

// setUnit changes the state of the K3s unit.
func (a *api) setUnit(active bool) {
	a.unitActive = active
	a.n.later(a.n.c.between(time.Millisecond, maxDeath), func() {
		a.n.c.fault("n%d may hold the address: %t", a.n.id+1, a.permitted())
		a.permit()
	})
}

func (a *api) permit() {
	a.told = a.permitted()
	a.n.feed(vrrp.Permit(a.told))
}

// probe asks both questions. What is true when it begins decides.
func (a *api) probe() {
	began, t := a.n.c.now, a.truth
	took := a.n.c.between(time.Millisecond, maxProbe)
	if t == hung {
		took = aliveTimeout
	}
	a.n.later(took, func() {
		if !a.n.stalled {
			a.n.feed(vrrp.Observed(gradeOf(t), began))
			a.result(t)
		}
	})
}

func gradeOf(t truth) vrrp.Grade {
	switch t {
	case ready:
		return vrrp.Ready
	case degraded:
		return vrrp.Degraded
	}
	return vrrp.Down
}

// result judges one probe, or the end of the process.
func (a *api) result(t truth) {
	switch t {
	case dead:
		a.fails, a.alive, a.well = fall, 0, 0
	case hung:
		a.fails, a.alive, a.well = a.fails+1, 0, 0
	case degraded:
		a.fails, a.alive, a.well = 0, a.alive+1, 0
	case ready:
		a.fails, a.alive, a.well = 0, a.alive+1, a.well+1
	}
	if t == ready {
		a.unwell = vrrp.Never
	}
	if t != ready && a.unwell == vrrp.Never {
		a.unwell = a.n.c.now
	}
	a.judge()
}

// judge makes the verdict, and says so if it changed.
func (a *api) judge() {
	g := a.grade
	switch {
	case a.fails >= fall:
		g = vrrp.Down
	case a.well >= rise:
		g = vrrp.Ready
	case g == vrrp.Down && a.alive >= rise:
		g = vrrp.Degraded
	case g == vrrp.Ready && a.fails == 0 && a.unwell != vrrp.Never && a.n.c.now.Sub(a.unwell) >= degradeAfter:
		g = vrrp.Degraded
	default:
		return
	}
	if g == a.grade && a.settled {
		return
	}
	a.settled = true
	a.damp(g)
	a.grade = g
	a.n.wasReady = a.n.wasReady || g == vrrp.Ready
	a.n.c.disturb("n%d is judged %s (hold %v)", a.n.id+1, g, a.hold)
	a.n.feed(vrrp.Verdict(g, a.hold))
}

// damp doubles the hold for each fall within ten minutes of the last.
func (a *api) damp(g vrrp.Grade) {
	if a.grade != vrrp.Ready || g == vrrp.Ready {
		return
	}
	a.hold = min(2*a.hold, maxHold)
	if !a.hasFallen || a.n.c.now.Sub(a.lastFall) > quietAfter {
		a.hold = minHold
	}
	a.lastFall, a.hasFallen = a.n.c.now, true
}
