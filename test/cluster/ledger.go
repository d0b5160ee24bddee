package cluster

import (
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/vipd/vipd/test/lab"
)

// Ledger writes down which nodes have which addresses, as their kernels tell. A node
// that is cut off the segment has none, whatever its kernel says.
type Ledger struct {
	watch *lab.AddrWatch

	mu      sync.Mutex
	entries []Entry
	now     map[netip.Addr]*view // of those that were seen
	nodes   map[string]bool      // on the segment
}

// Entry is an address that came to a node or left it; or, without an address, a node
// that came to the segment or left it.
type Entry struct {
	At    time.Time
	Node  string
	Addr  netip.Addr
	There bool
}

// Tally is what became of an address in a span of time.
type Tally struct {
	Two    time.Duration // the longest time on more than one node
	Nobody time.Duration // the longest time on none
	Moves  int           // from one that had it alone to another
}

// NewLedger begins one. It tells note what it writes down.
func NewLedger(nodes []*lab.Node, note func(format string, args ...any)) (*Ledger, error) {
	l := empty()
	for _, n := range nodes {
		l.Connected(n.Name, true)
	}
	var err error
	l.watch, err = lab.WatchAddrs(nodes, func(s lab.Sighting) {
		l.add(Entry{s.At, s.Node, s.Addr, s.There})
		note("%s", s)
	})
	return l, err
}

func empty() *Ledger {
	return &Ledger{now: make(map[netip.Addr]*view), nodes: make(map[string]bool)}
}

// Close ends the ledger. It fails if a kernel could not be heard any more.
func (l *Ledger) Close() error { return l.watch.Close() }

// Err returns why a kernel cannot be heard any more.
func (l *Ledger) Err() error { return l.watch.Err() }

func (l *Ledger) add(e Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries = append(l.entries, e)
	if !e.Addr.IsValid() {
		l.nodes[e.Node] = e.There
		return
	}
	v, known := l.now[e.Addr]
	if !known {
		v = &view{addr: e.Addr, has: make(map[string]bool), on: l.nodes}
		l.now[e.Addr] = v
	}
	v.enter(e)
}

// Connected notes that a node is on the segment, or no longer.
func (l *Ledger) Connected(node string, on bool) {
	l.add(Entry{At: time.Now(), Node: node, There: on})
}

// Entries returns what was written down of a span of time, in order.
func (l *Ledger) Entries(from, to time.Time) []Entry {
	var out []Entry
	for _, e := range l.sorted() {
		if !e.At.Before(from) && !e.At.After(to) {
			out = append(out, e)
		}
	}
	return out
}

// Holders returns the connected nodes that have an address.
func (l *Ledger) Holders(addr netip.Addr) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	v, known := l.now[addr]
	if !known {
		return nil
	}
	return v.holders()
}

// Tally returns what became of an address between two times.
func (l *Ledger) Tally(addr netip.Addr, from, to time.Time) Tally {
	var t Tally
	v := newView(addr)
	since, n := from, -1 // when the number of holders became n
	alone := ""
	count := func(at time.Time) {
		h := v.holders()
		if len(h) == 1 && h[0] != alone {
			if alone != "" {
				t.Moves++
			}
			alone = h[0]
		}
		if kind(len(h)) == n {
			return
		}
		t.close(n, at.Sub(since))
		since, n = at, kind(len(h))
	}
	for _, e := range l.sorted() {
		if e.At.After(to) {
			break
		}
		if n < 0 && e.At.After(from) {
			count(from)
		}
		v.enter(e)
		if !e.At.Before(from) {
			count(e.At)
		}
	}
	count(to)
	t.close(n, to.Sub(since))
	return t
}

func (l *Ledger) sorted() []Entry {
	l.mu.Lock()
	entries := slices.Clone(l.entries)
	l.mu.Unlock()
	slices.SortStableFunc(entries, func(a, b Entry) int { return a.At.Compare(b.At) })
	return entries
}

// kind tells numbers of holders apart that are not worth the same.
func kind(holders int) int { return min(holders, 2) }

// close ends a time with so many holders.
func (t *Tally) close(holders int, lasted time.Duration) {
	switch holders {
	case 0:
		t.Nobody = max(t.Nobody, lasted)
	case 2:
		t.Two = max(t.Two, lasted)
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

func (v *view) enter(e Entry) {
	switch e.Addr {
	case netip.Addr{}:
		v.on[e.Node] = e.There
	case v.addr:
		v.has[e.Node] = e.There
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
