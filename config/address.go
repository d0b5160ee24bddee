package config

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/vipd/vipd/vrrp"
)

func readAddresses(v value, vip *VIP) {
	list := v.strings("192.0.2.100")
	if elements, ok := v.elements(); ok && len(elements) == 0 {
		v.fail("is empty: list at least one address, such as [\"192.0.2.100\"]")
	}
	count := make(map[vrrp.Family]int)
	for _, e := range list {
		a, ok := e.address("192.0.2.100")
		if !ok {
			continue
		}
		if why := UnfitVIP(a); why != "" {
			e.fail("%s is %s, which cannot be a virtual IP: write a free address of the nodes' subnet", a, why)
			continue
		}
		f := vrrp.FamilyOf(a)
		if count[f]++; count[f] == vrrp.MaxAddresses+1 {
			e.fail("the %dth %s address: move it to another [[vip]], an advertisement holds %d", count[f], f, vrrp.MaxAddresses)
		}
		vip.Addresses = append(vip.Addresses, a)
	}
}

func readPeers(v value, vip *VIP) {
	for _, e := range v.strings("192.0.2.11") {
		a, ok := e.address("192.0.2.11")
		if !ok {
			continue
		}
		if why := UnfitHost(a); why != "" {
			e.fail("%s is %s, not a node: write the address of each node, or remove peers to use multicast", a, why)
			continue
		}
		if slices.Contains(vip.Peers, a) {
			e.fail("%s is listed twice: remove one", a)
			continue
		}
		vip.Peers = append(vip.Peers, a)
	}
}

// address reads a string as a bare IP address.
func (v value) address(example string) (netip.Addr, bool) {
	s := v.data.(string)
	a, err := netip.ParseAddr(s)
	switch {
	case err == nil && a.Is4In6():
		v.fail("%s is an IPv4 address written as IPv6: write %q", s, a.Unmap())
	case err == nil && a.Zone() != "":
		v.fail("%q names a zone: write %q and set interface", s, a.WithZone(""))
	case err == nil:
		return a, true
	case isPrefix(s):
		bare, length, _ := strings.Cut(s, "/")
		v.fail("%s has a prefix length: write %q without /%s", s, bare, length)
	default:
		v.fail("%q is not an IP address: write one such as %q", s, example)
	}
	return netip.Addr{}, false
}

func isPrefix(s string) bool {
	_, err := netip.ParsePrefix(s)
	return err == nil
}

// UnfitVIP says why a cannot be a virtual address; "" if it can.
func UnfitVIP(a netip.Addr) string {
	if a.Is4() && a.IsLinkLocalUnicast() {
		return "a link-local address"
	}
	return UnfitHost(a)
}

// UnfitHost says why a cannot be a host on the network; "" if it can.
func UnfitHost(a netip.Addr) string {
	first := a.AsSlice()[0]
	switch {
	case a.IsUnspecified():
		return "the unspecified address"
	case a.IsLoopback():
		return "a loopback address"
	case a.IsMulticast():
		return "a multicast address"
	case a.Is4() && (first == 0 || first >= 240):
		return "a reserved address"
	}
	return ""
}

// checkNames refuses a name that is used twice: reload and status tell VIPs
// apart by it.
func checkNames(vips []placedVIP) {
	for i, v := range vips {
		for _, other := range vips[:i] {
			if v.Name != "" && v.Name == other.Name {
				v.table.failKey("name", "%q is the name of the [[vip]] on line %d too: choose another", v.Name, other.table.place.line)
				break
			}
		}
	}
}

// checkAddresses refuses an address that is listed twice.
func checkAddresses(vips []placedVIP) {
	seen := make(map[netip.Addr]bool)
	for _, v := range vips {
		list, _ := v.table.entry("addresses")
		elements, _ := list.elements()
		for _, e := range elements {
			s, _ := e.data.(string)
			a, err := netip.ParseAddr(s)
			if err != nil || !slices.Contains(v.Addresses, a) {
				continue
			}
			if seen[a] {
				e.fail("%s is listed twice: remove one", a)
			}
			seen[a] = true
		}
	}
}

// checkRouters refuses two virtual routers that the network could not tell apart.
func checkRouters(vips []placedVIP) {
	for i, v := range vips {
		for _, other := range vips[:i] {
			f, both := common(v.VIP, other.VIP)
			if v.VRID == 0 || v.VRID != other.VRID || !both {
				continue
			}
			switch {
			case v.Interface == other.Interface && v.Interface != "":
				v.table.failKey("vrid", "%d is used for %s on %s by %s too: choose another for one of them",
					v.VRID, f, v.Interface, describe(other))
			case v.Interface == "" || other.Interface == "":
				v.table.failKey("vrid", "%d is used for %s by %s too, perhaps on the same interface, which is found only later: choose another, or name the interface of both",
					v.VRID, f, describe(other))
			}
		}
	}
}

func describe(v placedVIP) string {
	if v.Name == "" {
		return "another [[vip]]"
	}
	return "\"" + v.Name + "\""
}

// common returns a family that both have addresses of.
func common(a, b VIP) (vrrp.Family, bool) {
	for _, f := range a.Families() {
		if b.has(f) {
			return f, true
		}
	}
	return 0, false
}

// checkPeers refuses peers that could never be heard.
func checkPeers(vips []placedVIP) {
	owner := make(map[netip.Addr]string)
	for _, v := range vips {
		for _, a := range v.Addresses {
			owner[a] = describe(v)
		}
	}
	for _, v := range vips {
		list, _ := v.table.entry("peers")
		elements, _ := list.elements()
		for _, e := range elements {
			s, _ := e.data.(string)
			a, err := netip.ParseAddr(s)
			if err != nil || !slices.Contains(v.Peers, a) {
				continue
			}
			if name, ok := owner[a]; ok {
				e.fail("%s is an address of %s: write the nodes' own addresses", a, name)
				continue
			}
			if f := vrrp.FamilyOf(a); len(v.Addresses) > 0 && !v.has(f) {
				e.fail("%s is %s, but no %s address is in addresses: remove it, or add one", a, f, f)
			}
		}
	}
}
