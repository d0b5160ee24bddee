package health

import (
	"fmt"
	"slices"
	"time"

	"github.com/vipd/vipd/vrrp"
)

// Judge turns the results of probes into a verdict. It does no I/O and reads no
// clock. Nothing happens by the passing of time alone: a probe that gets no
// answer yields a result at its timeout.
//
// It falls from ready to degraded when /readyz has failed without a break for
// 8 s while the server lives; to down after Fall failures in a row, at once with
// proof of death or when the watched unit leaves active; and it rises after Rise
// successes in a row. Of several checks the worst grade counts.
type Judge struct {
	checks  []*judged
	damping damping
	verdict Verdict
}

// Question is what a probe asks.
type Question uint8

// The two questions. Only a k3s check asks the second.
const (
	Alive Question = iota // does the server answer?
	Ready                 // is it ready, with its datastore?
)

// Result is what came of one probe.
type Result struct {
	Check    int // index in the list of checks
	Question Question
	Began    time.Time
	Latency  time.Duration // never more than the probe's timeout
	Failure  string        // why it failed, in words for the operator; "" for a success
	Proof    bool          // the failure proves that nothing is there: no second one is waited for
}

// Unit is the state of a systemd unit. The zero value means unknown.
type Unit struct {
	ActiveState string // as systemd has it: active, activating, deactivating, inactive, failed, ...
	SubState    string
	MainPID     int    // 0: no main process
	Dead        bool   // the main process has ended
	Exit        string // how it ended: "process 812 ended", "process 812 killed by signal 9"
}

// Verdict is what is held of the local API server.
type Verdict struct {
	Grade   vrrp.Grade
	Settled bool          // false after the start, until each check has risen or fallen: Grade is then only provisional
	Cause   string        // why, in words for the operator
	Since   time.Time     // when Grade last changed
	Hold    time.Duration // how long this node must have been ready before it may preempt (flap damping)
	Checks  []CheckStatus // in the order of the configuration; shared, read only
}

// CheckStatus is a verdict's part that comes from one check.
type CheckStatus struct {
	Type    string
	Name    string // type and target
	Grade   vrrp.Grade
	Cause   string        // what is wrong now, even if it does not count yet; "" if nothing
	Latency time.Duration // of the youngest success
	Since   time.Time     // when Grade last changed
}

// Update is the verdict together with the latest evidence.
type Update struct {
	Verdict Verdict

	// Observed is what the latest probes saw by themselves, unjudged: the worst
	// of all checks. A server that has answered but not yet said whether it is
	// ready is degraded until it does, within the same round: Observed is the
	// grade that it has at least.
	Observed vrrp.Grade
	// Began is when the probe behind Observed began, the earliest of all checks.
	// It is zero until each check has been probed.
	Began time.Time

	// Unit is the state of the first unit that a k3s check watches.
	Unit Unit
}

// degradeAfter is how long "ready" must have failed without a break before it
// counts. An ordinary etcd election takes 3 to 6 s, on all nodes alike.
const degradeAfter = 8 * time.Second

// NewJudge returns a judge of checks that knows nothing yet: the verdict is down.
func NewJudge(checks []Check) *Judge {
	j := &Judge{damping: damping{hold: minHold}}
	for _, c := range checks {
		j.checks = append(j.checks, newJudged(c))
	}
	j.verdict = Verdict{Grade: vrrp.Down, Cause: "starting: no answer yet", Hold: minHold, Checks: j.statuses()}
	return j
}

// Observe takes the result of a probe. Results may come in any order.
func (j *Judge) Observe(now time.Time, r Result) Update {
	j.checks[r.Check].observe(now, r)
	return j.conclude(now)
}

// ObserveUnit takes the state of the unit that a k3s check watches. A state that
// is told again changes nothing.
func (j *Judge) ObserveUnit(now time.Time, check int, u Unit) Update {
	j.checks[check].observeUnit(now, u)
	return j.conclude(now)
}

// conclude makes one verdict of all checks.
func (j *Judge) conclude(now time.Time) Update {
	v := Verdict{Grade: vrrp.Ready, Settled: true, Cause: "ready", Since: j.verdict.Since}
	for _, c := range j.checks {
		c.settle(now)
		v.Settled = v.Settled && c.settled()
		if c.grade < v.Grade {
			v.Grade, v.Cause = c.grade, c.cause()
		}
	}
	if v.Grade != j.verdict.Grade || v.Since.IsZero() {
		v.Since = now
	}
	if j.verdict.Grade == vrrp.Ready && v.Grade < vrrp.Ready {
		j.damping.fell(now)
	}
	v.Hold = j.damping.at(now)
	v.Checks = j.statuses()
	j.verdict = v
	return j.update()
}

func (j *Judge) update() Update {
	u := Update{Verdict: j.verdict, Observed: vrrp.Ready}
	for i, c := range j.checks {
		seen, began := c.observed()
		u.Observed = min(u.Observed, seen)
		if i == 0 || began.Before(u.Began) {
			u.Began = began
		}
	}
	i := slices.IndexFunc(j.checks, func(c *judged) bool { return c.Type == typeK3s && c.Unit != "" })
	if i >= 0 {
		u.Unit = j.checks[i].unit
	}
	return u
}

func (j *Judge) statuses() []CheckStatus {
	list := make([]CheckStatus, len(j.checks))
	for i, c := range j.checks {
		list[i] = c.status()
	}
	return list
}

// judged is one check and what is held of it.
type judged struct {
	Check
	alive streak
	ready *streak // nil for a check of one question

	unit    Unit
	stopped string    // what the unit does instead of being active: down whatever the probes say
	rose    time.Time // when the probe began that showed it alive again

	grade vrrp.Grade
	since time.Time

	seen    vrrp.Grade // by the youngest round
	began   time.Time
	latency time.Duration
}

func newJudged(c Check) *judged {
	fall, rise := c.counts()
	s := streak{fall: fall, rise: rise, apart: c.Interval / 2, span: c.Timeout}
	g := &judged{Check: c, alive: s, grade: vrrp.Down, seen: vrrp.Down}
	if c.Type == typeK3s {
		s.slow, s.span = degradeAfter, c.ReadyTimeout
		g.ready = &s
	}
	return g
}

func (g *judged) observe(now time.Time, r Result) {
	a := answer{began: r.Began, ended: r.Began.Add(r.Latency), failure: r.Failure, proof: r.Proof}
	if r.Failure == "" {
		g.latency = r.Latency
	}
	g.look(r)
	if r.Question == Ready && g.ready != nil {
		g.ready.observe(a)
	}
	// Who says that it is ready lives, even if it took longer than an answer to
	// Alive may: slow is not dead.
	if r.Question == Alive || r.Failure == "" || r.Proof {
		g.observeLife(now, a)
	}
}

func (g *judged) observeLife(now time.Time, a answer) {
	was := g.alive.good
	g.alive.observe(a)
	switch {
	case g.alive.good && !was:
		g.rose = a.began
	case g.ready != nil && !g.alive.good && (was || a.proof):
		// Its readiness of before is worth nothing after a fall.
		g.ready.observe(answer{began: now, ended: now, failure: "no answer from /readyz yet", proof: true})
	}
}

// look keeps what the youngest round saw.
func (g *judged) look(r Result) {
	saw := vrrp.Ready
	switch {
	case r.Failure != "" && r.Question == Ready && !r.Proof:
		return // the other question tells degraded from down
	case r.Failure != "":
		saw = vrrp.Down
	case r.Question == Alive && g.ready != nil:
		saw = vrrp.Degraded
	}
	switch r.Began.Compare(g.began) {
	case 1:
		g.began, g.seen = r.Began, saw
	case 0:
		g.seen = max(g.seen, saw)
	}
}

func (g *judged) observed() (vrrp.Grade, time.Time) {
	if g.stopped != "" {
		return vrrp.Down, g.began
	}
	return g.seen, g.began
}

func (g *judged) observeUnit(now time.Time, u Unit) {
	was, wasStopped := g.unit, g.stopped != ""
	g.unit, g.stopped = u, ""
	if word := leaving(u, wasStopped || running(was)); word != "" {
		g.stopped = g.Unit + " " + word
	}
	switch {
	case u.Dead && !(was.Dead && was.MainPID == u.MainPID):
		g.observe(now, Result{Began: now, Failure: ending(u), Proof: true})
	case g.stopped != "" && !wasStopped:
		g.observe(now, Result{Began: now, Failure: g.stopped, Proof: true})
	}
}

func ending(u Unit) string {
	if u.Exit != "" {
		return u.Exit
	}
	return fmt.Sprintf("process %d ended", u.MainPID)
}

func running(u Unit) bool {
	return slices.Contains([]string{"active", "activating", "reloading", "refreshing"}, u.ActiveState)
}

// leaving says in words that the unit has left active, or is about to. A unit
// that did not run before says nothing: the server is started another way.
func leaving(u Unit, ran bool) string {
	switch {
	case u.ActiveState == "deactivating":
		return "is stopping"
	case u.ActiveState == "inactive" && ran:
		return "is stopped"
	case u.ActiveState == "failed" && ran:
		return "has failed"
	}
	return ""
}

// settle makes the grade out of the two streaks.
func (g *judged) settle(now time.Time) {
	grade := g.sum()
	if grade != g.grade || g.since.IsZero() {
		g.grade, g.since = grade, now
	}
}

func (g *judged) sum() vrrp.Grade {
	switch {
	case g.stopped != "" || !g.alive.good:
		return vrrp.Down
	case g.ready == nil || g.ready.good:
		return vrrp.Ready
	case g.ready.last().began.Before(g.rose):
		// It has just come back; in the next moment it may say that it is ready.
		return vrrp.Down
	}
	return vrrp.Degraded
}

func (g *judged) settled() bool {
	if g.stopped != "" || g.alive.settled && !g.alive.good {
		return true
	}
	return g.alive.settled && (g.ready == nil || g.ready.settled)
}

// cause says why the check is not ready, with the name of what is.
func (g *judged) cause() string {
	if !g.settled() && g.grade == vrrp.Down {
		return "starting: " + g.why()
	}
	return fmt.Sprintf("%s %s: %s", g.subject(), g.grade, g.why())
}

func (g *judged) why() string {
	switch {
	case g.stopped != "":
		return g.stopped
	case !g.alive.good:
		return g.alive.words()
	}
	return g.ready.words()
}

func (g *judged) status() CheckStatus {
	s := CheckStatus{Type: g.Type, Name: g.String(), Grade: g.grade, Latency: g.latency, Since: g.since}
	switch {
	case g.grade != vrrp.Ready:
		s.Cause = g.why()
	case g.ready != nil && g.ready.last().failure != "":
		s.Cause = g.ready.last().failure
	default:
		s.Cause = g.alive.last().failure
	}
	return s
}
