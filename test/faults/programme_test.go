package main

import (
	"testing"
	"time"
)

func TestLeft(t *testing.T) {
	known := fault{name: "known", runs: 20}
	unknown := fault{name: "unknown"}
	impossible := fault{name: "impossible", only: func(variant) bool { return false }}
	b := &book{results: map[string]result{"known": {Samples: []sample{{Took: 20 * time.Second}, {Took: 40 * time.Second}}}}}
	s := &stage{options: options{variants: "all", together: 2}}
	s.runs = 4
	p := newProgramme(s, b, []fault{known, unknown, impossible})
	if len(p.todo) != 2 {
		t.Fatalf("to do: %v", p.todo)
	}
	// Four runs of half a minute and four of the usual length, two at once.
	if got, want := p.left(), ((4*30*time.Second + 4*usualTake) / 2).Round(time.Minute); got != want {
		t.Errorf("%v to go, want %v", got, want)
	}
	// The first took twice as long as it was thought to.
	p.took, p.asOf, p.ahead = 4*time.Minute, 2*time.Minute, 4*usualTake
	if got, want := p.left(), (4 * usualTake).Round(time.Minute); got != want {
		t.Errorf("%v to go, want %v", got, want)
	}
}

func TestTimes(t *testing.T) {
	two := variants()[:2]
	for _, c := range []struct {
		name string
		o    options
		f    fault
		vs   []variant
		want int
	}{
		{"as usual", options{}, fault{}, two, usualRuns},
		{"as often as the fault says", options{}, fault{runs: 20}, two, 20},
		{"but each variant once", options{}, fault{runs: 2}, variants(), 16},
		{"as often as the flag says", options{runs: 1}, fault{runs: 20}, two, 1},
		{"impossible", options{runs: 5}, fault{}, nil, 0},
	} {
		if got := (&stage{options: c.o}).times(c.f, c.vs); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}
