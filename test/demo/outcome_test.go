package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vipd/vipd/test/client/probe"
	"github.com/vipd/vipd/test/cluster"
)

const ms = time.Millisecond

func story() []outcome {
	return []outcome{
		{
			label: "API server killed", from: "node1", way: []sighting{{"node2", true, 38 * ms}},
			gap: 41 * ms, attempts: 320, lost: lost{refused: 9, reset: 1},
		},
		{label: "API server back", from: "node2", way: []sighting{{"node1", true, 2310 * ms}}, gap: 9 * ms, attempts: 880},
		{label: "datastore lost", from: "node1", gap: 206 * ms, attempts: 2300},
		{
			label: "datastore back", from: "node1", way: []sighting{{"node2", true, 600 * ms}, {"node1", true, 1500 * ms}},
			gap: 1020 * ms, attempts: 900,
		},
	}
}

func TestTable(t *testing.T) {
	want := `  what happened       VIP                       moved after   outage   failed connections
  API server killed   node1 -> node2                  38 ms    41 ms   10 of 320 (9 refused, 1 reset)
  API server back     node2 -> node1                 2.31 s     none   none of 880
  datastore lost      stays on node1                      -     none   none of 2300
  datastore back      node1 -> node2 -> node1        1.50 s   1.02 s   none of 900

4 faults and repairs in 47 s: the VIP went where it belongs each time; the longest outage was 1.02 s (datastore back).`
	if diff := cmp.Diff(want, table(story(), 47*time.Second, false)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTableTellsFaults(t *testing.T) {
	list := story()
	list[1].fault = "the VIP took a detour"
	got := strings.Split(table(list, time.Minute, true), "\n")
	if want := "none of 880\x1b[31m  the VIP took a detour\x1b[0m"; !strings.HasSuffix(got[2], want) {
		t.Errorf("got row %q, want it to end with %q", got[2], want)
	}
	if want := "\x1b[31m1 of 4 steps did not go as expected.\x1b[0m"; got[len(got)-1] != want {
		t.Errorf("got conclusion %q, want %q", got[len(got)-1], want)
	}
}

func TestClientInWords(t *testing.T) {
	tests := []struct {
		name   string
		report probe.Report
		want   string
	}{
		{
			name: "nothing failed",
			report: probe.Report{
				Attempts: 300, Outcomes: map[probe.Outcome]int{probe.OK: 300},
				LongestGap: probe.Gap{From: 10 * ms, To: 17 * ms},
			},
			want: "client: all 300 connections answered; at most 7 ms between two answers",
		},
		{
			name: "every failure",
			report: probe.Report{
				Attempts: 1000,
				Outcomes: map[probe.Outcome]int{
					probe.OK: 900, probe.Refused: 40, probe.Reset: 3, probe.Timeout: 20, probe.Unanswered: 30,
					probe.Unreachable: 4, probe.BadTLS: 2, probe.Other: 1,
				},
				LongestGap: probe.Gap{From: 0, To: 1830 * ms},
			},
			want: "client: 100 of 1000 connections failed: 40 refused, 3 reset, 50 timed out, 7 otherwise; at most 1.83 s between two answers",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var o outcome
			o.take(tt.report)
			if diff := cmp.Diff(tt.want, o.client()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestJudge(t *testing.T) {
	to := func(nodes ...string) (way []sighting) {
		for _, n := range nodes {
			way = append(way, sighting{node: n, there: true})
		}
		return way
	}
	tests := []struct {
		name   string
		o      outcome
		wander bool
		want   string
	}{
		{name: "moved", o: outcome{from: "node1", way: to("node2")}},
		{name: "stayed", o: outcome{from: "node2"}},
		{name: "did not move", o: outcome{from: "node1"}, want: "the VIP went on to node1"},
		{name: "went further", o: outcome{from: "node1", way: to("node2", "node3")}, want: "the VIP went on to node3"},
		{name: "a detour", o: outcome{from: "node1", way: to("node3", "node2")}, want: "the VIP took a detour"},
		{name: "there and back", o: outcome{from: "node2", way: to("node3", "node2")}, want: "the VIP took a detour"},
		{name: "there and back is allowed", o: outcome{from: "node2", way: to("node3", "node2")}, wander: true},
		{name: "too long", o: outcome{from: "node1", way: to("node2"), gap: 1001 * ms}, want: "the outage was longer than 1.00 s"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := step{holder: &cluster.Server{Name: "node2"}, limit: time.Second, wander: tt.wander}
			if got := s.judge(tt.o); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
