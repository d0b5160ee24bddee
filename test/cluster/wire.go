package cluster

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/vipd/vipd/test/lab"
	"github.com/vipd/vipd/vrrp"
	"github.com/vipd/vipd/vrrp/transport"
)

// Wire hears the IPv4 advertisements of VRID 51 on the segment.
type Wire struct {
	Began time.Time

	cancel context.CancelFunc
	ended  chan struct{}
	recv   *transport.Receiver

	mu   sync.Mutex
	seen []Seen
}

// Seen is an advertisement that was heard.
type Seen struct {
	Src      netip.Addr
	Priority uint8
	At       vrrp.Instant // since Listen
}

// Listen begins to listen on a node. Stop ends it.
func Listen(ctx context.Context, n *lab.Node) (*Wire, error) {
	began := time.Now()
	w := &Wire{Began: began, ended: make(chan struct{})}
	err := n.Do(func() error {
		ifi, err := net.InterfaceByName(lab.Interface)
		if err != nil {
			return err
		}
		w.recv, err = transport.NewReceiver(ifi, vrrp.IPv4, func() vrrp.Instant { return vrrp.Instant(time.Since(began)) })
		return err
	})
	if err != nil {
		return nil, err
	}
	err = w.recv.Handle(51, func(d *transport.Datagram) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.seen = append(w.seen, Seen{d.Src, d.Payload[2], d.Arrival})
	})
	if err != nil {
		return nil, err
	}
	ctx, w.cancel = context.WithCancel(ctx)
	go func() { defer close(w.ended); _ = w.recv.Run(ctx) }()
	return w, nil
}

// Stop ends the listening.
func (w *Wire) Stop() {
	w.cancel()
	<-w.ended
	w.recv.Close()
}

// Gap returns the time from the last advertisement of the holder to the first of
// another router after it.
func (w *Wire) Gap(holder netip.Addr) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	var last vrrp.Instant
	for _, s := range w.seen {
		if s.Src == holder {
			last = s.At
			continue
		}
		if last != 0 {
			return s.At.Sub(last)
		}
	}
	return 0
}

// Heard returns what was heard so far.
func (w *Wire) Heard() []Seen {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.seen)
}
