package main

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/vipd/vipd/test/lab"
)

// watch follows an address through the nodes' kernels: each tells when the
// address comes to its interface or leaves it.
type watch struct {
	addr   netip.Addr
	report func(sighting)
	addrs  *lab.AddrWatch

	mu       sync.Mutex
	on       map[string]bool
	began    time.Time  // of the step
	arrivals []sighting // since began
}

// sighting is the address coming to a node or leaving it.
type sighting struct {
	node  string
	there bool
	after time.Duration // since the step began
}

func (s sighting) String() string {
	if s.there {
		return fmt.Sprintf("+ VIP on %s after %s", s.node, brief(s.after))
	}
	return fmt.Sprintf("- VIP off %s after %s", s.node, brief(s.after))
}

// newWatch watches the nodes. It calls report from goroutines of its own.
func newWatch(nodes []*lab.Node, addr netip.Addr, report func(sighting)) (*watch, error) {
	w := &watch{addr: addr, report: report, on: make(map[string]bool)}
	w.begin()
	var err error
	w.addrs, err = lab.WatchAddrs(nodes, func(s lab.Sighting) {
		if s.Addr == w.addr {
			w.report(w.take(s))
		}
	})
	return w, err
}

// close ends the watch. What went wrong with it, holders told.
func (w *watch) close() { _ = w.addrs.Close() }

// begin counts from now.
func (w *watch) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.began, w.arrivals = time.Now(), nil
}

// holders returns the nodes that have the address, by name. It fails if a
// kernel cannot be heard any more.
func (w *watch) holders() ([]string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Sorted(maps.Keys(w.on)), w.addrs.Err()
}

// way returns where the address has come to since begin.
func (w *watch) way() []sighting {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.arrivals)
}

// take notes what a kernel told.
func (w *watch) take(told lab.Sighting) sighting {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := sighting{node: told.Node, there: told.There, after: told.At.Sub(w.began)}
	if !told.There {
		delete(w.on, told.Node)
		return s
	}
	w.on[told.Node] = true
	w.arrivals = append(w.arrivals, s)
	return s
}
