package main

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/vipd/vipd/test/lab"
)

// watch follows an address through the nodes' kernels: each tells when the
// address comes to its interface or leaves it.
type watch struct {
	addr   netip.Addr
	report func(sighting)
	stop   context.CancelFunc
	ended  sync.WaitGroup

	mu       sync.Mutex
	on       map[string]bool
	began    time.Time  // of the step
	arrivals []sighting // since began
	err      error
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
	ctx, stop := context.WithCancel(context.Background())
	w := &watch{addr: addr, report: report, stop: stop, on: make(map[string]bool)}
	w.begin()
	for _, n := range nodes {
		updates := make(chan netlink.AddrUpdate, 64)
		err := n.Do(func() error {
			return netlink.AddrSubscribeWithOptions(updates, ctx.Done(), netlink.AddrSubscribeOptions{ErrorCallback: func(err error) {
				if ctx.Err() == nil {
					w.fail(fmt.Errorf("watch the addresses of %s: %w", n.Name, err))
				}
			}})
		})
		if err != nil {
			w.close()
			return nil, fmt.Errorf("watch the addresses of %s: %w", n.Name, err)
		}
		w.ended.Go(func() {
			for u := range updates {
				w.update(n.Name, u)
			}
		})
	}
	return w, nil
}

func (w *watch) close() {
	w.stop()
	w.ended.Wait()
}

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
	return slices.Sorted(maps.Keys(w.on)), w.err
}

// way returns where the address has come to since begin.
func (w *watch) way() []sighting {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.arrivals)
}

func (w *watch) update(node string, u netlink.AddrUpdate) {
	addr, ok := netip.AddrFromSlice(u.LinkAddress.IP)
	if !ok || addr.Unmap() != w.addr {
		return
	}
	if s, news := w.take(node, u.NewAddr); news {
		w.report(s)
	}
}

// take notes an update; the renewal of an address is no news.
func (w *watch) take(node string, there bool) (sighting, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.on[node] == there {
		return sighting{}, false
	}
	s := sighting{node: node, there: there, after: time.Since(w.began)}
	if !there {
		delete(w.on, node)
		return s, true
	}
	w.on[node] = true
	w.arrivals = append(w.arrivals, s)
	return s, true
}

func (w *watch) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.err = err
}
