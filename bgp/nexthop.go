package bgp

import (
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vipd/vipd/vrrp"
)

// nextHops returns the next hop of routes of a family: what is configured, or this end
// of the session, or an address of the other family on the same interface.
func (t *talk) nextHops(f vrrp.Family, avoid []netip.Addr) ([]netip.Addr, error) {
	fixed := t.p.Policy.NextHop4
	if f == vrrp.IPv6 {
		fixed = t.p.Policy.NextHop6
	}
	if fixed.IsValid() {
		return []netip.Addr{fixed}, nil
	}
	local := t.local()
	if !local.IsValid() {
		return nil, fmt.Errorf("this end of the session has no address")
	}
	switch {
	case local.IsLinkLocalUnicast() && local.Is6() && f == vrrp.IPv6:
		return []netip.Addr{netip.IPv6Unspecified(), local.WithZone("")}, nil
	case vrrp.FamilyOf(local) == f, f == vrrp.IPv4 && t.extended:
		return []netip.Addr{local.WithZone("")}, nil
	}
	other, err := beside(local, f, avoid)
	if err != nil {
		return nil, fmt.Errorf("no next hop for %v routes: %w", f, err)
	}
	return []netip.Addr{other}, nil
}

// beside returns an address of a family on the interface that has local.
func beside(local netip.Addr, f vrrp.Family, avoid []netip.Addr) (netip.Addr, error) {
	links, err := net.Interfaces()
	if err != nil {
		return netip.Addr{}, err
	}
	for _, l := range links {
		addrs, err := addressesOf(&l)
		if err != nil || !slices.Contains(addrs, local.WithZone("")) {
			continue // or it has gone
		}
		if a := global(addrs, f, avoid); a.IsValid() {
			return a, nil
		}
		return netip.Addr{}, fmt.Errorf("%s has no global %v address: set next_hop_ipv4 or next_hop_ipv6 of the peer, or use a session of that family", l.Name, f)
	}
	return netip.Addr{}, fmt.Errorf("no interface has %v, this end of the session", local)
}

// AddressOn returns the address on an interface to speak to a peer from: of its family, and
// link-local as it is, but none of those to avoid.
func AddressOn(name string, peer netip.Addr, avoid []netip.Addr) (netip.Addr, error) {
	l, err := net.InterfaceByName(name)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("there is no interface %s: correct source", name)
	}
	addrs, err := addressesOf(l)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("read the addresses of %s: %w", name, err)
	}
	if peer.Is6() && peer.IsLinkLocalUnicast() {
		i := slices.IndexFunc(addrs, func(a netip.Addr) bool { return a.Is6() && a.IsLinkLocalUnicast() })
		if i < 0 {
			return netip.Addr{}, fmt.Errorf("%s has no link-local address: is IPv6 off there?", name)
		}
		return addrs[i].WithZone(name), nil
	}
	f := vrrp.FamilyOf(peer)
	a := global(addrs, f, avoid)
	if !a.IsValid() {
		return netip.Addr{}, fmt.Errorf("%s has no %v address of this node's own: give it one, or correct source", name, f)
	}
	return a, nil
}

func addressesOf(l *net.Interface) ([]netip.Addr, error) {
	list, err := l.Addrs()
	if err != nil {
		return nil, err
	}
	var addrs []netip.Addr
	for _, a := range list {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			addrs = append(addrs, p.Addr())
		}
	}
	return addrs, nil
}

// global returns the first of a family that the world can know; zero if there is none.
func global(addrs []netip.Addr, f vrrp.Family, avoid []netip.Addr) netip.Addr {
	for _, a := range addrs {
		if vrrp.FamilyOf(a) == f && a.IsGlobalUnicast() && !slices.Contains(avoid, a) {
			return a
		}
	}
	return netip.Addr{}
}
