package vip

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/vipd/vipd/test/lab"
	"github.com/vipd/vipd/vrrp"
)

func listen(t *testing.T, n *lab.Node, v netip.Addr) <-chan Heard {
	t.Helper()
	heard := make(chan Heard, 1024)
	in(t, n, func() error {
		ear, err := NewEar(eth0(t, n), vrrp.FamilyOf(v), func(h Heard) { heard <- h })
		if err != nil {
			return err
		}
		background(t, ear.Run)
		return ear.Watch([]netip.Addr{v})
	})
	return heard
}

func TestEarHearsTheSuccessor(t *testing.T) {
	l, a, b := twoNodes(t)
	for _, v := range []netip.Addr{vip4, vip6} {
		t.Run(vrrp.FamilyOf(v).String(), func(t *testing.T) {
			heard := listen(t, a, v)
			own, other := start(t, a, Config{Addrs: []netip.Addr{v}}), start(t, b, Config{Addrs: []netip.Addr{v}})
			if err := l.Unplug(a); err != nil {
				t.Fatal(err)
			}
			if err := l.Plug(a); err != nil {
				t.Fatal(err)
			}
			reach(t, a, netB4.Addr())
			own.Claim()
			own.Announce()
			own.done(OpAnnounce)
			other.Claim()
			other.Announce()
			other.done(OpAnnounce)
			got := next(t, heard)
			if got.Addr != v || !got.Gratuitous || !slices.Equal(got.MAC, eth0(t, b).HardwareAddr) {
				t.Errorf("heard %+v, want %v at %v", got, v, eth0(t, b).HardwareAddr)
			}
		})
	}
}

// A storm of true claims costs at most the budget.
func TestEarBudget(t *testing.T) {
	_, a, b := twoNodes(t)
	heard := listen(t, a, vip4)
	var out *Announcer
	in(t, b, func() (err error) {
		out, err = NewAnnouncer(eth0(t, b), vrrp.IPv4)
		return err
	})
	defer out.Close()
	begin := time.Now()
	for range 5 * earBudget {
		if err := out.announce(eth0(t, b).HardwareAddr, []netip.Addr{vip4}); err != nil {
			t.Fatal(err)
		}
	}
	next(t, heard)
	if most := int(time.Since(begin)/earPeriod+1) * earBudget; len(heard) >= most {
		t.Errorf("heard %d within %v, the budget is %d", len(heard)+1, time.Since(begin), most)
	}
}

func TestConflict(t *testing.T) {
	_, a, b := twoNodes(t)
	// Nobody answers for what is free, so that takes as long as it may.
	const brief, patient = 300 * time.Millisecond, 5 * time.Second
	for _, tt := range []struct {
		name string
		addr netip.Addr
		want net.HardwareAddr
	}{
		{"taken", netB4.Addr(), eth0(t, b).HardwareAddr},
		{"taken, IPv6", netB6.Addr(), eth0(t, b).HardwareAddr},
		{"free", vip4, nil},
		{"free, IPv6", vip6, nil},
		{"our own", netA4.Addr(), nil},
		{"our own, IPv6", netA6.Addr(), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			limit := brief
			if tt.want != nil {
				limit = patient
			}
			ctx, cancel := context.WithTimeout(context.Background(), limit)
			defer cancel()
			in(t, a, func() error {
				mac, found, err := Conflict(ctx, eth0(t, a), tt.addr)
				if found != (tt.want != nil) || !slices.Equal(mac, tt.want) {
					t.Errorf("got %v, %v, want %v", mac, found, tt.want)
				}
				return err
			})
		})
	}
}

// An Announcer asks, and an Ear hears the answer.
func TestAsk(t *testing.T) {
	_, a, b := twoNodes(t)
	for _, v := range []netip.Addr{netB4.Addr(), netB6.Addr()} {
		t.Run(vrrp.FamilyOf(v).String(), func(t *testing.T) {
			heard := listen(t, a, v)
			var out *Announcer
			in(t, a, func() (err error) {
				out, err = NewAnnouncer(eth0(t, a), vrrp.FamilyOf(v))
				return err
			})
			defer out.Close()
			if err := out.Ask(eth0(t, a).HardwareAddr, v); err != nil {
				t.Fatal(err)
			}
			if got := next(t, heard); got.Addr != v || !slices.Equal(got.MAC, eth0(t, b).HardwareAddr) {
				t.Errorf("heard %+v, want %v at %v", got, v, eth0(t, b).HardwareAddr)
			}
		})
	}
}
