package agent

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vipd/vipd/bgp"
	"github.com/vipd/vipd/config"
	"github.com/vipd/vipd/vrrp"
)

// routerID returns the router id of the node: an address that no other node has. before is
// what it was, which would end the sessions if it changed.
func routerID(b *config.BGP, virtual []netip.Addr, before netip.Addr) (netip.Addr, error) {
	if b.RouterID.IsValid() {
		return b.RouterID, nil
	}
	own, err := ownIPv4()
	if err != nil {
		return netip.Addr{}, fmt.Errorf("look for a router id: %w", err)
	}
	var ways []netip.Addr
	for _, p := range b.Peers {
		ways = append(ways, sourceOf(p, virtual), sourceTo(p.Address))
	}
	ways = append(ways, sourceTo(beyond))
	return chooseID(before, ways, own, virtual)
}

// sourceOf returns the address that a peer is to be connected to from; zero if it does not matter.
func sourceOf(p config.BGPPeer, virtual []netip.Addr) netip.Addr {
	if p.SourceInterface == "" {
		return p.Source
	}
	a, err := bgp.AddressOn(p.SourceInterface, p.Address, virtual)
	if err != nil {
		return netip.Addr{} // the session's problem says so
	}
	return a
}

// chooseID prefers what the id was since the boot, though its interface may be down now, then
// an address that leads somewhere: a bridge for containers has the same one on every node.
func chooseID(before netip.Addr, ways, own, virtual []netip.Addr) (netip.Addr, error) {
	if before.IsValid() && !slices.Contains(virtual, before) {
		return before, nil
	}
	for _, a := range slices.Concat(ways, own) {
		if slices.Contains(own, a) && !slices.Contains(virtual, a) {
			return a, nil
		}
	}
	return netip.Addr{}, errors.New("this node has no IPv4 address that could be its router id: set router_id in [bgp]")
}

// ownIPv4 returns the addresses on interfaces that are up.
func ownIPv4() ([]netip.Addr, error) {
	links, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	var own []netip.Addr
	for _, l := range links {
		list, err := l.Addrs()
		if err != nil || l.Flags&net.FlagUp == 0 || l.Flags&net.FlagRunning == 0 || l.Flags&net.FlagLoopback != 0 {
			continue
		}
		for _, x := range list {
			p, err := netip.ParsePrefix(x.String())
			if err == nil && p.Addr().Is4() && p.Addr().IsGlobalUnicast() {
				own = append(own, p.Addr())
			}
		}
	}
	return own, nil
}

// beyond is an address that only the default route leads to (RFC 5737).
var beyond = netip.AddrFrom4([4]byte{192, 0, 2, 1})

// sourceTo returns the address that the kernel would speak to an IPv4 address from; zero if
// there is no way. Nothing is sent.
func sourceTo(a netip.Addr) netip.Addr {
	if vrrp.FamilyOf(a) != vrrp.IPv4 {
		return netip.Addr{}
	}
	c, err := net.Dial("udp4", netip.AddrPortFrom(a, 179).String())
	if err != nil {
		return netip.Addr{}
	}
	defer c.Close()
	local, ok := c.LocalAddr().(*net.UDPAddr)
	if !ok {
		return netip.Addr{}
	}
	return local.AddrPort().Addr().Unmap()
}
