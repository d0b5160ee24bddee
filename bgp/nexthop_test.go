package bgp

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/vipd/vipd/vrrp"
)

// TestGlobal: neither what only the link or the host knows, nor a virtual address.
func TestGlobal(t *testing.T) {
	var addrs []netip.Addr
	for _, a := range []string{"127.0.0.1", "169.254.0.1", "::1", "fe80::1", "198.51.100.100", "203.0.113.1", "203.0.113.2", "2001:db8::100", "2001:db8:1::1"} {
		addrs = append(addrs, netip.MustParseAddr(a))
	}
	for f, want := range map[vrrp.Family]netip.Addr{vrrp.IPv4: hop4, vrrp.IPv6: hop6} {
		if got := global(addrs, f, []netip.Addr{vip4, vip6}); got != want {
			t.Errorf("%v: %v", f, got)
		}
	}
	if got := global(addrs[:5], vrrp.IPv4, []netip.Addr{vip4}); got.IsValid() {
		t.Errorf("of none: %v", got)
	}
}

func TestAddressOn(t *testing.T) {
	for name, want := range map[string]string{"nosuch0": "there is no interface nosuch0", "lo": "lo has no IPv4 address of this node's own"} {
		if a, err := AddressOn(name, routerAt, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v", name, a, err)
		}
	}
}
