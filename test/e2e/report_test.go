package e2e

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/vipd/vipd/test/client/probe"
)

// report is a table in Markdown, one row for each scenario.
type report struct{ path string }

// row is what the clients of a scenario saw, one report for each run.
type row struct {
	name, asserted string
	seen           []probe.Report
}

const reportHead = `%s

| what happened | asserted | connections that failed | longest gap | idle connection | moves |
| --- | --- | --- | --- | --- | --- |
`

// newReport begins a report, in place of an older one. The caption says which run it is.
func newReport(path, caption string) (*report, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("begin the report: %w", err)
	}
	return &report{path}, os.WriteFile(path, fmt.Appendf(nil, reportHead, caption), 0o644)
}

// The marks between which a document holds the report.
const (
	markBegin = "<!-- begin: written by make e2e -->\n"
	markEnd   = "<!-- end -->"
)

// copyInto puts the report into a document.
func (rep *report) copyInto(path string) error {
	table, err := os.ReadFile(rep.path)
	if err != nil {
		return fmt.Errorf("copy the report: %w", err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("copy the report: %w", err)
	}
	before, rest, found := strings.Cut(string(text), markBegin)
	_, after, closed := strings.Cut(rest, markEnd)
	if !found || !closed {
		return fmt.Errorf("copy the report: %s has no place for it, between %q and %q", path, markBegin, markEnd)
	}
	return os.WriteFile(path, []byte(before+markBegin+string(table)+markEnd+after), 0o644)
}

func (rep *report) add(r row) error {
	f, err := os.OpenFile(rep.path, os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("add to the report: %w", err)
	}
	defer f.Close()
	_, err = f.WriteString(r.String())
	return err
}

func (r row) String() string {
	name := r.name
	if len(r.seen) > 1 {
		name += fmt.Sprintf(", %d times", len(r.seen))
	}
	cells := []string{name, r.asserted, failures(r.seen), gaps(r.seen), idle(r.seen), moves(r.seen)}
	return "| " + strings.Join(cells, " | ") + " |\n"
}

// failures counts by kind, over all runs.
func failures(seen []probe.Report) string {
	all, kinds := 0, make(map[probe.Outcome]int)
	for _, r := range seen {
		all += r.Attempts
		for k, n := range r.Outcomes {
			if k != probe.OK {
				kinds[k] += n
			}
		}
	}
	if len(kinds) == 0 {
		return fmt.Sprintf("none of %d", all)
	}
	var out []string
	for _, k := range slices.Sorted(maps.Keys(kinds)) {
		out = append(out, fmt.Sprintf("%d %s", kinds[k], k))
	}
	return strings.Join(out, ", ") + fmt.Sprintf(", of %d", all)
}

func gaps(seen []probe.Report) string {
	longest := time.Duration(0)
	for _, r := range seen {
		longest = max(longest, r.LongestGap.Length())
	}
	if len(seen) == 1 {
		return short(longest)
	}
	return fmt.Sprintf("%s (median %s)", short(longest), short(medianGap(seen)))
}

// idle says how the connection fared that was open and unused, and the longest time
// until it was back. One whose end nobody told the client hangs.
func idle(seen []probe.Report) string {
	var ends []string
	longest := time.Duration(0)
	for _, r := range seen {
		if len(r.Drops) == 0 && len(r.Changes) > 1 {
			return "hangs"
		}
		for _, d := range r.Drops {
			ends = append(ends, d.Cause)
			longest = max(longest, d.Back-d.Lost)
			if d.Back == 0 {
				ends = append(ends, "not back")
			}
		}
	}
	if len(ends) == 0 {
		return "stays"
	}
	slices.Sort(ends)
	return fmt.Sprintf("%s, back after %s", strings.Join(slices.Compact(ends), ", "), short(longest))
}

func moves(seen []probe.Report) string {
	n := 0
	for _, r := range seen {
		n += len(r.Changes) - 1
	}
	return fmt.Sprint(n)
}

// short rounds a time to what matters.
func short(d time.Duration) string {
	if d < time.Second {
		return d.Round(time.Millisecond).String()
	}
	return d.Round(10 * time.Millisecond).String()
}
