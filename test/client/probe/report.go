package probe

import "time"

// Report is what the client saw. Times count from Began; durations are in
// nanoseconds in JSON.
type Report struct {
	Began      time.Time       `json:"began"`
	Lasted     time.Duration   `json:"lasted"`
	Attempts   int             `json:"attempts"`   // that have ended
	Unfinished int             `json:"unfinished"` // cut short by the end of the measurement
	Outcomes   map[Outcome]int `json:"outcomes"`
	Nodes      map[string]int  `json:"nodes"`  // answers by node
	Failed     int             `json:"failed"` // neither answered nor reset in flight
	LongestGap Gap             `json:"longest_gap"`
	Changes    []Change        `json:"changes"` // who answered, from when on
	Failures   []Attempt       `json:"failures"`
	Drops      []Drop          `json:"drops"` // ends of the idle connection

	// Noise is the longest time between the starts of two attempts. A gap that is
	// not longer was perhaps the client's own.
	Noise time.Duration `json:"noise"`
}

// Gap is a time without an answer: from the last one before to the first one
// after, or to the end of the measurement.
type Gap struct {
	From   time.Duration `json:"from"`
	To     time.Duration `json:"to"`
	Before string        `json:"before"` // node of the last answer
	After  string        `json:"after"`  // node of the next answer; "" if none came
}

// Length returns how long the gap lasted.
func (g Gap) Length() time.Duration { return g.To - g.From }

// Change is another node beginning to answer.
type Change struct {
	At     time.Duration `json:"at"`     // of the first answer
	From   string        `json:"from"`   // "" before the first answer of all
	To     string        `json:"to"`     //
	Outage time.Duration `json:"outage"` // since the last answer of From
}

// Drop is an end of the idle connection.
type Drop struct {
	Node   string        `json:"node"`   // at the other end
	Opened time.Duration `json:"opened"` //
	Lost   time.Duration `json:"lost"`
	Cause  string        `json:"cause"` // "reset", "closed", "timeout" or the error
	Back   time.Duration `json:"back"`  // when a new one was open; 0 if none was until the end
	To     string        `json:"to"`    // the node that it led to
}

// Event is a line that the client program prints: one of the two.
type Event struct {
	Change *Change `json:"change,omitempty"`
	Report *Report `json:"report,omitempty"`
}

// tally makes the report as attempts end.
type tally struct {
	report    Report
	node      string        // that answers now
	since     time.Duration // start of its first attempt that was answered
	last      time.Duration // end of the latest attempt that was answered
	lastStart time.Duration
}

func newTally(began time.Time) *tally {
	return &tally{report: Report{Began: began, Outcomes: map[Outcome]int{}, Nodes: map[string]int{}}}
}

// started counts the beginning of an attempt.
func (t *tally) started(at time.Duration) {
	t.report.Noise = max(t.report.Noise, at-t.lastStart)
	t.lastStart = at
}

// ended counts the end of an attempt, and returns whether it shows that another
// node answers now.
func (t *tally) ended(a Attempt) (Change, bool) {
	if a.Outcome == unfinished {
		t.report.Unfinished++
		return Change{}, false
	}
	t.report.Attempts++
	t.report.Outcomes[a.Outcome]++
	if a.Outcome != OK {
		t.fail(a)
		return Change{}, false
	}
	t.report.Nodes[a.Node]++
	outage := t.gapTo(a.End, a.Node)
	t.last = max(t.last, a.End)
	// A late answer to an early question comes from the node that was there then.
	if a.Node == t.node || t.node != "" && a.Start < t.since {
		return Change{}, false
	}
	ch := Change{At: a.End, From: t.node, To: a.Node, Outage: outage}
	t.report.Changes = append(t.report.Changes, ch)
	t.node, t.since = a.Node, a.Start
	return ch, true
}

// dropped counts an end of the idle connection.
func (t *tally) dropped(d Drop) { t.report.Drops = append(t.report.Drops, d) }

func (t *tally) fail(a Attempt) {
	t.report.Failures = append(t.report.Failures, a)
	if a.Outcome != Reset {
		t.report.Failed++
	}
}

// gapTo returns the time without an answer that ends at the given time.
func (t *tally) gapTo(at time.Duration, node string) time.Duration {
	if t.node == "" {
		return 0
	}
	g := Gap{From: t.last, To: max(at, t.last), Before: t.node, After: node}
	if g.Length() > t.report.LongestGap.Length() {
		t.report.LongestGap = g
	}
	return g.Length()
}

// finish returns the report of a measurement that ends at the given time.
func (t *tally) finish(at time.Duration) Report {
	t.gapTo(at, "")
	t.report.Lasted = at
	return t.report
}
