package lab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
)

// watchBuffer holds what a kernel tells while thousands of addresses come and go.
const watchBuffer = 8 << 20

// Sighting is an address coming to an interface of a node, or leaving it.
type Sighting struct {
	Node  string
	Addr  netip.Addr
	There bool
	At    time.Time
}

func (s Sighting) String() string {
	if s.There {
		return fmt.Sprintf("%v is on %s", s.Addr, s.Node)
	}
	return fmt.Sprintf("%v is off %s", s.Addr, s.Node)
}

// AddrWatch follows the addresses of nodes through their kernels.
type AddrWatch struct {
	report func(Sighting)
	stop   context.CancelFunc
	ended  sync.WaitGroup

	telling sync.Mutex // held while report runs
	on      map[place]bool

	mu  sync.Mutex
	err error
}

type place struct {
	node string
	addr netip.Addr
}

// WatchAddrs calls report whenever an address comes or goes, also for those that are
// there already. The renewal of an address is no news. Calls come one at a time. They may
// take locks that are held while Err is asked.
func WatchAddrs(nodes []*Node, report func(Sighting)) (*AddrWatch, error) {
	ctx, stop := context.WithCancel(context.Background())
	w := &AddrWatch{report: report, stop: stop, on: make(map[place]bool)}
	for _, n := range nodes {
		if err := w.follow(ctx, n); err != nil {
			return nil, errors.Join(fmt.Errorf("watch the addresses of %s: %w", n.Name, err), w.Close())
		}
	}
	return w, nil
}

// Close ends the watch. It fails if a kernel could not be heard any more.
func (w *AddrWatch) Close() error {
	w.stop()
	w.ended.Wait()
	return w.Err()
}

// Err returns why a kernel cannot be heard any more.
func (w *AddrWatch) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

func (w *AddrWatch) follow(ctx context.Context, n *Node) error {
	updates := make(chan netlink.AddrUpdate, 64)
	err := n.Do(func() error {
		return netlink.AddrSubscribeWithOptions(updates, ctx.Done(), netlink.AddrSubscribeOptions{
			ListExisting: true, ReceiveBufferSize: watchBuffer, ReceiveBufferForceSize: true,
			ErrorCallback: func(err error) {
				if ctx.Err() == nil {
					w.fail(fmt.Errorf("watch the addresses of %s: %w", n.Name, err))
				}
			},
		})
	})
	if err != nil {
		return err
	}
	// Whoever notes the time must not wait until others have reported.
	told := make(chan stamped, 1024)
	w.ended.Go(func() {
		defer close(told)
		for u := range updates {
			told <- stamped{u, time.Now()}
		}
	})
	w.ended.Go(func() {
		for u := range told {
			w.update(n.Name, u.AddrUpdate, u.at)
		}
	})
	return nil
}

// stamped is an update with the time at which it was read.
type stamped struct {
	netlink.AddrUpdate
	at time.Time
}

func (w *AddrWatch) update(node string, u netlink.AddrUpdate, at time.Time) {
	addr, ok := netip.AddrFromSlice(u.LinkAddress.IP)
	if !ok {
		return
	}
	w.telling.Lock()
	defer w.telling.Unlock()
	p := place{node, addr.Unmap()}
	if w.on[p] == u.NewAddr {
		return
	}
	w.on[p] = u.NewAddr
	w.report(Sighting{Node: node, Addr: p.addr, There: u.NewAddr, At: at})
}

func (w *AddrWatch) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.err = errors.Join(w.err, err)
}
