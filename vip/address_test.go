package vip

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/vipd/vipd/test/lab"
	"github.com/vipd/vipd/vrrp"
)

func TestC35LeftoversRemoved(t *testing.T) {
	_, a, b := twoNodes(t, "ip")
	run(t, a, "ip", "addr", "add", "198.51.100.100/32", "dev", "lo")
	run(t, a, "ip", "addr", "add", "2001:db8::100/128", "dev", lab.Interface, "nodad")
	run(t, a, "ip", "link", "add", "link", lab.Interface, "name", "vipd51-4", "type", "macvlan", "mode", "private")
	before := []netip.Addr{netA4.Addr(), netA6.Addr()}
	conn := dial(t, b, netip.AddrPortFrom(vip6, serve(t, a, "tcp")))

	var removed []string
	in(t, a, func() (err error) {
		removed, err = Remove([]netip.Addr{vip4, vip6})
		return err
	})
	want := []string{"198.51.100.100/32 on lo", "2001:db8::100/128 on eth0", "macvlan vipd51-4"}
	if d := cmp.Diff(want, removed); d != "" {
		t.Error(d)
	}
	if got := addrs(t, a); !slices.Equal(got, before) {
		t.Errorf("left %v, want %v", got, before)
	}
	if err := echo(conn); err == nil || !strings.Contains(err.Error(), "reset") {
		t.Errorf("connection through a leftover: %v, want a reset", err)
	}

	t.Run("the node's own address is spared", func(t *testing.T) {
		in(t, a, func() error {
			removed, err := Remove([]netip.Addr{netA4.Addr()})
			if err == nil || len(removed) > 0 {
				t.Errorf("removed %v, %v", removed, err)
			}
			return nil
		})
		if !has(t, a, netA4.Addr()) {
			t.Error("removed the node's own address")
		}
	})
}

// What cannot be taken off is named as an operator knows it.
func TestRemoveMayNot(t *testing.T) {
	_, a, _ := twoNodes(t, "ip")
	run(t, a, "ip", "addr", "add", "198.51.100.100/32", "dev", "lo")
	in(t, a, func() error {
		hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var had, less [2]unix.CapUserData
		if err := unix.Capget(&hdr, &had[0]); err != nil {
			return err
		}
		less = had
		less[0].Effective &^= 1 << unix.CAP_NET_ADMIN
		if err := unix.Capset(&hdr, &less[0]); err != nil {
			return err
		}
		_, err := Remove([]netip.Addr{vip4})
		if err == nil || !strings.Contains(err.Error(), "take 198.51.100.100/32 off lo: operation not permitted") {
			t.Errorf("%v", err)
		}
		return unix.Capset(&hdr, &had[0])
	})
}

func TestInterfaceFor(t *testing.T) {
	_, a, _ := twoNodes(t, "ip")
	run(t, a, "ip", "link", "add", "wide", "type", "veth", "peer", "name", "twin")
	run(t, a, "ip", "addr", "add", "198.51.0.1/16", "dev", "wide")
	run(t, a, "ip", "addr", "add", "203.0.113.1/24", "dev", "wide")
	run(t, a, "ip", "addr", "add", "203.0.113.2/24", "dev", "twin")
	run(t, a, "ip", "addr", "add", "198.51.100.100/32", "dev", "twin")
	for _, tt := range []struct{ name, addr, want, wantErr string }{
		{"longest prefix", "198.51.100.100", "eth0", ""},
		{"shorter", "198.51.7.7", "wide", ""},
		{"IPv6", "2001:db8::100", "eth0", ""},
		{"two", "203.0.113.9", "", "203.0.113.2/24 on twin, 203.0.113.1/24 on wide"},
		{"none", "192.0.2.1", "", "198.51.100.1/24 on eth0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in(t, a, func() error {
				ifi, err := InterfaceFor(netip.MustParseAddr(tt.addr))
				if tt.wantErr != "" {
					if err == nil || !strings.Contains(err.Error(), tt.wantErr) {
						t.Errorf("got %v, want an error with %q", err, tt.wantErr)
					}
					return nil
				}
				if err != nil {
					return err
				}
				if ifi.Name != tt.want {
					t.Errorf("got %s, want %s", ifi.Name, tt.want)
				}
				return nil
			})
		})
	}
}

func TestPrimaryAndHeld(t *testing.T) {
	l := lab.NewTest(t, "ip")
	a := add(t, l, "a")
	primary := func(f vrrp.Family, not ...netip.Addr) (addr netip.Addr, err error) {
		in(t, a, func() error {
			addr, err = Primary(eth0(t, a), f, not)
			return nil
		})
		return addr, err
	}
	if addr, err := primary(vrrp.IPv4); !errors.Is(err, ErrNoOwnAddress) {
		t.Errorf("without an address: %v, %v", addr, err)
	}
	run(t, a, "ip", "addr", "add", vip4.String()+"/32", "dev", lab.Interface)
	if addr, err := primary(vrrp.IPv4, vip4); !errors.Is(err, ErrNoOwnAddress) {
		t.Errorf("with a virtual one only: %v, %v", addr, err)
	}
	run(t, a, "ip", "addr", "add", netA4.String(), "dev", lab.Interface)
	if addr, err := primary(vrrp.IPv4, vip4); err != nil || addr != netA4.Addr() {
		t.Errorf("IPv4: %v, %v", addr, err)
	}
	run(t, a, "ip", "-6", "addr", "flush", "dev", lab.Interface)
	if addr, err := primary(vrrp.IPv6); !errors.Is(err, ErrNoOwnAddress) {
		t.Errorf("without a link-local address: %v, %v", addr, err)
	}
	run(t, a, "ip", "addr", "add", "fe80::1/64", "dev", lab.Interface, "nodad")
	if addr, err := primary(vrrp.IPv6); err != nil || addr.String() != "fe80::1" {
		t.Errorf("IPv6: %v, %v", addr, err)
	}
	run(t, a, "ip", "addr", "add", "fe80::2/64", "dev", lab.Interface, "nodad")
	if addr, err := primary(vrrp.IPv6); err != nil || addr.String() != "fe80::1" {
		t.Errorf("IPv6, another added: %v, %v", addr, err)
	}
	in(t, a, func() error {
		held, err := Held(eth0(t, a), []netip.Addr{vip6, vip4})
		if !slices.Equal(held, []netip.Addr{vip4}) {
			t.Errorf("held: %v", held)
		}
		return err
	})
}

func TestGlobalPrimary(t *testing.T) {
	l := lab.NewTest(t, "ip")
	a := add(t, l, "a", netA4)
	want := func(t *testing.T, f vrrp.Family, want string) {
		t.Helper()
		in(t, a, func() error {
			got, err := GlobalPrimary(eth0(t, a), f, []netip.Addr{vip6})
			switch {
			case want == "" && !errors.Is(err, ErrNoOwnAddress):
				t.Errorf("got %v, %v, want none", got, err)
			case want != "" && (err != nil || got.String() != want):
				t.Errorf("got %v, %v, want %s", got, err, want)
			}
			return nil
		})
	}
	want(t, vrrp.IPv4, netA4.Addr().String())
	for _, tt := range []struct{ name, addr, want string }{
		{"link-local", "fe80::1/64 nodad", ""},
		{"virtual", "2001:db8::100/64 nodad", ""},
		{"deprecated", "2001:db8::3/64 nodad preferred_lft 0", ""},
		{"tentative", "2001:db8::4/64", ""},
		{"own", "2001:db8::1/64 nodad", "2001:db8::1"},
		{"another", "2001:db8::2/64 nodad", "2001:db8::1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			run(t, a, append([]string{"ip", "addr", "add", "dev", lab.Interface}, strings.Fields(tt.addr)...)...)
			want(t, vrrp.IPv6, tt.want)
			if tt.name == "tentative" {
				run(t, a, "ip", "addr", "del", "2001:db8::4/64", "dev", lab.Interface)
			}
		})
	}
}
