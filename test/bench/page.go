package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/vipd/vipd/test/draw"
)

// The marks between which the page has what was measured.
const (
	markBegin = "<!-- begin: written by make bench -->\n"
	markEnd   = "<!-- end -->"
)

// publish writes the report and its pictures, and the table of the README beside docs.
func (b *book) publish(docs string) error {
	files := make(map[string]string)
	for page, written := range map[string]string{
		filepath.Join(docs, "benchmarks.md"):   b.tables(),
		filepath.Join(docs, "..", "README.md"): "\n" + b.summary() + "\n",
	} {
		text, err := os.ReadFile(page)
		if err != nil {
			return fmt.Errorf("write the report: %w", err)
		}
		head, rest, found := strings.Cut(string(text), markBegin)
		_, tail, closed := strings.Cut(rest, markEnd)
		if !found || !closed {
			return fmt.Errorf("write the report: %s has no place for it, between %q and %q", page, markBegin, markEnd)
		}
		files[page] = head + markBegin + written + markEnd + tail
	}
	for name, draw := range map[string]func() *draw.Picture{"failover.svg": b.timeline, "outage.svg": b.outageChart, "cost.svg": b.costChart} {
		files[filepath.Join(docs, name)] = draw().String()
	}
	for path, text := range files {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return fmt.Errorf("write the report: %w", err)
		}
	}
	return nil
}

func (b *book) tables() string {
	var out strings.Builder
	out.WriteString("\n## What vipd is to reach\n\n" + b.goalTable())
	out.WriteString("\n## What a client sees\n\n![A failover, as a client sees it](failover.svg)\n\n![Outage by fault and agent](outage.svg)\n\n")
	b.measuredOn(&out, faultNames()...)
	out.WriteString(b.outageTable() + "\n" + b.effectTable() + "\nThe limits:\n\n" + limits())
	out.WriteString("\n## What it costs\n\n![Cost against the number of VIPs](cost.svg)\n\n")
	b.measuredOn(&out, "cost")
	out.WriteString(b.costTable() + "\n" + b.startTable() + b.sizes())
	out.WriteString("\n## The smallest interval\n\n")
	b.measuredOn(&out, "sustained")
	out.WriteString(b.strainTable())
	return out.String()
}

// measuredOn says how some parts were measured, and on what, those together that have
// the same to say.
func (b *book) measuredOn(out *strings.Builder, parts ...string) {
	names := make(map[string][]string)
	var order []string
	for _, p := range parts {
		f, ok := b.Facts[p]
		if !ok {
			continue
		}
		how := fmt.Sprintf("%s, on %s", f.run(), f.machine())
		if names[how] == nil {
			order = append(order, how)
		}
		names[how] = append(names[how], fmt.Sprintf("%s (load %s)", p, f.Load))
	}
	for _, how := range order {
		fmt.Fprintf(out, "%s: %s.\n\n", how, strings.Join(names[how], ", "))
	}
}

// table is a Markdown table.
func table(head []string, rows [][]string) string {
	if len(rows) == 0 {
		return "Not measured yet.\n"
	}
	var out strings.Builder
	line := func(cells []string) { out.WriteString("| " + strings.Join(cells, " | ") + " |\n") }
	line(head)
	line(strings.Split(strings.Repeat("--- ", len(head)-1)+"---", " "))
	for _, r := range rows {
		line(r)
	}
	return out.String()
}

// summary is for how long a client got no answer, in the median, where it matters most.
func (b *book) summary() string {
	var rows [][]string
	for _, f := range []struct{ words, name string }{
		{"the API server crashes", "API killed"},
		{"the API server hangs", "API hangs"},
		{"the node dies", "node death"},
		{"the agent is stopped, the node drained", "graceful stop"},
	} {
		row := []string{f.words}
		for _, e := range []string{vipdDefault, peerDefault, peerFast} {
			row = append(row, gap(b.Faults[f.name][e]))
		}
		rows = append(rows, row)
	}
	return table([]string{"", "vipd", "keepalived", "keepalived, tuned"}, rows)
}

// gap is the median outage in seconds, or none where every connection was answered.
func gap(samples []sample) string {
	if len(samples) == 0 {
		return "?"
	}
	if slices.IndexFunc(samples, func(s sample) bool { return s.Failed > 0 || s.Resets > 2 }) < 0 {
		return "none"
	}
	return fmt.Sprintf("%.2g s", spreadOf(column(samples, outage)).median.Seconds())
}

func (b *book) goalTable() string {
	var rows [][]string
	for _, g := range b.checklist() {
		verdict := g.verdict()
		if g.note != "" {
			verdict += ": " + g.note
		}
		rows = append(rows, []string{g.what, g.want, g.got, verdict})
	}
	return table([]string{"what", "wanted", "measured", ""}, rows)
}

// results calls do for all faults and entrants that were measured, in order.
func (b *book) results(do func(fault, entrant, []sample)) {
	for _, f := range faults() {
		for _, e := range entrants() {
			if samples := b.Faults[f.name][e.name]; len(samples) > 0 {
				do(f, e, samples)
			}
		}
	}
}

func (b *book) outageTable() string {
	var rows [][]string
	b.results(func(f fault, e entrant, samples []sample) {
		failed, resets := column(samples, func(s sample) int { return s.Failed }), column(samples, func(s sample) int { return s.Resets })
		quiet := spreadOf(column(samples, noise))
		rows = append(rows, []string{f.name, e.name, fmt.Sprint(len(samples)), spreadOf(column(samples, outage)).String(), ms(f.limit(e).Median),
			against(f, samples, b.Faults[f.name][e.peer]), pair(failed), pair(resets), ms(quiet.median) + " / " + ms(quiet.max)})
	})
	return table([]string{"fault", "agent", "runs", "outage in ms: min / median / p95 / max", "limit", "× keepalived", "failed", "resets", "noise"}, rows)
}

// against is the ratio of the medians, where that says something.
func against(f fault, own, theirs []sample) string {
	if len(theirs) == 0 || f.stays {
		return "-"
	}
	o, t := spreadOf(column(own, outage)).median, spreadOf(column(theirs, outage)).median
	if o < spreadOf(column(own, noise)).median && t < spreadOf(column(theirs, noise)).median {
		return "~"
	}
	return times(ratio(o, t))
}

func (b *book) effectTable() string {
	var rows [][]string
	b.results(func(f fault, e entrant, samples []sample) {
		if f.stays {
			return
		}
		two, stuck := middle(samples, func(s sample) time.Duration { return s.Two }), 0
		for _, s := range samples {
			if s.Stuck {
				stuck++
			}
			if !s.TwoEnds {
				two = "**no end**"
			}
		}
		rows = append(rows, []string{f.name, e.name, middle(samples, func(s sample) time.Duration { return s.Moved }),
			middle(samples, func(s sample) time.Duration { return s.Nobody }), two, middle(samples, advert), idleness(samples), fmt.Sprint(stuck)})
	})
	return table([]string{"fault", "agent", "moved after", "no holder", "two holders", "between advertisements", "idle connection back", "black holes"}, rows)
}

// idleness is what became of the idle connections.
func idleness(samples []sample) string {
	kinds := make(map[string]int)
	for _, s := range samples {
		kinds[s.Idle]++
	}
	switch {
	case kinds[hangs] > 0:
		return fmt.Sprintf("hangs in %d of %d", kinds[hangs], len(samples))
	case kinds[back] > 0:
		return middle(samples, func(s sample) time.Duration { return s.Back })
	}
	return stays
}

// middle is the median and the most of a figure.
func middle(samples []sample, of func(sample) time.Duration) string {
	s := spreadOf(column(samples, of))
	if s.max == 0 {
		return "-"
	}
	return ms(s.median) + " / " + ms(s.max)
}

func noise(s sample) time.Duration { return s.Noise }

func faultNames() []string {
	var all []string
	for _, f := range faults() {
		all = append(all, f.name)
	}
	return all
}

func limits() string {
	var out strings.Builder
	said := make(map[string]bool)
	for _, f := range faults() {
		for _, e := range f.entrants() {
			if why := f.limit(e).Why; f.limit != nil && !f.stays && !said[f.name+why] {
				said[f.name+why] = true
				fmt.Fprintf(&out, "- %s, %s: %s.\n", f.name, e.name, why)
			}
		}
	}
	return out.String()
}

func (b *book) costTable() string {
	var rows [][]string
	for _, x := range b.Bills {
		row := []string{x.Load.String(), x.Agent}
		for _, e := range []expense{x.Active, x.Backup} {
			row = append(row, fmt.Sprintf("%.2f", e.CPU), fmt.Sprintf("%.0f", e.Wakeups), fmt.Sprintf("%.0f", e.Packets),
				fmt.Sprintf("%.1f / %.1f", float64(e.Memory.RSS)/1024, float64(e.Memory.PSS)/1024))
		}
		rows = append(rows, row)
	}
	return table([]string{"VRIDs", "agent", "Active: CPU s/min", "wakeups/s", "packets/s", "RSS / PSS in MiB", "Backup: CPU s/min", "wakeups/s", "packets/s", "RSS / PSS in MiB"}, rows)
}

func (b *book) startTable() string {
	var rows [][]string
	for _, x := range b.Bills {
		rows = append(rows, []string{x.Load.String(), x.Agent, ms(x.ToBackup), ms(x.ToActive), ms(x.TakeoverFirst), ms(x.TakeoverLast), ms(x.TakeoverLast - x.TakeoverFirst)})
	}
	return table([]string{"VRIDs", "agent", "start to Backup, ms", "start to Active, ms", "takeover: first VIP, ms", "last VIP, ms", "apart, ms"}, rows)
}

func (b *book) sizes() string {
	if len(b.Binaries) == 0 {
		return ""
	}
	return fmt.Sprintf("\nThe binaries: vipd %.1f MiB, static; keepalived %.1f MiB, and the libraries that it loads.\n",
		float64(b.Binaries[vipdDefault])/(1<<20), float64(b.Binaries[peerDefault])/(1<<20))
}

func (b *book) strainTable() string {
	var rows [][]string
	for _, s := range b.Strains {
		rows = append(rows, []string{s.Agent, s.Interval.String(), short(s.Lasted), fmt.Sprint(s.False)})
	}
	return table([]string{"agent", "advertises each", "for", "takeovers without a cause"}, rows)
}

// pair is the median and the most of some numbers.
func pair(numbers []int) string {
	var d []time.Duration
	for _, n := range numbers {
		d = append(d, time.Duration(n))
	}
	s := spreadOf(d)
	return fmt.Sprintf("%d / %d", s.median, s.max)
}
