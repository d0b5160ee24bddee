package cluster

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
	node := func(s int, name string, on bool) Entry { return Entry{At: at(s), Node: name, There: on} }
	addr := func(s int, name string, there bool) Entry { return Entry{at(s), name, vip, there} }
	both := []Entry{node(0, "a", true), node(0, "b", true), addr(0, "a", true)}

	for _, c := range []struct {
		name    string
		entries []Entry
		want    Tally
	}{
		{"nothing happens", nil, Tally{}},
		{"another address", []Entry{{at(12), "b", other, true}}, Tally{}},
		{"make before break", []Entry{addr(12, "b", true), addr(13, "a", false)}, Tally{Two: time.Second, Moves: 1}},
		{"break before make", []Entry{addr(12, "a", false), addr(14, "b", true)}, Tally{Nobody: 2 * time.Second, Moves: 1}},
		{"there and back", []Entry{addr(12, "b", true), addr(12, "a", false), addr(13, "a", true), addr(13, "b", false)}, Tally{Moves: 2}},
		{"taken off and put back", []Entry{addr(12, "a", false), addr(13, "a", true)}, Tally{Nobody: time.Second}},
		{"cut off with the address", []Entry{node(12, "a", false), addr(15, "b", true), addr(17, "a", false)}, Tally{Nobody: 3 * time.Second, Moves: 1}},
		{"joined with the address", []Entry{node(12, "a", false), addr(12, "b", true), node(15, "a", true), addr(17, "b", false)}, Tally{Two: 2 * time.Second, Moves: 2}},
		{"to the end", []Entry{addr(16, "a", false)}, Tally{Nobody: 4 * time.Second}},
		{"two until the end", []Entry{addr(16, "b", true)}, Tally{Two: 4 * time.Second}},
		{"before and after", []Entry{addr(2, "a", false), addr(5, "b", true), addr(25, "a", true)}, Tally{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := &Ledger{entries: append(append([]Entry(nil), both...), c.entries...)}
			got := l.Tally(vip, at(10), at(20))
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
