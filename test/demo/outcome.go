package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/vipd/vipd/test/client/probe"
)

// blink is a gap that is no outage if nothing failed: a lost packet costs a new
// connection a second, so what waited less waited for the machine that all of it shares.
const blink = 500 * time.Millisecond

// outcome is what became of a step.
type outcome struct {
	label    string
	from     string        // who had the VIP
	way      []sighting    // where it came to
	gap      time.Duration // the longest time in which the client got no answer
	attempts int           // connections that the client tried
	lost     lost
	fault    string // what was not as expected
}

// take adds what the client saw.
func (o *outcome) take(r probe.Report) {
	o.attempts, o.gap, o.lost = r.Attempts, r.LongestGap.Length(), tally(r.Outcomes)
}

// outage returns how long the client was without the API; 0: it noticed nothing.
func (o outcome) outage() time.Duration {
	if o.lost.total() == 0 && o.gap < blink {
		return 0
	}
	return o.gap
}

// client is what the client saw, in words.
func (o outcome) client() string {
	failed := fmt.Sprintf("all %d connections answered", o.attempts)
	if o.lost.total() > 0 {
		failed = fmt.Sprintf("%d of %d connections failed: %s", o.lost.total(), o.attempts, o.lost)
	}
	return fmt.Sprintf("client: %s; at most %s between two answers", failed, brief(o.gap))
}

// lost counts connections that gave no answer.
type lost struct{ refused, reset, timedOut, other int }

func tally(counts map[probe.Outcome]int) lost {
	var l lost
	for o, n := range counts {
		switch o {
		case probe.OK:
		case probe.Refused:
			l.refused += n
		case probe.Reset:
			l.reset += n
		case probe.Timeout, probe.Unanswered:
			l.timedOut += n
		default:
			l.other += n
		}
	}
	return l
}

func (l lost) total() int { return l.refused + l.reset + l.timedOut + l.other }

func (l lost) String() string {
	var words []string
	for _, c := range []struct {
		n    int
		word string
	}{{l.refused, "refused"}, {l.reset, "reset"}, {l.timedOut, "timed out"}, {l.other, "otherwise"}} {
		if c.n > 0 {
			words = append(words, fmt.Sprintf("%d %s", c.n, c.word))
		}
	}
	return strings.Join(words, ", ")
}

// table lists the outcomes, and draws the conclusion in the last line.
func table(list []outcome, took time.Duration, p paint) string {
	rows := [][]string{{"what happened", "VIP", "moved after", "outage", "failed connections"}}
	for _, o := range list {
		rows = append(rows, o.row())
	}
	lines := align(rows)
	lines[0] = p.bold(lines[0])
	for i, o := range list {
		if o.fault != "" {
			lines[i+1] += p.red("  " + o.fault)
		}
	}
	return "  " + strings.Join(lines, "\n  ") + "\n\n" + conclusion(list, took, p)
}

func (o outcome) row() []string {
	way, moved := "stays on "+o.from, "-"
	if n := len(o.way); n > 0 {
		way, moved = o.from, brief(o.way[n-1].after)
	}
	for _, s := range o.way {
		way += " -> " + s.node
	}
	outage, failed := "none", fmt.Sprintf("none of %d", o.attempts)
	if o.outage() > 0 {
		outage = brief(o.outage())
	}
	if n := o.lost.total(); n > 0 {
		failed = fmt.Sprintf("%d of %d (%s)", n, o.attempts, o.lost)
	}
	return []string{o.label, way, moved, outage, failed}
}

// align pads the columns to equal widths, numbers to the right.
func align(rows [][]string) []string {
	width := make([]int, len(rows[0]))
	for _, r := range rows {
		for i, cell := range r {
			width[i] = max(width[i], len(cell))
		}
	}
	var out []string
	for _, r := range rows {
		out = append(out, strings.TrimRight(fmt.Sprintf("%-*s   %-*s   %*s   %*s   %s",
			width[0], r[0], width[1], r[1], width[2], r[2], width[3], r[3], r[4]), " "))
	}
	return out
}

func conclusion(list []outcome, took time.Duration, p paint) string {
	bad := 0
	for _, o := range list {
		if o.fault != "" {
			bad++
		}
	}
	if bad > 0 {
		return p.red(fmt.Sprintf("%d of %d steps did not go as expected.", bad, len(list)))
	}
	worst := slices.MaxFunc(list, func(a, b outcome) int { return cmp.Compare(a.outage(), b.outage()) })
	return p.green(fmt.Sprintf("%d faults and repairs in %.0f s: the VIP went where it belongs each time; the longest outage was %s (%s).",
		len(list), took.Seconds(), brief(worst.outage()), worst.label))
}
