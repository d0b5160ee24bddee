package vip

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/mdlayher/arp"

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

// An ear hears what is said at once, and not when its first budget is there. The host may
// be busy once, not each time.
func TestEarHearsAtOnce(t *testing.T) {
	_, a, b := twoNodes(t)
	other := start(t, b, Config{Addrs: []netip.Addr{vip4}})
	other.Claim()
	other.done(OpClaim)
	soonest := time.Hour
	for range 5 {
		began := time.Now()
		heard := listen(t, a, vip4)
		other.Announce()
		next(t, heard)
		soonest = min(soonest, time.Since(began))
	}
	if soonest > earPeriod/2 {
		t.Errorf("heard after %v", soonest)
	}
}

// A host with two interfaces in one network answers by the second what it asks through
// the first. That is no other station. A virtual MAC may be another router's all the same.
func TestEarKnowsTheHost(t *testing.T) {
	asker, second := net.HardwareAddr{2, 0, 0, 0, 0, 1}, net.HardwareAddr{2, 0, 0, 0, 0, 2}
	virtual := vrrp.VirtualMAC(vrrp.IPv4, 51)
	for _, tt := range []struct {
		name              string
		by                net.HardwareAddr
		reported, sibling bool
	}{
		{name: "itself", by: asker},
		{name: "its second interface", by: second, sibling: true},
		{name: "another station", by: testMAC, reported: true},
		{name: "a virtual MAC that is here too", by: virtual[:], reported: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var reported, sibling bool
			e := &Ear{
				ifi: &net.Interface{Name: lab.Interface, HardwareAddr: asker}, f: vrrp.IPv4, addrs: []netip.Addr{vip4},
				report:  func(Heard) { reported = true },
				Sibling: func(name string, a netip.Addr) { sibling = name == "eth1" && a == vip4 },
				host:    hostMACs{listed: time.Now(), names: map[string]string{string(second): "eth1", string(virtual[:]): "vipd51-4"}},
			}
			e.hear(arpFrame(arp.OperationReply, tt.by, vip4, asker, netip.IPv4Unspecified()))
			if reported != tt.reported || sibling != tt.sibling {
				t.Errorf("reported as another station: %v, as this host: %v", reported, sibling)
			}
		})
	}
}

func TestHostMACs(t *testing.T) {
	all, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	want, got := make(map[string]string), make(map[string]string)
	var m hostMACs
	for _, i := range all {
		if len(i.HardwareAddr) == macLen && !isVirtual(i.HardwareAddr) {
			want[i.HardwareAddr.String()] = i.Name // several may share it
			got[i.HardwareAddr.String()], _ = m.interfaceOf(i.HardwareAddr)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if name, found := m.interfaceOf(testMAC); found {
		t.Errorf("%v is said to be %s", testMAC, name)
	}
}

// A storm of true claims costs at most the budget.
func TestEarBudget(t *testing.T) {
	_, a, b := twoNodes(t)
	begin := time.Now()
	heard := listen(t, a, vip4)
	var out *Announcer
	in(t, b, func() (err error) {
		out, err = NewAnnouncer(eth0(t, b), vrrp.IPv4)
		return err
	})
	defer out.Close()
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

// All who answer are told of, each once, and the host itself is not.
func TestClaims(t *testing.T) {
	l, a, b := twoNodes(t)
	c := add(t, l, "c", netB4, netB6)
	for own, taken := range map[netip.Addr]netip.Addr{netA4.Addr(): netB4.Addr(), netA6.Addr(): netB6.Addr()} {
		t.Run(vrrp.FamilyOf(own).String(), func(t *testing.T) {
			var got []Heard
			// Long enough for a second question.
			ctx, cancel := context.WithTimeout(t.Context(), probeInterval+500*time.Millisecond)
			defer cancel()
			in(t, a, func() (err error) {
				got, err = Claims(ctx, eth0(t, a), []netip.Addr{own, taken})
				return err
			})
			for _, n := range []*lab.Node{b, c} {
				mac := eth0(t, n).HardwareAddr
				if !slices.ContainsFunc(got, func(h Heard) bool { return h.Addr == taken && slices.Equal(h.MAC, mac) }) {
					t.Errorf("%s (%v) is not among %v", n.Name, mac, got)
				}
			}
			if len(got) != 2 {
				t.Errorf("got %v, want two", got)
			}
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
