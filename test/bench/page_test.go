package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vipd/vipd/test/cluster"
)

// example is a book of made-up results.
func example(t *testing.T) *book {
	t.Helper()
	b, err := openBook(filepath.Join(t.TempDir(), "benchmarks.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range faults() {
		for i, e := range f.entrants() {
			d := time.Duration(i+1) * 100 * time.Millisecond
			b.fault(f.name)[e.name] = []sample{{Outage: d, Advert: 3*e.interval + e.skew(), Idle: back, TwoEnds: e.vipd(),
				Story: &story{LastAnswer: -d / 2, FirstAnswer: d / 2, Ended: time.Second, Adverts: []moment{{At: -d, Node: "node1"}, {At: d, Node: "node2"}}}}}
		}
	}
	for _, l := range loads(false) {
		for i, agent := range []string{vipdDefault, peerDefault} {
			x := expense{CPU: float64(i + 1), Memory: cluster.Memory{RSS: 10000 + l.VRIDs, PSS: 5000}}
			b.Bills = append(b.Bills, bill{Load: l, Agent: agent, Active: x, Backup: x, TakeoverLast: time.Millisecond})
		}
	}
	b.Strains = []strain{{Agent: vipdDefault, Interval: 10 * time.Millisecond, Lasted: strainLasts}}
	return b
}

func TestGoals(t *testing.T) {
	got := example(t).goals()
	for _, want := range []string{
		"reached   node death, vipd: silence until the successor advertises: median 766 ms",
		"MISSED    node death, at defaults: outage: 0.50 ×",
		"reached   API unready, at defaults: outage: 0.50 ×",
		"so far    partition healed: black holes: 0 in 3",
		"reached   RSS for each further VRID, Active: 1 KiB",
		"reached   adverts each 10 ms",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	empty := &book{}
	if got := empty.goals(); got != "" {
		t.Errorf("goals without results: %s", got)
	}
}

func TestPublish(t *testing.T) {
	b := example(t)
	if err := b.publish(places(t, "no place\n")); err == nil {
		t.Error("published where there is no place")
	}
	docs := places(t, "before\n"+markBegin+"yesterday\n"+markEnd+"after\n")
	page := filepath.Join(docs, "benchmarks.md")
	if err := b.publish(docs); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"before\n" + markBegin, markEnd + "after\n", "| agent killed | keepalived |", "**no end**", "| 255 × 2 families, probes | vipd |"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %q in the page", want)
		}
	}
	if strings.Contains(string(text), "yesterday") {
		t.Error("the old report is still there")
	}
	wellFormed(t, docs, "failover.svg", "outage.svg", "cost.svg")
}

// places makes the pages of a report, with a text, and returns their directory.
func places(t *testing.T, text string) (docs string) {
	t.Helper()
	docs = filepath.Join(t.TempDir(), "docs")
	if err := os.Mkdir(docs, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(docs, "benchmarks.md"), filepath.Join(docs, "..", "README.md")} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return docs
}

// Results that are not there leave a picture empty, not broken.
func TestPublishNothing(t *testing.T) {
	docs := places(t, markBegin+markEnd)
	if err := (&book{}).publish(docs); err != nil {
		t.Fatal(err)
	}
	wellFormed(t, docs, "failover.svg", "outage.svg", "cost.svg")
}

func wellFormed(t *testing.T, dir string, names ...string) {
	t.Helper()
	for _, name := range names {
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for d := xml.NewDecoder(f); ; {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
	}
}

// What was measured comes back from the file, part by part.
func TestBookKeeps(t *testing.T) {
	b := example(t)
	if err := b.save(); err != nil {
		t.Fatal(err)
	}
	again, err := openBook(b.path)
	if err != nil {
		t.Fatal(err)
	}
	if b.goals() != again.goals() {
		t.Errorf("before:\n%safter:\n%s", b.goals(), again.goals())
	}
	again.strain(strain{Agent: vipdDefault, Interval: 20}, false)
	again.strain(strain{Agent: vipdDefault, Interval: 10}, true)
	if n := len(again.Strains); n != 1 {
		t.Errorf("%d results of an agent that was begun anew", n)
	}
}

// What the README says is what was measured.
func TestReadme(t *testing.T) {
	b, err := openBook("../../docs/benchmarks.json")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), markBegin+"\n"+b.summary()+"\n"+markEnd) {
		t.Errorf("README.md does not say what was recorded (go run ./test/bench -draw):\n%s", b.summary())
	}
}

func TestGap(t *testing.T) {
	for name, tt := range map[string]struct {
		samples []sample
		want    string
	}{
		"nothing measured":  {nil, "?"},
		"nothing lost":      {[]sample{{Outage: 7 * time.Millisecond, Resets: 1}}, "none"},
		"one in three lost": {[]sample{{Outage: 7 * time.Millisecond}, {Outage: 30 * time.Millisecond, Failed: 1}, {Outage: 31 * time.Millisecond}}, "0.03 s"},
		"long":              {[]sample{{Outage: 2245 * time.Millisecond, Resets: 1000}}, "2.2 s"},
	} {
		if got := gap(tt.samples); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}
