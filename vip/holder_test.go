package vip

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vipd/vipd/test/lab"
	"github.com/vipd/vipd/vrrp"
)

func TestC32LeaseRunsOut(t *testing.T) {
	_, a, _ := twoNodes(t)
	h4, h6 := start(t, a, Config{Addrs: []netip.Addr{vip4}}), start(t, a, Config{Addrs: []netip.Addr{vip6}})
	h4.Claim()
	h6.Claim()
	h4.done(OpClaim)
	h6.done(OpClaim)
	h4.Renew(monotonic())
	h6.Renew(monotonic())
	h4.done(OpRenew)
	h6.done(OpRenew)
	took := within(t, Lease+1400*time.Millisecond, "both addresses gone", func() bool {
		return !has(t, a, vip4) && !has(t, a, vip6)
	})
	if took < Lease-100*time.Millisecond {
		t.Errorf("gone after %v, before the lease of %v ran out", took, Lease)
	}
	t.Logf("gone after %v", took)

	t.Run("C37 node address survives expiry", func(t *testing.T) {
		if !has(t, a, netA4.Addr(), netA6.Addr()) {
			t.Errorf("left: %v", addrs(t, a))
		}
	})
	t.Run("C33 renewal does not put it back", func(t *testing.T) {
		for _, h := range []*running{h4, h6} {
			h.Renew(monotonic())
			if err := h.result(OpRenew); !errors.Is(err, ErrGone) {
				t.Errorf("renewed an expired address: %v", err)
			}
		}
		if has(t, a, vip4) || has(t, a, vip6) {
			t.Error("an expired address is back")
		}
	})
	t.Run("C45 nothing announced without it", func(t *testing.T) {
		frames := capture(t, a)
		h4.Announce()
		h6.Announce()
		h4.done(OpAnnounce)
		h6.done(OpAnnounce)
		if got := frames(); len(got) > 0 {
			t.Errorf("sent %d frames, first %x", len(got), got[0])
		}
	})
}

func TestC37ReleaseLeavesNodeAddress(t *testing.T) {
	_, a, _ := twoNodes(t, "sysctl")
	run(t, a, "sysctl", "-qw", "net.ipv4.conf.eth0.promote_secondaries=0", "net.ipv4.conf.all.promote_secondaries=0")
	before := addrs(t, a)
	for _, v := range []netip.Addr{vip4, vip6} {
		h := start(t, a, Config{Addrs: []netip.Addr{v}})
		h.Claim()
		h.done(OpClaim)
		if !has(t, a, v) {
			t.Errorf("%v is not there", v)
		}
		h.Release()
		h.done(OpRelease)
		h.Release() // again: no error
		h.done(OpRelease)
	}
	if d := cmp.Diff(before, addrs(t, a), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); d != "" {
		t.Error(d)
	}
}

func TestC36NeverASource(t *testing.T) {
	_, a, b := twoNodes(t, "ip")
	for _, tt := range []struct {
		name     string
		vip      netip.Addr
		own, far netip.Prefix
	}{
		{"IPv4", vip4, netA4, netB4},
		{"IPv6", vip6, netA6, netB6},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := start(t, a, Config{Addrs: []netip.Addr{tt.vip}})
			h.Claim()
			h.done(OpClaim)
			if out := run(t, a, "ip", "route", "get", tt.far.Addr().String()); strings.Contains(out, "src "+tt.vip.String()) {
				t.Errorf("ip route get: %s", out)
			}
			var l net.Listener
			in(t, b, func() (err error) {
				l, err = net.Listen("tcp", netip.AddrPortFrom(tt.far.Addr(), 0).String())
				return err
			})
			defer l.Close()
			in(t, a, func() error {
				c, err := net.DialTimeout("tcp", l.Addr().String(), time.Second)
				if err != nil {
					return err
				}
				defer c.Close()
				if got := c.LocalAddr().(*net.TCPAddr).AddrPort().Addr(); got != tt.own.Addr() {
					t.Errorf("connected from %v, want %v", got, tt.own.Addr())
				}
				return nil
			})
		})
	}
}

func TestC39NoDuplicateAddressDetection(t *testing.T) {
	_, a, b := twoNodes(t, "ip")
	both := []netip.Addr{netip.MustParseAddr("fe80::100"), vip6}
	ha, hb := start(t, a, Config{Addrs: both}), start(t, b, Config{Addrs: both})
	for _, h := range []*running{ha, hb} {
		h.Claim()
		h.done(OpClaim)
	}
	for _, n := range []*lab.Node{a, b} {
		out := run(t, n, "ip", "-6", "addr", "show", "to", vip6.String())
		for _, flag := range []string{"nodad", "deprecated", "noprefixroute"} {
			if !strings.Contains(out, flag) {
				t.Errorf("%s: without %s: %s", n.Name, flag, out)
			}
		}
		for _, flag := range []string{"tentative", "dadfailed", "forever"} {
			if strings.Contains(out, flag) {
				t.Errorf("%s: %s: %s", n.Name, flag, out)
			}
		}
	}
}

func TestNeverFirst(t *testing.T) {
	l := lab.NewTest(t, "ip")
	a := add(t, l, "a")
	h := start(t, a, Config{Addrs: []netip.Addr{vip4}})
	own := netA4.Addr()

	h.Claim()
	if err := h.result(OpClaim); !errors.Is(err, ErrNoOwnAddress) {
		t.Errorf("claimed on an interface without an address: %v", err)
	}
	if err := a.AddAddr(netA4); err != nil {
		t.Fatal(err)
	}
	claimed := func() []netip.Addr {
		h.Claim()
		h.done(OpClaim)
		return addrs(t, a)
	}
	want := []netip.Addr{own, vip4}
	if got := claimed(); !slices.Equal(got, want) {
		t.Errorf("order %v, want %v", got, want)
	}
	run(t, a, "ip", "addr", "del", netA4.String(), "dev", lab.Interface)
	if err := a.AddAddr(netA4); err != nil {
		t.Fatal(err)
	}
	if got := addrs(t, a); !slices.Equal(got, []netip.Addr{vip4, own}) {
		t.Fatalf("the node's address was to come back last, got %v", got)
	}
	if got := claimed(); !slices.Equal(got, want) {
		t.Errorf("order %v, want %v again", got, want)
	}
}

func TestClaimRefusesAnAddressWithSubnet(t *testing.T) {
	_, a, _ := twoNodes(t)
	if err := a.AddAddr(netip.PrefixFrom(vip4, 24)); err != nil {
		t.Fatal(err)
	}
	h := start(t, a, Config{Addrs: []netip.Addr{vip4}})
	h.Claim()
	if err := h.result(OpClaim); err == nil || !strings.Contains(err.Error(), "subnet") {
		t.Errorf("claimed: %v", err)
	}
}

func TestStaleTokens(t *testing.T) {
	_, a, _ := twoNodes(t)
	var now atomic.Int64
	clock := func() vrrp.Instant { return vrrp.Instant(now.Load()) }
	h := start(t, a, Config{Addrs: []netip.Addr{vip4}, Clock: clock})
	h.Claim()
	h.done(OpClaim)
	for _, tt := range []struct {
		name string
		age  time.Duration
		want error
	}{
		{"fresh", 0, nil},
		{"half a lease", Lease / 2, nil},
		{"older", Lease/2 + 1, ErrStale},
	} {
		t.Run(tt.name, func(t *testing.T) {
			now.Store(int64(time.Hour))
			h.Renew(clock().Add(-tt.age))
			if err := h.result(OpRenew); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

// A write that hung for longer than the lease brings an expired address back.
func TestBlockedWriteIsUndone(t *testing.T) {
	_, a, _ := twoNodes(t)
	var reads atomic.Int64
	clock := func() vrrp.Instant { // each reading is a lease later than the last but one
		return vrrp.Instant(reads.Add(1) / 2 * int64(Lease))
	}
	h := start(t, a, Config{Addrs: []netip.Addr{vip4}, Clock: clock})
	reads.Store(1)
	h.Claim() // reads 2: one lease; before the write 3: the same; after it 4: two
	if err := h.result(OpClaim); !errors.Is(err, ErrStale) {
		t.Errorf("got %v, want ErrStale", err)
	}
	if has(t, a, vip4) {
		t.Error("the address stayed")
	}
}

func TestCloseCarriesOutTheLastRelease(t *testing.T) {
	_, a, _ := twoNodes(t)
	k := keeper(t, a, vrrp.IPv4)
	h := start(t, a, Config{Addrs: []netip.Addr{vip4}, Keeper: k})
	h.Claim()
	h.done(OpClaim)
	var last *Holder
	in(t, a, func() (err error) {
		last, err = NewHolder(Config{Interface: h.cfg.Interface, Addrs: h.cfg.Addrs, Keeper: k, Clock: monotonic, Report: func(Event) {}})
		return err
	})
	last.Release()
	if err := last.Close(); err != nil {
		t.Fatal(err)
	}
	last.Claim()
	if has(t, a, vip4) {
		t.Error("the address is still there, or again")
	}
}

// What many ask for at a time is done for each, and what fails fails for its own.
func TestKeeperServesMany(t *testing.T) {
	_, a, _ := twoNodes(t, "ip")
	foreign := netip.MustParsePrefix("203.0.113.7/24") // with a subnet: not to be claimed
	run(t, a, "ip", "addr", "add", foreign.String(), "dev", lab.Interface)
	k := keeper(t, a, vrrp.IPv4)
	var holders []*running
	for i := range byte(3 * rtnlBatch / 2) {
		holders = append(holders, start(t, a, Config{Addrs: []netip.Addr{netip.AddrFrom4([4]byte{203, 0, 113, i})}, Keeper: k}))
	}
	each := func(do func(*Holder), op Op) {
		t.Helper()
		for _, h := range holders {
			do(h.Holder)
		}
		for i, h := range holders {
			if err := h.result(op); (err != nil) != (i == 7 && op != OpRelease) {
				t.Errorf("%v of %v: %v", op, h.cfg.Addrs, err)
			}
		}
	}
	each((*Holder).Claim, OpClaim)
	each(func(h *Holder) { h.Renew(monotonic()) }, OpRenew)
	if got := len(addrs(t, a)); got != len(holders)+2 { // in both families one of its own
		t.Errorf("%d addresses, want %d", got, len(holders)+2)
	}
	run(t, a, "ip", "addr", "del", holders[70].cfg.Addrs[0].String()+"/32", "dev", lab.Interface)
	holders[0].Claim() // the Keeper looks anew after it
	holders[0].done(OpClaim)
	holders[70].Renew(monotonic())
	if err := holders[70].result(OpRenew); !errors.Is(err, ErrGone) || has(t, a, holders[70].cfg.Addrs...) {
		t.Errorf("renewed an address that is gone: %v", err)
	}
	each((*Holder).Release, OpRelease)
	if got := addrs(t, a); len(got) != 3 {
		t.Errorf("left: %v", got)
	}
}

func TestC72ConnectionsResetOnRelease(t *testing.T) {
	_, a, b := twoNodes(t)
	for _, tt := range []struct {
		name     string
		vip, own netip.Addr
		network  string
	}{
		{"IPv4 on a dual-stack socket", vip4, netA4.Addr(), "tcp"},
		{"IPv4", vip4, netA4.Addr(), "tcp4"},
		{"IPv6", vip6, netA6.Addr(), "tcp6"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := start(t, a, Config{Addrs: []netip.Addr{tt.vip}})
			h.Claim()
			h.done(OpClaim)
			port := serve(t, a, tt.network)
			through := dial(t, b, netip.AddrPortFrom(tt.vip, port))
			direct := dial(t, b, netip.AddrPortFrom(tt.own, port))
			h.Release()
			h.done(OpRelease)

			through.SetReadDeadline(time.Now().Add(time.Second))
			if _, err := through.Read(make([]byte, 1)); err == nil || !strings.Contains(err.Error(), "reset") {
				t.Errorf("through the virtual address: %v, want a reset", err)
			}
			if err := echo(direct); err != nil {
				t.Errorf("through the node's own address: %v", err)
			}
		})
	}
}

// serve echoes what it reads on a port of every address of the node.
func serve(t *testing.T, n *lab.Node, network string) uint16 {
	t.Helper()
	var l net.Listener
	in(t, n, func() (err error) {
		l, err = net.Listen(network, ":0")
		return err
	})
	background(t, func(ctx context.Context) error {
		defer context.AfterFunc(ctx, func() { l.Close() })()
		for {
			c, err := l.Accept()
			if err != nil {
				return nil
			}
			go func() {
				defer c.Close()
				b := make([]byte, 1)
				for {
					if _, err := c.Read(b); err != nil {
						return
					}
					if _, err := c.Write(b); err != nil {
						return
					}
				}
			}()
		}
	})
	return l.Addr().(*net.TCPAddr).AddrPort().Port()
}

// dial connects and makes sure that the other end has accepted.
func dial(t *testing.T, n *lab.Node, to netip.AddrPort) (c net.Conn) {
	t.Helper()
	in(t, n, func() (err error) {
		if c, err = net.DialTimeout("tcp", to.String(), time.Second); err != nil {
			return err
		}
		return echo(c)
	})
	t.Cleanup(func() { c.Close() })
	return c
}

func echo(c net.Conn) error {
	if err := c.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	if _, err := c.Write([]byte{1}); err != nil {
		return err
	}
	_, err := c.Read(make([]byte, 1))
	return err
}

// full is a Holder with as many addresses as a virtual router can have.
func full(b *testing.B) *running {
	b.Helper()
	a := add(b, lab.NewTest(b), "a", netA4)
	var many []netip.Addr
	for i := range byte(vrrp.MaxAddresses) {
		many = append(many, netip.AddrFrom4([4]byte{203, 0, 113, i}))
	}
	return start(b, a, Config{Addrs: many})
}

func BenchmarkClaim255(b *testing.B) {
	h := full(b)
	for b.Loop() {
		h.Claim()
		h.done(OpClaim)
		b.StopTimer()
		h.Release()
		h.done(OpRelease)
		b.StartTimer()
	}
}

func BenchmarkRenew255(b *testing.B) {
	h := full(b)
	h.Claim()
	h.done(OpClaim)
	b.ReportAllocs()
	for b.Loop() {
		h.Renew(monotonic())
		h.done(OpRenew)
	}
}

// BenchmarkRenew255Routers is a round of renewals for 255 routers on one interface,
// each with an address of its own. Shared is what the agent does.
func BenchmarkRenew255Routers(b *testing.B) {
	for name, shared := range map[string]bool{"shared": true, "each_its_own": false} {
		b.Run(name, func(b *testing.B) {
			a := add(b, lab.NewTest(b), "a", netA4)
			var k *Keeper
			if shared {
				k = keeper(b, a, vrrp.IPv4)
			}
			var holders []*running
			for i := range byte(255) {
				h := start(b, a, Config{Addrs: []netip.Addr{netip.AddrFrom4([4]byte{203, 0, 113, i})}, Keeper: k})
				h.Claim()
				h.done(OpClaim)
				holders = append(holders, h)
			}
			for b.Loop() {
				for _, h := range holders {
					h.Renew(monotonic())
				}
				for _, h := range holders {
					h.done(OpRenew)
				}
			}
		})
	}
}

// Where routes lead to the addresses, the interface need have no other, and nothing is
// announced.
func TestRouted(t *testing.T) {
	l := lab.NewTest(t, "ip")
	a := add(t, l, "a")
	for _, addr := range []netip.Addr{vip4, vip6} {
		h := start(t, a, Config{Addrs: []netip.Addr{addr}, Routed: true})
		h.Claim()
		h.done(OpClaim)
		h.Announce()
		h.done(OpAnnounce)
		h.Renew(monotonic())
		h.done(OpRenew)
		if !has(t, a, addr) {
			t.Fatalf("%v is not there", addr)
		}
		h.Release()
		h.done(OpRelease)
		if has(t, a, addr) {
			t.Fatalf("%v is still there", addr)
		}
	}
}
