package probe

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const ms = time.Millisecond

func ok(node string, start, end time.Duration) Attempt {
	return Attempt{Start: start * ms, End: end * ms, Outcome: OK, Node: node}
}

func fail(o Outcome, start, end time.Duration) Attempt {
	return Attempt{Start: start * ms, End: end * ms, Outcome: o}
}

func TestTally(t *testing.T) {
	began := time.Now()
	tests := []struct {
		name   string
		ended  []Attempt // in the order of their ends
		finish time.Duration
		want   Report
	}{
		{
			name: "nobody ever answers", ended: []Attempt{fail(Refused, 0, 1), fail(Timeout, 2, 1002)}, finish: 1010,
			want: Report{Attempts: 2, Failed: 2, Outcomes: map[Outcome]int{Refused: 1, Timeout: 1}, Nodes: map[string]int{}},
		},
		{
			name: "one node", ended: []Attempt{ok("a", 2, 3), ok("a", 4, 5), ok("a", 6, 9)}, finish: 10,
			want: Report{
				Attempts: 3, Outcomes: map[Outcome]int{OK: 3}, Nodes: map[string]int{"a": 3},
				LongestGap: Gap{5 * ms, 9 * ms, "a", "a"}, Changes: []Change{{At: 3 * ms, To: "a"}},
			},
		},
		{
			name: "failover", finish: 60,
			ended: []Attempt{ok("a", 0, 1), ok("a", 2, 3), fail(Reset, 2, 4), fail(Refused, 4, 5), ok("b", 52, 53), fail(Unanswered, 3, 55), ok("b", 54, 56)},
			want: Report{
				Attempts: 7, Failed: 2, Outcomes: map[Outcome]int{OK: 4, Reset: 1, Refused: 1, Unanswered: 1},
				Nodes: map[string]int{"a": 2, "b": 2}, LongestGap: Gap{3 * ms, 53 * ms, "a", "b"},
				Changes: []Change{{At: 1 * ms, To: "a"}, {At: 53 * ms, From: "a", To: "b", Outage: 50 * ms}},
			},
		},
		{
			name: "an outage without a change of node", finish: 60,
			ended: []Attempt{ok("a", 0, 1), ok("b", 2, 3), ok("b", 42, 43)},
			want: Report{
				Attempts: 3, Outcomes: map[Outcome]int{OK: 3}, Nodes: map[string]int{"a": 1, "b": 2},
				LongestGap: Gap{3 * ms, 43 * ms, "b", "b"},
				Changes:    []Change{{At: 1 * ms, To: "a"}, {At: 3 * ms, From: "a", To: "b", Outage: 2 * ms}},
			},
		},
		{
			name: "the predecessor's late answers are no change", finish: 10,
			ended: []Attempt{ok("a", 0, 1), ok("b", 4, 5), ok("a", 2, 6), ok("b", 6, 7), ok("a", 7, 8)},
			want: Report{
				Attempts: 5, Outcomes: map[Outcome]int{OK: 5}, Nodes: map[string]int{"a": 3, "b": 2}, LongestGap: Gap{1 * ms, 5 * ms, "a", "b"},
				Changes: []Change{{At: 1 * ms, To: "a"}, {At: 5 * ms, From: "a", To: "b", Outage: 4 * ms}, {At: 8 * ms, From: "b", To: "a", Outage: 1 * ms}},
			},
		},
		{
			name: "an outage to the end", ended: []Attempt{ok("a", 0, 1), fail(unfinished, 2, 90)}, finish: 90,
			want: Report{
				Attempts: 1, Unfinished: 1, Outcomes: map[Outcome]int{OK: 1}, Nodes: map[string]int{"a": 1},
				LongestGap: Gap{1 * ms, 90 * ms, "a", ""}, Changes: []Change{{At: 1 * ms, To: "a"}},
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ta := newTally(began)
			var told []Change
			for _, a := range tt.ended {
				if a.Outcome != OK && a.Outcome != unfinished {
					tt.want.Failures = append(tt.want.Failures, a)
				}
				if ch, changed := ta.ended(a); changed {
					told = append(told, ch)
				}
			}
			tt.want.Began, tt.want.Lasted = began, tt.finish*ms
			if diff := cmp.Diff(tt.want, ta.finish(tt.finish*ms)); diff != "" {
				t.Errorf("report (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.want.Changes, told); diff != "" {
				t.Errorf("told at once (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNoiseIsTheLongestTimeBetweenStarts(t *testing.T) {
	ta := newTally(time.Now())
	for _, at := range []time.Duration{2, 4, 9, 11} {
		ta.started(at * ms)
	}
	if got := ta.finish(12 * ms).Noise; got != 5*ms {
		t.Errorf("noise %v, want 5ms", got)
	}
}
