package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vipd/vipd/test/client/probe"
)

func TestBroken(t *testing.T) {
	b := bound{outage: 200 * time.Millisecond, lost: 1, resets: 0, idle: time.Second, two: 500 * time.Millisecond, moves: 1}
	fine := sample{Outage: 250 * time.Millisecond, Noise: 50 * time.Millisecond, Idle: back, IdleBack: time.Second, Moves: 1,
		Outcomes: map[probe.Outcome]int{probe.Timeout: 1}}
	if got := b.broken(fine); got != nil {
		t.Errorf("broken: %v", got)
	}
	// The client's noise excuses nothing that the kernels tell.
	noisy := sample{Noise: time.Second, Two: 510 * time.Millisecond, Nobody: 11 * time.Millisecond, Outcomes: map[probe.Outcome]int{probe.Reset: 1}}
	if diff := cmp.Diff([]string{"resets 1, bound 0", "nobody 11ms, bound 0s"}, b.broken(noisy)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	healed := b.with(func(b *bound) { b.two, b.unicast, b.healed = anything, 300*time.Millisecond, 100*time.Millisecond })
	both := []string{"two holders 400ms, bound 300ms", "two holders after the healing 200ms, bound 100ms"}
	if diff := cmp.Diff(both, healed.broken(sample{Variant: "ipv4-unicast-plain-1", Two: 400 * time.Millisecond, TwoHealed: 200 * time.Millisecond})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	bad := sample{Outage: time.Second, Idle: hangs, Two: time.Second, Nobody: time.Second, Moves: 2, Settled: 6 * time.Second,
		Outcomes: map[probe.Outcome]int{probe.Timeout: 1, probe.Refused: 1, probe.Reset: 1}}
	want := []string{
		"outage without the client's noise 1s, bound 200ms", "lost 2, bound 1", "resets 1, bound 0", "the idle connection hangs",
		"two holders 1s, bound 500ms", "nobody 1s, bound 0s", "moves 2, bound 1", "settled after 6s, bound 5s",
	}
	if diff := cmp.Diff(want, b.broken(bad)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := unplanned(anything, anything).broken(sample{Error: "it never came back"}); !cmp.Equal(got, []string{"it never came back"}) {
		t.Errorf("a run that failed: %v", got)
	}
}

func TestIdle(t *testing.T) {
	const s = time.Second
	move := probe.Change{At: 10 * s, From: "node1", To: "node2", Outage: s / 10}
	first := probe.Change{At: 0, To: "node1"}
	for _, c := range []struct {
		name string
		r    probe.Report
		what string
		back time.Duration
	}{
		{"no move", probe.Report{Changes: []probe.Change{first}}, stays, 0},
		{"reset by the move", probe.Report{Changes: []probe.Change{first, move}, Drops: []probe.Drop{{Node: "node1", Lost: 10 * s, Back: 10*s + s/2, To: "node2"}}}, back, s / 2},
		{"nobody told it", probe.Report{Changes: []probe.Change{first, move}}, hangs, 0},
		{"reset without a move", probe.Report{Changes: []probe.Change{first}, Drops: []probe.Drop{{Node: "node1", Lost: 4 * s, Back: 5 * s, To: "node1"}}}, back, s},
		{"past a node that it was not with", probe.Report{Changes: []probe.Change{first, {At: 10 * s, From: "node1", To: "node3"}, {At: 10*s + s/100, From: "node3", To: "node2"}}, Drops: []probe.Drop{{Node: "node1", Lost: 10 * s, Back: 10*s + s/2, To: "node2"}}}, back, s / 2},
		{"never back", probe.Report{Changes: []probe.Change{first, move}, Drops: []probe.Drop{{Node: "node1", Lost: 10 * s}}}, hangs, 0},
	} {
		if what, worst := idle(c.r); what != c.what || worst != c.back {
			t.Errorf("%s: %s %v", c.name, what, worst)
		}
	}
}

// What 95 of 100 do not exceed is not the most, where it is shown.
func TestSpread(t *testing.T) {
	var ms []time.Duration
	for _, c := range []struct {
		upTo int
		want string
	}{{0, "-"}, {1, "1ms"}, {2, "1ms / 2ms"}, {3, "2ms / 3ms"}, {20, "10ms / 20ms"}, {21, "11ms / 20ms / 21ms"}, {100, "50ms / 95ms / 100ms"}} {
		for len(ms) < c.upTo {
			ms = append(ms, time.Duration(len(ms)+1)*time.Millisecond)
		}
		if got := spread(ms); got != c.want {
			t.Errorf("%d: %s, want %s", c.upTo, got, c.want)
		}
	}
}

// Where chance decides for each VIP, each is a sample.
func TestEachVIPIsASample(t *testing.T) {
	r := result{Samples: []sample{{Two: 5, Twos: []time.Duration{5, 3}}, {Two: 4}, {Two: 9, Error: "it never came back"}}}
	if diff := cmp.Diff([]time.Duration{3, 4, 5}, r.twos()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Of two clients the worse counts, each with its own noise.
func TestTakeWorse(t *testing.T) {
	seen := func(gap, noise time.Duration, outcomes map[probe.Outcome]int) probe.Report {
		return probe.Report{LongestGap: probe.Gap{To: gap}, Noise: noise, Outcomes: outcomes}
	}
	var s sample
	s.take(seen(50, 40, map[probe.Outcome]int{probe.OK: 9, probe.Reset: 2}))
	s.takeWorse(seen(55, 50, map[probe.Outcome]int{probe.OK: 4, probe.Reset: 1, probe.Timeout: 1}))
	if s.Outage != 50 || s.Noise != 40 || s.resets() != 2 || s.lost() != 1 {
		t.Errorf("%+v", s)
	}
	s.takeWorse(seen(45, 20, nil))
	if s.Outage != 45 || s.Noise != 20 {
		t.Errorf("%+v", s)
	}
}

func TestWant(t *testing.T) {
	began := time.Now()
	at := func(s int) time.Time { return began.Add(time.Duration(s) * time.Second) }
	r := probe.Report{Began: began, Changes: []probe.Change{
		{At: 0, To: "node1"}, {At: 2 * time.Second, From: "node1", To: "node2"}, {At: 4 * time.Second, From: "node2", To: "node1"},
		{At: 7 * time.Second, From: "node1", To: "node2"}, {At: 7*time.Second + lastWord, From: "node2", To: "node1"}}}
	for _, c := range []struct{ from, to, want int }{{0, 1, 0}, {1, 3, 1}, {3, 6, 1}, {5, 6, 0}, {1, 6, 1}, {6, 9, 0}} {
		if got := (want{"node1", at(c.from), at(c.to)}).unmet(r); len(got) != c.want {
			t.Errorf("from %d to %d: %v", c.from, c.to, got)
		}
	}
}

// An agent that ends though the fault does not end it, and one that panics, make a row red.
func TestAlarms(t *testing.T) {
	two := []string{"2 agents ended, which the fault does to 1: [1 2 3] became [4 5 3]"}
	if diff := cmp.Diff(two, fault{ends: 1}.ended([]int{1, 2, 3}, []int{4, 5, 3})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := (fault{ends: 1}).ended([]int{1, 2, 3}, []int{1, 5, 3}); got != nil {
		t.Errorf("one that was told to: %v", got)
	}
	if diff := cmp.Diff(two, unmoved().broken(sample{Alarms: two})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// The table of results that were made one by one goes between the marks.
func TestRecord(t *testing.T) {
	dir := t.TempDir()
	f := fault{name: "a thing", note: "of sorts", bound: planned(1)}
	for _, moves := range []int{3, 1} { // the second run takes the place of the first
		b, err := openBook(filepath.Join(dir, "results.json"))
		if err != nil {
			t.Fatal(err)
		}
		r := result{Name: f.name, When: "2026-01-02", Host: "3 CPUs", Samples: []sample{{Variant: "ipv4-multicast-plain-1", Idle: stays, Moves: moves}}}
		r.judge(f)
		if err := b.add(r); err != nil {
			t.Fatal(err)
		}
	}
	doc := filepath.Join(dir, "doc.md")
	if err := os.WriteFile(doc, []byte("before\n"+markBegin+"an older table\n"+markEnd+"\nafter\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	b, err := openBook(filepath.Join(dir, "results.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := b.record(doc, []fault{f, {name: "never played"}}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(doc)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"before\n", "\nafter\n", "| a thing (of sorts) | 1 | A | 0s | 0s | none | 0 | stays | 0s | - | 0s | 1 | 0s |", "| ok |", "\n- A: ipv4-multicast-plain-1\n"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %q in:\n%s", want, text)
		}
	}
	// What was recorded can be rendered and held to a bound again, on any host.
	if err := judge(doc, []fault{f}); err != nil {
		t.Error(err)
	}
	if again, err := os.ReadFile(doc); err != nil || string(again) != string(text) {
		t.Errorf("%v; rendered again:\n%s", err, again)
	}
	if err := judge(doc, []fault{{name: f.name, bound: unmoved()}}); err == nil || !strings.Contains(err.Error(), "moves 1, bound 0") {
		t.Errorf("a stricter bound: %v", err)
	}
	for _, never := range []string{"an older table", "never played"} {
		if strings.Contains(string(text), never) {
			t.Errorf("%q in:\n%s", never, text)
		}
	}
}
