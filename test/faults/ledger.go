package main

import (
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/vipd/vipd/test/lab"
)

// ledger writes down which nodes have which addresses, as their kernels tell. A node
// that is cut off the segment has none, whatever its kernel says.
type ledger struct {
	watch *lab.AddrWatch

	mu      sync.Mutex
	entries []entry
	now     map[netip.Addr]*view // of those that were seen
	nodes   map[string]bool      // on the segment
}

// entry is an address that came to a node or left it; or, without an address, a node
// that came to the segment or left it.
type entry struct {
	at    time.Time
	node  string
	addr  netip.Addr
	there bool
}

// tally is what became of an address in a span of time.
type tally struct {
	two    time.Duration // the longest time on more than one node
	nobody time.Duration // the longest time on none
	moves  int           // from one that had it alone to another
}

// newLedger begins one. It tells note what it writes down.
func newLedger(nodes []*lab.Node, note func(format string, args ...any)) (*ledger, error) {
	l := &ledger{now: make(map[netip.Addr]*view), nodes: make(map[string]bool)}
	for _, n := range nodes {
		l.connected(n.Name, true)
	}
	var err error
	l.watch, err = lab.WatchAddrs(nodes, func(s lab.Sighting) {
		l.add(entry{s.At, s.Node, s.Addr, s.There})
		note("%s", s)
	})
	return l, err
}

func (l *ledger) add(e entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries = append(l.entries, e)
	if !e.addr.IsValid() {
		l.nodes[e.node] = e.there
		return
	}
	v, known := l.now[e.addr]
	if !known {
		v = &view{addr: e.addr, has: make(map[string]bool), on: l.nodes}
		l.now[e.addr] = v
	}
	v.enter(e)
}

// connected notes that a node is on the segment, or no longer.
func (l *ledger) connected(node string, on bool) {
	l.add(entry{at: time.Now(), node: node, there: on})
}

// holders returns the connected nodes that have an address.
func (l *ledger) holders(addr netip.Addr) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	v, known := l.now[addr]
	if !known {
		return nil
	}
	return v.holders()
}

// tally returns what became of an address between two times.
func (l *ledger) tally(addr netip.Addr, from, to time.Time) tally {
	l.mu.Lock()
	entries := slices.Clone(l.entries)
	l.mu.Unlock()
	slices.SortStableFunc(entries, func(a, b entry) int { return a.at.Compare(b.at) })
	var t tally
	v := newView(addr)
	since, n := from, -1 // when the number of holders became n
	alone := ""
	count := func(at time.Time) {
		h := v.holders()
		if len(h) == 1 && h[0] != alone {
			if alone != "" {
				t.moves++
			}
			alone = h[0]
		}
		if kind(len(h)) == n {
			return
		}
		t.close(n, at.Sub(since))
		since, n = at, kind(len(h))
	}
	for _, e := range entries {
		if e.at.After(to) {
			break
		}
		if n < 0 && e.at.After(from) {
			count(from)
		}
		v.enter(e)
		if !e.at.Before(from) {
			count(e.at)
		}
	}
	count(to)
	t.close(n, to.Sub(since))
	return t
}

// kind tells numbers of holders apart that are not worth the same.
func kind(holders int) int { return min(holders, 2) }

// close ends a time with so many holders.
func (t *tally) close(holders int, lasted time.Duration) {
	switch holders {
	case 0:
		t.nobody = max(t.nobody, lasted)
	case 2:
		t.two = max(t.two, lasted)
	}
}

// view is who has an address at some time.
type view struct {
	addr netip.Addr
	has  map[string]bool
	on   map[string]bool
}

func newView(addr netip.Addr) *view {
	return &view{addr: addr, has: make(map[string]bool), on: make(map[string]bool)}
}

func (v *view) enter(e entry) {
	switch e.addr {
	case netip.Addr{}:
		v.on[e.node] = e.there
	case v.addr:
		v.has[e.node] = e.there
	}
}

func (v *view) holders() []string {
	var out []string
	for n, has := range v.has {
		if has && v.on[n] {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out
}
