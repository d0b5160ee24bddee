package doctor

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"

	"github.com/vipd/vipd/vip"
)

type hostNetwork struct{}

func (hostNetwork) Links() ([]Link, error) {
	list, err := vip.Dump(netlink.LinkList)
	if err != nil {
		return nil, fmt.Errorf("list the interfaces: %w", err)
	}
	names := make(map[int]netlink.Link)
	for _, l := range list {
		names[l.Attrs().Index] = l
	}
	addrs, err := addresses()
	if err != nil {
		return nil, err
	}
	byDefault, err := defaultLinks()
	if err != nil {
		return nil, err
	}
	var links []Link
	for _, l := range list {
		a := l.Attrs()
		link := Link{
			Index: a.Index, Name: a.Name, Kind: l.Type(), MAC: a.HardwareAddr, MTU: a.MTU,
			Up: a.Flags&net.FlagUp != 0, Carrier: a.RawFlags&carrier != 0, Loopback: a.Flags&net.FlagLoopback != 0,
			Addrs: addrs[a.Index], Default: byDefault[a.Index],
		}
		if link.Kind == "bridge" {
			link.Bridge = a.Name
		} else if m, ok := names[a.MasterIndex]; ok && m.Type() == "bridge" {
			link.Bridge = m.Attrs().Name
		}
		if v, ok := l.(*netlink.Vxlan); ok {
			local, _ := netip.AddrFromSlice(v.SrcAddr)
			link.Local = local.Unmap()
		}
		links = append(links, link)
	}
	return links, nil
}

// carrier is IFF_LOWER_UP of netdevice(7).
const carrier = 1 << 16

// addresses are those of all interfaces, by their index.
func addresses() (map[int][]netip.Prefix, error) {
	list, err := vip.Dump(func() ([]netlink.Addr, error) { return netlink.AddrList(nil, netlink.FAMILY_ALL) })
	if err != nil {
		return nil, fmt.Errorf("list the addresses: %w", err)
	}
	addrs := make(map[int][]netip.Prefix)
	for _, a := range list {
		ip, ok := netip.AddrFromSlice(a.IP)
		if !ok {
			continue
		}
		bits, _ := a.Mask.Size()
		addrs[a.LinkIndex] = append(addrs[a.LinkIndex], netip.PrefixFrom(ip.Unmap(), bits))
	}
	return addrs, nil
}

// defaultLinks are the interfaces that IPv4 default routes lead through.
func defaultLinks() (map[int]bool, error) {
	routes, err := vip.Dump(func() ([]netlink.Route, error) { return netlink.RouteList(nil, netlink.FAMILY_V4) })
	if err != nil {
		return nil, fmt.Errorf("list the routes: %w", err)
	}
	through := make(map[int]bool)
	for _, r := range routes {
		if r.Dst != nil {
			if ones, _ := r.Dst.Mask.Size(); ones > 0 {
				continue
			}
		}
		through[r.LinkIndex] = true
		for _, hop := range r.MultiPath {
			through[hop.LinkIndex] = true
		}
	}
	return through, nil
}
