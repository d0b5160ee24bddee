package vip

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vipd/vipd/test/lab"
	"github.com/vipd/vipd/vrrp"
)

var (
	vip4  = netip.MustParseAddr("198.51.100.100")
	vip6  = netip.MustParseAddr("2001:db8::100")
	netA4 = netip.MustParsePrefix("198.51.100.1/24")
	netA6 = netip.MustParsePrefix("2001:db8::1/64")
	netB4 = netip.MustParsePrefix("198.51.100.2/24")
	netB6 = netip.MustParsePrefix("2001:db8::2/64")
)

// monotonic is the clock of the tests that do not make their own.
func monotonic() vrrp.Instant {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic(err)
	}
	return vrrp.Instant(ts.Nano())
}

// twoNodes are neighbours with an address of each family.
func twoNodes(t testing.TB, tools ...string) (l *lab.Lab, a, b *lab.Node) {
	t.Helper()
	l = lab.NewTest(t, append(tools, "ping")...)
	a, b = add(t, l, "a", netA4, netA6), add(t, l, "b", netB4, netB6)
	reach(t, a, netB4.Addr())
	reach(t, b, netA4.Addr())
	return l, a, b
}

// reach waits until frames pass and the node takes part in IPv6: the bridge and the
// kernel hear of a new carrier up to a second late.
func reach(t testing.TB, from *lab.Node, to netip.Addr) {
	t.Helper()
	within(t, 3*time.Second, from.Name+" reaches "+to.String(), func() bool {
		all, err := from.Addrs()
		if err != nil || !slices.ContainsFunc(all, netip.Addr.IsLinkLocalUnicast) {
			return false
		}
		_, err = from.Run("ping", "-c1", "-W0.1", to.String())
		return err == nil
	})
}

func add(t testing.TB, l *lab.Lab, name string, addrs ...netip.Prefix) *lab.Node {
	t.Helper()
	n, err := l.Add(name, addrs...)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// in runs f inside the node, and fails the test if it fails.
func in(t testing.TB, n *lab.Node, f func() error) {
	t.Helper()
	if err := n.Do(f); err != nil {
		t.Fatal(err)
	}
}

func run(t testing.TB, n *lab.Node, command ...string) string {
	t.Helper()
	out, err := n.Run(command[0], command[1:]...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func eth0(t testing.TB, n *lab.Node) (ifi *net.Interface) {
	t.Helper()
	in(t, n, func() (err error) {
		ifi, err = net.InterfaceByName(lab.Interface)
		return err
	})
	return ifi
}

// running is a Holder at work and what it reports.
type running struct {
	*Holder
	t      testing.TB
	events chan Event
}

func start(t testing.TB, n *lab.Node, cfg Config) *running {
	t.Helper()
	r := &running{t: t, events: make(chan Event, 1024)}
	cfg.Interface = eth0(t, n)
	cfg.Report = func(e Event) { r.events <- e }
	if cfg.Clock == nil {
		cfg.Clock = monotonic
	}
	if cfg.Keeper == nil {
		cfg.Keeper = keeper(t, n, vrrp.FamilyOf(cfg.Addrs[0]))
	}
	in(t, n, func() (err error) {
		r.Holder, err = NewHolder(cfg)
		return err
	})
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// keeper returns a Keeper at work.
func keeper(t testing.TB, n *lab.Node, f vrrp.Family) (k *Keeper) {
	t.Helper()
	in(t, n, func() (err error) {
		k, err = NewKeeper(f)
		return err
	})
	t.Cleanup(func() {
		if err := k.Close(); err != nil {
			t.Error(err)
		}
	})
	background(t, k.Run)
	return k
}

// background runs f until the test ends, and waits for it.
func background(t testing.TB, f func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// result is the error with which the next op ended.
func (r *running) result(op Op) error {
	r.t.Helper()
	for {
		e := next(r.t, r.events)
		if e.Op == op {
			return e.Err
		}
	}
}

// done waits until op has ended well.
func (r *running) done(op Op) {
	r.t.Helper()
	if err := r.result(op); err != nil {
		r.t.Fatalf("%v: %v", op, err)
	}
}

func next[T any](t testing.TB, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(3 * time.Second):
		t.Fatal("nothing came within 3 s")
		panic("unreachable")
	}
}

// within waits for a condition.
func within(t testing.TB, limit time.Duration, what string, ok func() bool) time.Duration {
	t.Helper()
	begin := time.Now()
	for !ok() {
		if time.Since(begin) > limit {
			t.Fatalf("not within %v: %s", limit, what)
		}
		time.Sleep(5 * time.Millisecond)
	}
	return time.Since(begin)
}

func addrs(t testing.TB, n *lab.Node) []netip.Addr {
	t.Helper()
	list, err := n.Addrs()
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(list, netip.Addr.IsLinkLocalUnicast)
}

func has(t testing.TB, n *lab.Node, want ...netip.Addr) bool {
	t.Helper()
	there := addrs(t, n)
	for _, a := range want {
		if !slices.Contains(there, a) {
			return false
		}
	}
	return true
}
