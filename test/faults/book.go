package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// The marks between which a document has the table.
const (
	markBegin = "<!-- begin: written by make faults -->\n"
	markEnd   = "<!-- end -->"
)

// book keeps the latest result of each fault, so that a table can be made of runs that
// were made one by one.
type book struct {
	path    string
	results map[string]result
}

func openBook(path string) (*book, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("make a place for the results: %w", err)
	}
	results, err := readResults(path)
	return &book{path: path, results: results}, err
}

// readResults returns what a file has, by name; nothing if there is none.
func readResults(path string) (map[string]result, error) {
	results := make(map[string]result)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return results, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the results: %w", err)
	}
	if err := json.Unmarshal(text, &results); err != nil {
		return nil, fmt.Errorf("read the results in %s: %w", path, err)
	}
	return results, nil
}

// beside is where the results are of which a document has the table.
func beside(document string) string {
	return strings.TrimSuffix(document, filepath.Ext(document)) + ".json"
}

// inherit takes over what was recorded beside a document and not played since.
func (b *book) inherit(document string) error {
	recorded, err := readResults(beside(document))
	for name, r := range recorded {
		if _, played := b.results[name]; !played {
			b.results[name] = r
		}
	}
	return err
}

// judge holds all results to the bounds as they are now, and returns what breaks them.
func (b *book) judge(all []fault) []string {
	var red []string
	for _, f := range all {
		r, known := b.results[f.name]
		if !known {
			continue
		}
		r.judge(f)
		b.results[f.name] = r
		for _, broken := range r.Red {
			red = append(red, f.name+": "+broken)
		}
	}
	return red
}

// took returns how long a run of a fault took, on average.
func (b *book) took(name string) time.Duration {
	r := b.results[name]
	if len(r.Samples) == 0 {
		return usualTake
	}
	var sum time.Duration
	for _, s := range r.Samples {
		sum += s.Took
	}
	return sum / time.Duration(len(r.Samples))
}

func (b *book) add(r result) error {
	b.results[r.Name] = r
	return writeResults(b.path, b.results)
}

func writeResults(path string, results map[string]result) error {
	text, err := json.MarshalIndent(results, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

// record puts the table into a document, and what it is made of beside that.
func (b *book) record(path string, all []fault) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("record the table: %w", err)
	}
	before, rest, found := strings.Cut(string(text), markBegin)
	_, after, closed := strings.Cut(rest, markEnd)
	if !found || !closed {
		return fmt.Errorf("record the table: %s has no place for it, between %q and %q", path, markBegin, markEnd)
	}
	if err := os.WriteFile(path, []byte(before+markBegin+b.table(all)+markEnd+after), 0o644); err != nil {
		return err
	}
	recorded := make(map[string]result)
	for _, f := range all {
		if r, known := b.results[f.name]; known {
			recorded[f.name] = r
		}
	}
	return writeResults(beside(path), recorded)
}

const tableHead = `
| fault | runs | in | client outage | client's noise | lost | resets | idle back | two holders | after the healing | nobody | moves | settled | bound | verdict |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
`

// table is the results in Markdown, in the order of the faults.
func (b *book) table(all []fault) string {
	var rows strings.Builder
	var days, hosts []string
	var in legend
	runs := 0
	for _, f := range all {
		r, known := b.results[f.name]
		if !known || len(r.Samples) == 0 {
			continue
		}
		days, hosts, runs = append(days, r.When), append(hosts, r.Host), runs+len(r.Samples)
		rows.WriteString(r.row(f, in.letter(r)))
	}
	if runs == 0 {
		return ""
	}
	slices.Sort(days)
	when := days[0]
	if last := days[len(days)-1]; last != when {
		when += " to " + last
	}
	slices.Sort(hosts)
	return fmt.Sprintf("%s, %d runs, %s.\n", when, runs, strings.Join(slices.Compact(hosts), "; ")) + tableHead + rows.String() + "\n" + in.String()
}

// thisHost is what the figures may depend on.
func thisHost() string { return fmt.Sprintf("%d CPUs, Linux %s", runtime.NumCPU(), kernel()) }

// kernel is the release of the kernel, without what its builder adds.
func kernel() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "?"
	}
	release, _, _ := strings.Cut(unix.ByteSliceToString(u.Release[:]), "-")
	return release
}

// legend gives each set of variants that faults are played in a letter.
type legend struct{ sets []string }

// letter returns that of a result.
func (l *legend) letter(r result) string {
	var in []string
	for _, s := range r.Samples {
		in = append(in, s.Variant)
	}
	slices.Sort(in)
	set := strings.Join(slices.Compact(in), ", ")
	i := slices.Index(l.sets, set)
	if i < 0 {
		i = len(l.sets)
		l.sets = append(l.sets, set)
	}
	return string(rune('A' + i))
}

func (l *legend) String() string {
	var out strings.Builder
	for i, set := range l.sets {
		fmt.Fprintf(&out, "- %c: %s\n", 'A'+i, set)
	}
	return out.String()
}

// row is a line of the table: the median of all runs and the worst one.
func (r result) row(f fault, letter string) string {
	name, verdict := f.name, "ok"
	if f.note != "" {
		name += " (" + f.note + ")"
	}
	if len(r.Red) > 0 {
		verdict = "**red**: " + strings.ReplaceAll(r.Red[0], "|", "/")
	}
	lost, resets, moves := r.Samples[0], 0, 0
	for _, s := range r.Samples {
		if s.lost() > lost.lost() {
			lost = s
		}
		resets, moves = max(resets, s.resets()), max(moves, s.Moves)
	}
	of := func(figure func(sample) time.Duration) string { return spread(r.times(figure)) }
	healed := "-"
	if f.bound.healed > 0 {
		healed = of(func(s sample) time.Duration { return s.TwoHealed })
	}
	cells := []string{
		name, fmt.Sprint(len(r.Samples)), letter,
		of(func(s sample) time.Duration { return s.Outage }), of(func(s sample) time.Duration { return s.Noise }),
		lost.failures(), fmt.Sprint(resets), r.idle(),
		spread(r.twos()), healed, of(func(s sample) time.Duration { return s.Nobody }),
		fmt.Sprint(moves), of(func(s sample) time.Duration { return s.Settled }), f.bound.String(), verdict,
	}
	return "| " + strings.Join(cells, " | ") + " |\n"
}

// spread is the median and the most, and between them what 95 of 100 do not exceed, where
// there are so many that this is not the most.
func spread(sorted []time.Duration) string {
	if len(sorted) == 0 {
		return "-"
	}
	mid, most := short(median(sorted)), short(sorted[len(sorted)-1])
	switch {
	case mid == most:
		return mid
	case len(sorted) > 20:
		return fmt.Sprintf("%s / %s / %s", mid, short(percentile(sorted, 95)), most)
	}
	return mid + " / " + most
}

// idle is the worst that became of the idle connections.
func (r result) idle() string {
	worst := r.Samples[0]
	rank := func(s sample) time.Duration {
		switch s.Idle {
		case hangs:
			return time.Hour
		case back:
			return s.IdleBack
		}
		return -time.Hour
	}
	for _, s := range r.Samples {
		if rank(s) > rank(worst) {
			worst = s
		}
	}
	return worst.idleText()
}
