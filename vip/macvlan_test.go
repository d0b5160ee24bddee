package vip

import (
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vipd/vipd/test/lab"
	"github.com/vipd/vipd/vrrp"
)

func TestVirtualMAC(t *testing.T) {
	_, a, b := twoNodes(t, "ip", "ping", "sysctl")
	run(t, a, "sysctl", "-qw", "net.ipv4.conf.all.rp_filter=1")
	ll := awaitLinkLocal(t, a)
	for _, tt := range []struct {
		name string
		vip  netip.Addr
	}{{"vipd51-4", vip4}, {"vipd51-6", vip6}} {
		t.Run(tt.name, func(t *testing.T) {
			virtual := vrrp.VirtualMAC(vrrp.FamilyOf(tt.vip), 51)
			mac := net.HardwareAddr(virtual[:])
			var h *running
			t.Run("held", func(t *testing.T) {
				h = start(t, a, Config{Addrs: []netip.Addr{tt.vip}, VRID: 51, VirtualMAC: true})
				if got := h.Link(); got.Name != tt.name || !slices.Equal(got.HardwareAddr, mac) {
					t.Fatalf("link is %+v", got)
				}
				h.Claim()
				h.Release()
				h.done(OpRelease) // the second claim has to put everything again
				if isUp(t, a, tt.name) {
					t.Error("up without the addresses")
				}
				frames := capture(t, b)
				h.Claim()
				h.Announce()
				h.done(OpAnnounce)
				run(t, a, "ip", "neigh", "flush", "dev", lab.Interface) // the answer needs a question of its own
				answered(t, b, tt.vip, mac)
				if tt.vip.Is4() {
					answered(t, b, netA4.Addr(), eth0(t, a).HardwareAddr)
				}
				for _, f := range frames() {
					heard, ok := parserOf(vrrp.FamilyOf(tt.vip))(f)
					if ok && heard.Addr == tt.vip && !(slices.Equal(heard.MAC, mac) && slices.Equal(sender(f), mac)) {
						t.Errorf("said to be at another MAC: %x", f)
					}
				}
				if tt.vip.Is6() && !strings.Contains(run(t, a, "ip", "addr", "show", tt.name), ll.String()) {
					t.Errorf("without the parent's %v", ll)
				}
				if got := strings.TrimSpace(run(t, a, "sysctl", "-n", "net.ipv4.conf.all.rp_filter", "net.ipv4.conf.eth0.rp_filter")); got != "0\n1" {
					t.Errorf("rp_filter of all and eth0: %q", got)
				}
				h.Release()
				h.done(OpRelease)
				if isUp(t, a, tt.name) {
					t.Error("still up after the release")
				}
				if _, err := b.Run("ping", "-c1", "-W0.2", tt.vip.String()); err == nil {
					t.Error("still answers after the release")
				}
			})
			if out, err := a.Run("ip", "link", "show", tt.name); err == nil {
				t.Errorf("still there after Close: %s", out)
			}
		})
	}
}

func awaitLinkLocal(t *testing.T, n *lab.Node) (addr netip.Addr) {
	t.Helper()
	within(t, 3*time.Second, "usable link-local address of "+n.Name, func() bool {
		return n.Do(func() (err error) { addr, err = Primary(eth0(t, n), vrrp.IPv6, nil); return err }) == nil
	})
	return addr
}

func isUp(t *testing.T, n *lab.Node, name string) bool {
	t.Helper()
	return strings.Contains(run(t, n, "ip", "link", "show", name), ",UP")
}

// answered asks for addr anew and wants mac to be the only answer.
func answered(t *testing.T, from *lab.Node, addr netip.Addr, mac net.HardwareAddr) {
	t.Helper()
	run(t, from, "ip", "neigh", "flush", "dev", lab.Interface)
	frames := capture(t, from)
	run(t, from, "ping", "-c1", "-W1", addr.String())
	answers := 0
	for _, f := range frames() {
		h, ok := parserOf(vrrp.FamilyOf(addr))(f)
		if !ok || h.Addr != addr || h.Gratuitous {
			continue
		}
		answers++
		if !slices.Equal(h.MAC, mac) {
			t.Errorf("%v answered for %v", h.MAC, addr)
		}
	}
	if answers != 1 {
		t.Errorf("%d answers for %v, want 1", answers, addr)
	}
}

// A Backup that forwards must not pass on what is flooded to the virtual MAC.
func TestBackupIsDeafToTheVirtualMAC(t *testing.T) {
	l, a, b := twoNodes(t, "ip", "ping", "sysctl")
	c := add(t, l, "c", netip.MustParsePrefix("198.51.100.3/24"))
	reach(t, c, netB4.Addr())
	run(t, a, "sysctl", "-qw", "net.ipv4.ip_forward=1")
	h := start(t, a, Config{Addrs: []netip.Addr{vip4}, VRID: 51, VirtualMAC: true})
	virtual := vrrp.VirtualMAC(vrrp.IPv4, 51)
	run(t, b, "ip", "neigh", "replace", "198.51.100.3", "lladdr", net.HardwareAddr(virtual[:]).String(), "dev", lab.Interface)
	reached := func() bool { _, err := b.Run("ping", "-c1", "-W0.2", "198.51.100.3"); return err == nil }

	if reached() {
		t.Error("a Backup forwarded a packet that was sent to the virtual MAC")
	}
	h.Claim()
	h.done(OpClaim)
	if !reached() {
		t.Error("the Active does not take what is sent to the virtual MAC")
	}
	h.Release()
	h.done(OpRelease)
	if reached() {
		t.Error("forwarded after the release")
	}
}

// What another router sends from the virtual MAC reaches the parent, where those who
// have to know of it listen: a Backup, and an Active that is not the only one.
func TestParentHearsTheVirtualMAC(t *testing.T) {
	_, a, b := twoNodes(t)
	awaitLinkLocal(t, a)
	awaitLinkLocal(t, b)
	for _, vip := range []netip.Addr{vip4, vip6} {
		t.Run(vrrp.FamilyOf(vip).String(), func(t *testing.T) {
			heard := listen(t, a, vip)
			cfg := Config{Addrs: []netip.Addr{vip}, VRID: 51, VirtualMAC: true}
			other, own := start(t, b, cfg), start(t, a, cfg)
			other.Claim()
			other.done(OpClaim)

			other.Announce()
			if got := next(t, heard); !slices.Equal(got.MAC, own.Link().HardwareAddr) {
				t.Errorf("a Backup heard of %v", got.MAC)
			}
			own.Claim()
			own.done(OpClaim)
			for len(heard) > 0 {
				<-heard
			}
			other.Announce()
			if got := next(t, heard); !slices.Equal(got.MAC, own.Link().HardwareAddr) {
				t.Errorf("an Active heard of %v", got.MAC)
			}
		})
	}
}

func TestMacvlanOfAPredecessorIsAdopted(t *testing.T) {
	_, a, _ := twoNodes(t, "ip")
	first := start(t, a, Config{Addrs: []netip.Addr{vip4}, VRID: 51, VirtualMAC: true})
	first.Claim()
	first.done(OpClaim)
	second := start(t, a, Config{Addrs: []netip.Addr{vip4}, VRID: 51, VirtualMAC: true})
	if first.Link().Index != second.Link().Index {
		t.Errorf("links %d and %d", first.Link().Index, second.Link().Index)
	}
	if isUp(t, a, "vipd51-4") {
		t.Error("adopted as it was, up")
	}
	second.Claim()
	second.done(OpClaim)
	if !isUp(t, a, "vipd51-4") {
		t.Error("not up after a claim")
	}
}

func TestForeignInterfaceIsNotAdopted(t *testing.T) {
	_, a, _ := twoNodes(t, "ip")
	k := keeper(t, a, vrrp.IPv4)
	for _, tt := range []struct{ name, link string }{
		{"another type", "name vipd52-4 type veth peer name x"},
		{"another mode", "link eth0 name vipd52-4 address 00:00:5e:00:01:34 type macvlan mode private"},
		{"another MAC", "link eth0 name vipd52-4 address 00:00:5e:00:01:35 type macvlan mode bridge"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			run(t, a, append([]string{"ip", "link", "add"}, strings.Fields(tt.link)...)...)
			in(t, a, func() error {
				_, err := NewHolder(Config{Interface: eth0(t, a), Addrs: []netip.Addr{vip4}, VRID: 52, VirtualMAC: true, Keeper: k})
				if err == nil || !strings.Contains(err.Error(), "another interface") {
					t.Errorf("took it over: %v", err)
				}
				return nil
			})
			run(t, a, "ip", "link", "del", "vipd52-4") // fails if it was removed
		})
	}
}
