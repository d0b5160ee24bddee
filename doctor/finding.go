package doctor

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Severity says how much a finding matters.
type Severity string

// The severities, in rising order.
const (
	OK      Severity = "ok"      // a check found nothing
	Info    Severity = "info"    // good to know
	Warning Severity = "warning" // works, and may not when it counts
	Error   Severity = "error"   // the VIP does not work, or will not move
)

func severities() []Severity { return []Severity{OK, Info, Warning, Error} }

// Finding is one thing that a check has found.
type Finding struct {
	ID       string   `json:"id"` // of the kind, see [Kinds]; of an ok, the check's name
	Severity Severity `json:"severity"`
	Subject  string   `json:"subject"` // a VIP, an interface, a unit, ...
	Evidence string   `json:"evidence"`
	Remedy   string   `json:"remedy,omitempty"`
}

// Skipped is a check that was left out.
type Skipped struct {
	Check string `json:"check"`
	Why   string `json:"why"`
}

// Report is what vipd doctor --json prints: docs/doctor.schema.json.
type Report struct {
	Version  string    `json:"version"` // of the program
	Node     string    `json:"node"`
	Time     time.Time `json:"time"`
	Config   string    `json:"config"`   // the file
	Findings []Finding `json:"findings"` // the worst first
	LeftOut  []Skipped `json:"left_out"`
}

// Failed tells whether an error was found.
func (r Report) Failed() bool { return r.count(Error) > 0 }

func (r Report) count(s Severity) int {
	n := 0
	for _, f := range r.Findings {
		if f.Severity == s {
			n++
		}
	}
	return n
}

// sort puts the worst first, and the rest in an order that stays.
func (r *Report) sort() {
	slices.SortFunc(r.Findings, func(a, b Finding) int {
		rank := slices.Index(severities(), b.Severity) - slices.Index(severities(), a.Severity)
		if rank != 0 {
			return rank
		}
		return strings.Compare(a.ID+a.Subject+a.Evidence, b.ID+b.Subject+b.Evidence)
	})
	slices.SortFunc(r.LeftOut, func(a, b Skipped) int { return strings.Compare(a.Check, b.Check) })
}

// WriteText writes a line for each finding, what was left out, and a summary. The
// checks that found nothing have a line only if all is wanted.
func (r Report) WriteText(w io.Writer, all bool) error {
	var b strings.Builder
	for _, f := range r.Findings {
		if f.Severity == OK && !all {
			continue
		}
		fmt.Fprintf(&b, "%-7s  %s: %s", f.Severity, f.Subject, f.Evidence)
		if f.Remedy != "" {
			fmt.Fprintf(&b, "; %s", f.Remedy)
		}
		if f.Severity != OK {
			fmt.Fprintf(&b, " [%s]", f.ID)
		}
		b.WriteByte('\n')
	}
	for _, s := range r.LeftOut {
		fmt.Fprintf(&b, "%-7s  %s: %s\n", "-", s.Check, s.Why)
	}
	fmt.Fprintf(&b, "%s: %s, %s, %d to know; checks without a finding: %d, left out: %d\n", r.Node,
		plural(r.count(Error), "error"), plural(r.count(Warning), "warning"), r.count(Info), r.count(OK), len(r.LeftOut))
	_, err := io.WriteString(w, b.String())
	return err
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
