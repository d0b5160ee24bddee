package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vipd/vipd/test/client/probe"
)

func TestSpread(t *testing.T) {
	for _, c := range []struct {
		name   string
		values []time.Duration
		want   spread
	}{
		{"nothing", nil, spread{}},
		{"one", []time.Duration{3}, spread{3, 3, 3, 3}},
		{"between two", []time.Duration{4, 2}, spread{2, 3, 4, 4}},
		{"odd", []time.Duration{5, 1, 3}, spread{1, 3, 5, 5}},
		{"twenty", []time.Duration{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 30}, spread{1, 10, 30, 30}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, spreadOf(c.values), cmp.AllowUnexported(spread{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestTake(t *testing.T) {
	moved := probe.Report{
		Failed: 2, Outcomes: map[probe.Outcome]int{probe.Reset: 3}, Noise: 5,
		LongestGap: probe.Gap{From: 10, To: 90},
		Changes: []probe.Change{
			{At: 1, To: "node1"},
			{At: 50, From: "node1", To: "node2", Outage: 20},
		},
	}
	with := func(drops ...probe.Drop) probe.Report {
		r := moved
		r.Drops = drops
		return r
	}
	for _, c := range []struct {
		name     string
		report   probe.Report
		from, to string
		want     sample
	}{
		{"a move", moved, "node1", "node2", sample{Outage: 20, Failed: 2, Resets: 3, Noise: 5, Idle: hangs}},
		{"the idle one comes back", with(probe.Drop{Node: "node1", Opened: 2, Lost: 49, Back: 58}), "node1", "node2", sample{Outage: 20, Failed: 2, Resets: 3, Noise: 5, Idle: back, Back: 8}},
		{"it came back before", with(probe.Drop{Node: "node1", Opened: 2, Lost: 40, Back: 45}), "node1", "node2", sample{Outage: 20, Failed: 2, Resets: 3, Noise: 5, Idle: back}},
		{"no move", moved, "node2", "node1", sample{Outage: 80, Failed: 2, Resets: 3, Noise: 5, Idle: stays}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var s sample
			s.take(c.report, c.from, c.to)
			if diff := cmp.Diff(c.want, s); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestKeepOne(t *testing.T) {
	samples := []sample{{Outage: 30, Story: &story{}}, {Outage: 10, Story: &story{}}, {Outage: 20, Story: &story{}}}
	keepOne(samples)
	for _, s := range samples {
		if kept := s.Story != nil; kept != (s.Outage == 20) {
			t.Errorf("the story of %v: kept is %v", s.Outage, kept)
		}
	}
}

// The runs of a fault have its phases evenly among them.
func TestPhase(t *testing.T) {
	for run := range 10 {
		from, to := time.Duration(run)*100*time.Millisecond, time.Duration(run+1)*100*time.Millisecond
		if at := phase(run, 10); at < from || at > to {
			t.Errorf("run %d is at %v", run, at)
		}
	}
}
