package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink"
)

// chooseNodeIP returns the address that K3s takes for the node's own when --node-ip
// does not say: the first global IPv4 address, in the kernel's order, of the
// interface with the default route. With --flannel-iface it must be the only one.
func chooseNodeIP(flannelIface string) (netip.Addr, error) {
	if flannelIface == "" {
		link, err := defaultInterface()
		if err != nil {
			return netip.Addr{}, err
		}
		addrs, err := globalAddresses(link)
		if err != nil {
			return netip.Addr{}, err
		}
		return addrs[0], nil
	}
	link, err := netlink.LinkByName(flannelIface)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("find %s: %w", flannelIface, err)
	}
	addrs, err := globalAddresses(link)
	if err != nil {
		return netip.Addr{}, err
	}
	if len(addrs) > 1 {
		return netip.Addr{}, fmt.Errorf("%s has several global addresses: name one of %v", flannelIface, addrs)
	}
	return addrs[0], nil
}

func defaultInterface() (netlink.Link, error) {
	routes, err := netlink.RouteList(nil, netlink.FAMILY_V4)
	if err != nil {
		return nil, fmt.Errorf("list routes: %w", err)
	}
	for _, r := range routes {
		if r.Dst != nil && !r.Dst.IP.IsUnspecified() {
			continue
		}
		return netlink.LinkByIndex(r.LinkIndex)
	}
	return nil, errors.New("choose the node's address: no default route")
}

// globalAddresses returns at least one address, or an error.
func globalAddresses(link netlink.Link) ([]netip.Addr, error) {
	name := link.Attrs().Name
	list, err := netlink.AddrList(link, netlink.FAMILY_V4)
	if err != nil {
		return nil, fmt.Errorf("list the addresses of %s: %w", name, err)
	}
	var out []netip.Addr
	for _, a := range list {
		if ip, ok := netip.AddrFromSlice(a.IP.To4()); ok && ip.IsGlobalUnicast() {
			out = append(out, ip)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s has no global address", name)
	}
	return out, nil
}

// settleNodeIP fills in the node's address where no flag has it, and writes it down
// where a flag asks for that.
func (o *serveOptions) settleNodeIP() error {
	if o.nodeIPFile == "" {
		return nil
	}
	if len(o.nodeIP) == 0 {
		ip, err := chooseNodeIP(o.flannelIface)
		if err != nil {
			return err
		}
		fmt.Fprintf(os.Stderr, "standin: no --node-ip: the node's address is %v\n", ip)
		o.nodeIP = []string{ip.String()}
	}
	if err := os.WriteFile(o.nodeIPFile, []byte(o.nodeIP[0]+"\n"), 0o644); err != nil {
		return fmt.Errorf("write down the node's address: %w", err)
	}
	return nil
}
