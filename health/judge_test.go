package health

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
)

// TestJudge runs the stories in testdata/judge. Those named after a number tell
// of that item of the conformance list (test/README.md).
//
//	new [check] [fall=3] [rise=2] [interval=500ms]   a judge of the named checks: k3s (default), tcp
//	play [check]                                     lets time pass; one event a line, times from the start
//	    <began> <alive> [<ready>]                    what a probe's questions bring
//	    <first>..<last> <alive> [<ready>]            the same at each interval
//	    <time> unit <state> [dead=pid [exit words]]  what systemd says of k3s.service, ? if nothing
//	status                                           the whole update
//
// A question brings ok, a failure (its-words), refused, hang (until the
// timeout) or - (not asked). @2s is how long it takes; 1ms if not given.
// play prints each change of grade.
func TestJudge(t *testing.T) {
	datadriven.Walk(t, "testdata/judge", func(t *testing.T, path string) {
		s := &story{t: t}
		datadriven.RunTest(t, path, s.run)
	})
}

type story struct {
	t      *testing.T
	checks []Check
	judge  *Judge
	update Update
	start  time.Time
}

// happening is something that the judge is told, and when.
type happening struct {
	at   time.Duration
	tell func(now time.Time) Update
}

func (s *story) run(t *testing.T, d *datadriven.TestData) string {
	switch d.Cmd {
	case "new":
		s.begin(d)
		return s.summary()
	case "play":
		return s.play(d)
	case "status":
		return s.status()
	}
	t.Fatalf("%s: unknown command %q", d.Pos, d.Cmd)
	return ""
}

func (s *story) begin(d *datadriven.TestData) {
	c := Check{
		URL: "https://127.0.0.1:6443", Unit: "k3s.service", Address: "127.0.0.1:22",
		Interval: 500 * time.Millisecond, Timeout: 750 * time.Millisecond, ReadyTimeout: 3 * time.Second, Fall: 3, Rise: 2,
	}
	var types []string
	for _, a := range d.CmdArgs {
		switch a.Key {
		case "interval":
			c.Interval = s.duration(a.Vals[0])
		case "fall":
			d.ScanArgs(s.t, "fall", &c.Fall)
		case "rise":
			d.ScanArgs(s.t, "rise", &c.Rise)
		default:
			types = append(types, a.Key)
		}
	}
	if types == nil {
		types = []string{typeK3s}
	}
	s.checks = nil
	for _, c.Type = range types {
		s.checks = append(s.checks, c)
	}
	s.judge, s.start = NewJudge(s.checks), time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	s.update = s.judge.update()
}

func (s *story) play(d *datadriven.TestData) string {
	check := 0
	for _, a := range d.CmdArgs {
		check = slices.IndexFunc(s.checks, func(c Check) bool { return c.Type == a.Key })
	}
	var script []happening
	for line := range strings.Lines(d.Input) {
		line, _, _ = strings.Cut(line, "#")
		if f := strings.Fields(line); len(f) > 0 {
			script = append(script, s.parse(check, f)...)
		}
	}
	slices.SortStableFunc(script, func(a, b happening) int { return cmp.Compare(a.at, b.at) })
	var out strings.Builder
	for _, h := range script {
		was := s.update.Verdict.Grade
		s.update = h.tell(s.start.Add(h.at))
		if s.update.Verdict.Grade != was {
			fmt.Fprintf(&out, "%v %s\n", h.at, s.summary())
		}
	}
	if out.Len() == 0 {
		return "still " + s.summary()
	}
	return out.String()
}

func (s *story) parse(check int, f []string) []happening {
	if len(f) > 1 && f[1] == "unit" {
		return []happening{s.unit(check, f)}
	}
	first, last, many := strings.Cut(f[0], "..")
	if !many {
		last = first
	}
	var script []happening
	for at := s.duration(first); at <= s.duration(last); at += s.checks[check].Interval {
		for q, word := range f[1:] {
			if word != "-" {
				script = append(script, s.result(check, Question(q), at, word))
			}
		}
	}
	return script
}

func (s *story) result(check int, q Question, began time.Duration, word string) happening {
	word, took, ok := strings.Cut(word, "@")
	r := Result{Check: check, Question: q, Began: s.start.Add(began), Latency: time.Millisecond}
	if ok {
		r.Latency = s.duration(took)
	}
	switch word {
	case "ok":
	case "hang":
		r.Latency = s.checks[check].Timeout
		if q == Ready {
			r.Latency = s.checks[check].ReadyTimeout
		}
		r.Failure = "no answer within " + r.Latency.String()
	case "refused":
		r.Failure, r.Proof = "connection refused", true
	default:
		r.Failure = strings.ReplaceAll(word, "-", " ")
	}
	return happening{began + r.Latency, func(now time.Time) Update { return s.judge.Observe(now, r) }}
}

func (s *story) unit(check int, f []string) happening {
	u := Unit{ActiveState: f[2], MainPID: 812}
	if f[2] == "?" {
		u = Unit{}
	}
	for i, word := range f[3:] {
		if pid, ok := strings.CutPrefix(word, "dead="); ok {
			u.MainPID, _ = strconv.Atoi(pid)
			u.Dead, u.Exit = true, strings.Join(f[3+i+1:], " ")
		}
	}
	return happening{s.duration(f[0]), func(now time.Time) Update { return s.judge.ObserveUnit(now, check, u) }}
}

func (s *story) summary() string {
	v := s.update.Verdict
	text := v.Grade.String() + ": " + v.Cause
	if v.Hold > time.Second {
		text += fmt.Sprintf(" (hold %v)", v.Hold)
	}
	return text
}

func (s *story) status() string {
	u := s.update
	var out strings.Builder
	fmt.Fprintf(&out, "%s\nsince %v, settled %v\n", s.summary(), u.Verdict.Since.Sub(s.start), u.Verdict.Settled)
	fmt.Fprintf(&out, "observed %v by a probe that began at %v\n", u.Observed, u.Began.Sub(s.start))
	for _, c := range u.Verdict.Checks {
		fmt.Fprintf(&out, "%s: %v, %q, latency %v, since %v\n", c.Name, c.Grade, c.Cause, c.Latency, c.Since.Sub(s.start))
	}
	return out.String()
}

func (s *story) duration(text string) time.Duration {
	s.t.Helper()
	d, err := time.ParseDuration(text)
	if err != nil {
		s.t.Fatal(err)
	}
	return d
}
