package transport

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/vipd/vipd/test/lab"
	"github.com/vipd/vipd/vrrp"
)

// patience is how long a test waits for what must happen.
const patience = 5 * time.Second

var families = []vrrp.Family{vrrp.IPv4, vrrp.IPv6}

var compare = []cmp.Option{
	cmpopts.EquateComparable(netip.Addr{}),
	cmpopts.IgnoreFields(Datagram{}, "Arrival"),
}

// host is a node of a lab with what a test needs to know of it.
type host struct {
	*lab.Node
	ifi   *net.Interface
	addrs map[vrrp.Family]netip.Addr
}

func addHost(t testing.TB, l *lab.Lab, name, addr4, addr6 string) *host {
	t.Helper()
	h := &host{addrs: map[vrrp.Family]netip.Addr{
		vrrp.IPv4: netip.MustParseAddr(addr4),
		vrrp.IPv6: netip.MustParseAddr(addr6),
	}}
	var err error
	h.Node, err = l.Add(name, netip.PrefixFrom(h.addrs[vrrp.IPv4], 24), netip.PrefixFrom(h.addrs[vrrp.IPv6], 64))
	if err != nil {
		t.Fatal(err)
	}
	err = h.Do(func() (err error) {
		h.ifi, err = net.InterfaceByName(lab.Interface)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// pair makes a segment with two hosts that reach each other.
func pair(t testing.TB, tools ...string) (l *lab.Lab, a, b *host) {
	t.Helper()
	l = lab.NewTest(t, tools...)
	a = addHost(t, l, "a", "198.51.100.1", "fe80::1")
	b = addHost(t, l, "b", "198.51.100.2", "fe80::2")
	// The kernel takes a new link into use some time after it is up.
	a.reach(t, b)
	b.reach(t, a)
	return l, a, b
}

// reach waits until packets from h arrive at to.
func (h *host) reach(t testing.TB, to *host) {
	t.Helper()
	const f = vrrp.IPv4
	r, s := to.receiver(t, f), h.sender(t, f)
	defer r.Close()
	defer s.Close()
	in := open(t, r, 1)
	until(t, h.Name+" reaches "+to.Name, func() bool {
		send(t, s, h.addrs[f], f.Group(), advert(1, 12))
		r.Drain()
		return len(in) > 0
	})
}

func (h *host) run(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, err := h.Run(name, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (h *host) sender(t testing.TB, f vrrp.Family) *Sender {
	t.Helper()
	var s *Sender
	err := h.Do(func() (err error) {
		s, err = NewSender(h.ifi, f)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func (h *host) receiver(t testing.TB, f vrrp.Family) *Receiver {
	t.Helper()
	var r *Receiver
	err := h.Do(func() (err error) {
		r, err = NewReceiver(h.ifi, f, clock())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// joined asks in h's network namespace.
func (h *host) joined(t testing.TB, r *Receiver) bool {
	t.Helper()
	var joined bool
	err := h.Do(func() (err error) {
		joined, err = r.Joined()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return joined
}

func clock() func() vrrp.Instant {
	start := time.Now()
	return func() vrrp.Instant { return vrrp.Instant(time.Since(start)) }
}

// start runs r until the test ends.
func start(t testing.TB, r *Receiver) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

// inbox keeps what a handler gets.
type inbox chan Datagram

func (in inbox) put(d *Datagram) {
	c := *d
	c.Payload = slices.Clone(d.Payload)
	in <- c
}

func (in inbox) wait(t testing.TB) Datagram {
	t.Helper()
	select {
	case d := <-in:
		return d
	case <-time.After(patience):
		t.Fatal("nothing received")
	}
	panic("unreachable")
}

// open subscribes to a VRID.
func open(t testing.TB, r *Receiver, vrid uint8) inbox {
	t.Helper()
	in := make(inbox, 1024)
	if err := r.Handle(vrid, in.put); err != nil {
		t.Fatal(err)
	}
	return in
}

func send(t testing.TB, s *Sender, src, dst netip.Addr, payload []byte) {
	t.Helper()
	if err := s.Send(src, dst, payload); err != nil {
		t.Fatal(err)
	}
}

// until waits for a condition.
func until(t testing.TB, what string, met func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !met(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

// advert is a packet of n bytes for a VRID, its checksum aside.
func advert(vrid uint8, n int) []byte {
	p := make([]byte, n)
	copy(p, []byte{0x31, vrid, 100, 1, 0, 100})
	return p
}

// unsummed returns p without the checksum that the kernel wrote.
func unsummed(p []byte) []byte {
	p = slices.Clone(p)
	copy(p[6:8], []byte{0, 0})
	return p
}
