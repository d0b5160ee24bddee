package main

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTally(t *testing.T) {
	vip, other := netip.MustParseAddr("198.51.100.100"), netip.MustParseAddr("198.51.100.101")
	start := time.Unix(0, 0)
	at := func(s int) time.Time { return start.Add(time.Duration(s) * time.Second) }
	node := func(s int, name string, on bool) entry { return entry{at: at(s), node: name, there: on} }
	addr := func(s int, name string, there bool) entry { return entry{at(s), name, vip, there} }
	both := []entry{node(0, "a", true), node(0, "b", true), addr(0, "a", true)}

	for _, c := range []struct {
		name    string
		entries []entry
		want    tally
	}{
		{"nothing happens", nil, tally{}},
		{"another address", []entry{{at(12), "b", other, true}}, tally{}},
		{"make before break", []entry{addr(12, "b", true), addr(13, "a", false)}, tally{two: time.Second, moves: 1}},
		{"break before make", []entry{addr(12, "a", false), addr(14, "b", true)}, tally{nobody: 2 * time.Second, moves: 1}},
		{"there and back", []entry{addr(12, "b", true), addr(12, "a", false), addr(13, "a", true), addr(13, "b", false)}, tally{moves: 2}},
		{"taken off and put back", []entry{addr(12, "a", false), addr(13, "a", true)}, tally{nobody: time.Second}},
		{"cut off with the address", []entry{node(12, "a", false), addr(15, "b", true), addr(17, "a", false)}, tally{nobody: 3 * time.Second, moves: 1}},
		{"joined with the address", []entry{node(12, "a", false), addr(12, "b", true), node(15, "a", true), addr(17, "b", false)}, tally{two: 2 * time.Second, moves: 2}},
		{"to the end", []entry{addr(16, "a", false)}, tally{nobody: 4 * time.Second}},
		{"two until the end", []entry{addr(16, "b", true)}, tally{two: 4 * time.Second}},
		{"before and after", []entry{addr(2, "a", false), addr(5, "b", true), addr(25, "a", true)}, tally{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := &ledger{entries: append(append([]entry(nil), both...), c.entries...)}
			got := l.tally(vip, at(10), at(20))
			if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(tally{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
