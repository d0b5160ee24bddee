package vip

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/vipd/vipd/test/lab"
)

func watch(t *testing.T, n *lab.Node) <-chan Change {
	t.Helper()
	changes := make(chan Change, 1024)
	in(t, n, func() error {
		w, err := NewWatcher(func(c Change) { changes <- c })
		if err != nil {
			return err
		}
		background(t, w.Run)
		return nil
	})
	return changes
}

// until returns the change of the kind wanted, passing over others.
func until(t *testing.T, changes <-chan Change, kind ChangeKind) Change {
	t.Helper()
	for {
		if c := next(t, changes); c.Kind == kind {
			return c
		}
	}
}

func TestC34ExternalDeleteIsReported(t *testing.T) {
	_, a, _ := twoNodes(t, "ip")
	for _, v := range []netip.Addr{vip4, vip6} {
		h := start(t, a, Config{Addrs: []netip.Addr{v}})
		changes := watch(t, a)
		h.Claim()
		h.done(OpClaim)
		h.Renew(monotonic())
		h.done(OpRenew)
		run(t, a, "ip", "addr", "del", netip.PrefixFrom(v, v.BitLen()).String(), "dev", lab.Interface)
		deleted := time.Now()
		if c := next(t, changes); c.Kind != AddrAdded || c.Addr != v {
			t.Errorf("after the claim: %+v", c)
		}
		c := next(t, changes) // the renewal was no news
		if c.Kind != AddrRemoved || c.Addr != v || c.Index != eth0(t, a).Index {
			t.Errorf("after the delete: %+v", c)
		}
		h.Claim()
		h.done(OpClaim)
		if took := time.Since(deleted); took > time.Second || !has(t, a, v) {
			t.Errorf("back after %v", took)
		}
	}
}

// With many addresses, to be woken for each renewal costs as much as to renew.
func TestRenewalsDoNotWakeTheWatcher(t *testing.T) {
	_, a, _ := twoNodes(t, "ip")
	for _, v := range []netip.Addr{vip4, vip6} {
		h := start(t, a, Config{Addrs: []netip.Addr{v}})
		h.Claim()
		h.done(OpClaim)
		renew := func() {
			h.Renew(monotonic())
			h.done(OpRenew)
		}
		for claimed := time.Now(); time.Since(claimed) < 50*time.Millisecond; {
			renew() // the kernel's clock for addresses counts hundredths of a second
		}
		var w *Watcher
		in(t, a, func() (err error) {
			w, err = NewWatcher(func(Change) {})
			return err
		})
		defer w.close()
		renew()
		renew()
		run(t, a, "ip", "addr", "del", netip.PrefixFrom(v, v.BitLen()).String(), "dev", lab.Interface)
		msgs, _, err := w.socket.Receive()
		if err != nil || len(msgs) == 0 || msgs[0].Header.Type != unix.RTM_DELADDR {
			t.Errorf("%v: after two renewals and a delete the Watcher hears of %+v (%v)", v, msgs, err)
		}
	}
}

func TestC40LinksAreReported(t *testing.T) {
	l, a, _ := twoNodes(t, "ip")
	changes := watch(t, a)
	index := eth0(t, a).Index

	if err := l.Unplug(a); err != nil {
		t.Fatal(err)
	}
	until(t, changes, LinkDown)
	if err := l.Plug(a); err != nil {
		t.Fatal(err)
	}
	until(t, changes, LinkUp)
	run(t, a, "ip", "link", "set", lab.Interface, "mtu", "1400")
	if c := until(t, changes, MTUChanged); c.MTU != 1400 || c.Index != index {
		t.Errorf("%+v", c)
	}
	run(t, a, "ip", "link", "set", lab.Interface, "address", testMAC.String())
	until(t, changes, MACChanged)
	run(t, a, "ip", "link", "del", lab.Interface)
	if c := until(t, changes, LinkGone); c.Name != lab.Interface {
		t.Errorf("%+v", c)
	}
	run(t, a, "ip", "link", "add", lab.Interface, "type", "veth", "peer", "name", "other")
	if c := until(t, changes, LinkNew); c.Index == index {
		t.Errorf("the index was to change: %+v", c)
	}
	run(t, a, "ip", "link", "set", "other", "name", "eth1")
	for c := until(t, changes, LinkNew); c.Name != "eth1"; {
		c = until(t, changes, LinkNew)
	}
}

// The kernel drops what a subscriber does not fetch; the Watcher must not end.
func TestWatcherSurvivesAnOverrun(t *testing.T) {
	_, a, _ := twoNodes(t, "ip")
	changes := make(chan Change, 4096)
	var w *Watcher
	in(t, a, func() (err error) {
		if w, err = NewWatcher(func(c Change) { changes <- c }); err != nil {
			return err
		}
		return w.socket.SetReceiveBufferSize(1, false)
	})
	h := start(t, a, Config{Addrs: []netip.Addr{vip4}})
	for range 100 { // before Run fetches the first
		h.Claim()
		h.done(OpClaim)
		h.Release()
		h.done(OpRelease)
	}
	background(t, w.Run)
	until(t, changes, Resync)
	run(t, a, "ip", "addr", "add", "203.0.113.1/32", "dev", lab.Interface)
	for until(t, changes, AddrAdded).Addr != netip.MustParseAddr("203.0.113.1") {
		// The link-local address may come late.
	}
}

func TestLinkChanges(t *testing.T) {
	eth := linkState{index: 2, mtu: 1500, name: "eth0", mac: "m", up: true}
	with := func(f func(*linkState)) linkState { s := eth; f(&s); return s }
	for _, tt := range []struct {
		name     string
		was, now linkState
		gone     bool
		want     []ChangeKind
	}{
		{"nothing", eth, eth, false, nil},
		{"down", eth, with(func(s *linkState) { s.up = false }), false, []ChangeKind{LinkDown}},
		{"up", with(func(s *linkState) { s.up = false }), eth, false, []ChangeKind{LinkUp}},
		{"new and up", linkState{}, eth, false, []ChangeKind{LinkNew, LinkUp}},
		{"renamed", with(func(s *linkState) { s.name = "old" }), eth, false, []ChangeKind{LinkNew}},
		{"gone", eth, eth, true, []ChangeKind{LinkGone}},
		{"mtu and mac", with(func(s *linkState) { s.mtu, s.mac = 1280, "o" }), eth, false, []ChangeKind{MTUChanged, MACChanged}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := state{links: map[int]linkState{}}
			if tt.was.index != 0 {
				s.links[tt.was.index] = tt.was
			}
			var got []ChangeKind
			for _, c := range s.link(tt.now, tt.gone) {
				got = append(got, c.Kind)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}
