package sim

import (
	"time"

	"github.com/vipd/vipd/health"
	"github.com/vipd/vipd/vrrp"
)

// Times of the health checks.
const (
	probeEach    = 500 * time.Millisecond
	aliveTimeout = 750 * time.Millisecond
	readyTimeout = 3 * time.Second
	headStart    = 50 * time.Millisecond // of the question whether it is ready
	maxProbe     = 20 * time.Millisecond // an answer from a server that is well
	maxNoLeader  = 2 * time.Second       // "not ready" from one that has no datastore
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

// api is a node's API server, and what the agent makes of it: the judge is the
// agent's own.
type api struct {
	n         *node
	truth     truth
	since     vrrp.Instant
	broken    bool // will never be ready
	watchUnit bool
	// unitActive is what systemd says; while it is false the addresses are not permitted.
	unitActive bool
	told       bool // what the agent knows of that
	starts     bool // and whether K3s is about to choose its node address
	pid        int

	// The agent's judge.
	judge  *health.Judge
	grade  vrrp.Grade
	cause  string
	hold   time.Duration
	heard  bool                         // the judge has said something that counts
	seen   [vrrp.Ready + 1]vrrp.Instant // by grade: when the last probe began that found at least it
	fallen bool
}

// begin is the judge of a new agent. One that resumes knows its predecessor's verdict.
func (a *api) begin(resume bool) {
	a.judge = health.NewJudge([]health.Check{{
		Type: "k3s", Unit: "k3s.service", Interval: probeEach, Timeout: aliveTimeout, ReadyTimeout: readyTimeout, Fall: fall, Rise: rise,
	}})
	if !resume {
		a.grade = vrrp.Down
	}
	a.cause, a.hold, a.heard, a.fallen = "", minHold, false, false
	for g := range a.seen {
		a.seen[g] = -1 << 62
	}
	a.permit()
	if resume {
		a.n.step(vrrp.Verdict(a.grade, a.hold))
	}
	a.tellUnit()
	a.probe()
	a.n.every(probeEach, a.probe)
}

func (a *api) permitted() bool { return a.unitActive || !a.watchUnit }

// set changes the truth.
func (a *api) set(t truth) {
	if a.truth == t || a.broken {
		return
	}
	if a.truth == dead {
		a.pid++
		a.noticed(a.tellUnit)
	}
	a.truth, a.since = t, a.n.c.now
	a.n.logf("API is %s", t)
	switch {
	case t == dead:
		a.setUnit(false)
		// Without the unit the end of a connection tells; a probe is refused.
		a.noticed(func() {
			if !a.watchUnit {
				a.probe()
			}
		})
	case t == ready && !a.unitActive:
		a.setUnit(true)
	}
}

// setUnit changes the state of the K3s unit.
func (a *api) setUnit(active bool) {
	a.unitActive = active
	a.noticed(func() {
		a.n.c.fault("n%d may hold the address: %t", a.n.id+1, a.permitted())
		a.tellUnit()
		a.permit()
	})
}

// noticed does something as soon as the agent can know of a change.
func (a *api) noticed(do func()) {
	if !a.n.c.sabotage.blind {
		a.n.later(a.n.c.between(time.Millisecond, maxDeath-maxProbe), do)
	}
}

func (a *api) tellUnit() {
	if !a.watchUnit {
		return
	}
	u := health.Unit{ActiveState: "active", MainPID: a.pid}
	switch {
	case a.truth == dead:
		u.ActiveState, u.Dead = "failed", true
	case !a.unitActive:
		u.ActiveState = "activating"
	}
	a.report(a.judge.ObserveUnit(a.clock(a.n.c.now), 0, u))
	a.starts = u.ActiveState == "activating"
	if a.starts {
		a.permit()
		a.n.feed(vrrp.Withdraw())
	}
}

func (a *api) permit() {
	a.told = a.permitted()
	a.n.feed(vrrp.Permit(a.told))
}

// The judge's clock has an origin, the simulation's has none.
func (a *api) clock(at vrrp.Instant) time.Time { return time.Unix(1, 0).Add(at.Sub(a.n.c.begin)) }

func (a *api) instant(t time.Time) vrrp.Instant { return a.n.c.begin.Add(t.Sub(time.Unix(1, 0))) }

// probe asks whether the server is ready and, if the answer is not yes at once, whether
// it lives. What is true when it begins decides.
func (a *api) probe() {
	c := a.n.c
	took := c.between(time.Millisecond, maxProbe/2)
	switch a.truth {
	case ready:
		a.answers(health.Ready, took, took, "", false)
	case degraded:
		no, yes := took, 2*took
		if c.chance(0.5) {
			no, yes = c.between(headStart, maxNoLeader), headStart+took
		}
		a.answers(health.Ready, no, no, "not ready", false)
		a.answers(health.Alive, yes, yes, "", false)
	case hung:
		a.answers(health.Alive, headStart+aliveTimeout, aliveTimeout, "no answer", false)
		a.answers(health.Ready, readyTimeout, readyTimeout, "no answer", false)
	case dead:
		a.answers(health.Ready, took, took, "refused", true)
		a.answers(health.Alive, 2*took, 2*took, "refused", true)
	}
}

// answers hands the answer to a question of now to the judge, after a while.
func (a *api) answers(q health.Question, after, latency time.Duration, failure string, proof bool) {
	began, g := a.n.c.now, gradeOf(a.truth)
	judge := a.judge
	a.n.later(after, func() {
		if a.n.stalled {
			return
		}
		for ; g >= vrrp.Down && failure == ""; g-- {
			a.seen[g] = max(a.seen[g], began)
		}
		a.report(judge.Observe(a.clock(a.n.c.now), health.Result{
			Question: q, Began: a.clock(began), Latency: latency, Failure: failure, Proof: proof,
		}))
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

// report passes on what the judge says, and the evidence, as the agent does.
func (a *api) report(u health.Update) {
	if a.n.c.sabotage.hasty && a.truth == degraded && u.Verdict.Grade == vrrp.Ready {
		u.Verdict.Grade = vrrp.Degraded
	}
	a.verdict(u.Verdict)
	if !u.Began.IsZero() {
		a.n.feed(vrrp.Observed(u.Observed, a.instant(u.Began)))
	}
}

func (a *api) verdict(v health.Verdict) {
	if !v.Settled || a.heard && v.Grade == a.grade && v.Hold == a.hold && v.Cause == a.cause {
		return
	}
	if !a.heard || v.Grade != a.grade {
		a.n.wasReady = a.n.wasReady || v.Grade == vrrp.Ready
		a.fallen = a.fallen || v.Grade < a.grade
		a.n.c.watch.judged(a.n, v)
		a.n.c.disturb("n%d is judged %s (hold %v)", a.n.id+1, v.Grade, v.Hold)
	}
	a.heard, a.grade, a.cause, a.hold = true, v.Grade, v.Cause, v.Hold
	if a.n.c.sabotage.noHold {
		v.Hold = 0
	}
	a.n.feed(vrrp.Verdict(v.Grade, v.Hold))
}
