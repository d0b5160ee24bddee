package vip

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/vipd/vipd/vrrp"
)

// assigned is an address on an interface.
type assigned struct {
	netip.Prefix
	index int // of the interface
	flags int // IFA_F_*
	scope int // RT_SCOPE_*
}

// serviceTimeout bounds the wait for the kernel after an address was added. It
// must leave time for renewals.
const serviceTimeout = Lease / 4

const notUsable = unix.IFA_F_TENTATIVE | unix.IFA_F_DADFAILED

// Held returns those of addrs that are on the interface now, in the kernel's order.
func Held(ifi *net.Interface, addrs []netip.Addr) ([]netip.Addr, error) {
	all, err := listAll()
	if err != nil {
		return nil, err
	}
	return among(all, ifi.Index, addrs), nil
}

// Primary returns the source address for multicast advertisements on the interface:
// its first global IPv4 address, or its IPv6 link-local one once that is usable (RFC
// 9568, sections 5.1.1.1 and 5.1.2.1). Addresses in not are virtual and passed over.
// The error is ErrNoOwnAddress while there is none.
func Primary(ifi *net.Interface, f vrrp.Family, not []netip.Addr) (netip.Addr, error) {
	if f == vrrp.IPv4 {
		return GlobalPrimary(ifi, f, not)
	}
	all, err := listAll()
	if err != nil {
		return netip.Addr{}, err
	}
	return linkLocal(all, ifi, not)
}

// GlobalPrimary returns the source address for advertisements to unicast peers that
// are global addresses themselves: the interface's own global address that was put
// there first, and lasts (a temporary one of RFC 8981 does not). Addresses in not
// are virtual and passed over. The error is ErrNoOwnAddress while there is none.
func GlobalPrimary(ifi *net.Interface, f vrrp.Family, not []netip.Addr) (netip.Addr, error) {
	all, err := listAll()
	if err != nil {
		return netip.Addr{}, err
	}
	return first(all, ifi, f, fmt.Sprintf("global %v", f), func(a assigned) bool {
		return a.own(not) && (f == vrrp.IPv4 || a.flags&unix.IFA_F_TEMPORARY == 0)
	})
}

func linkLocal(all []assigned, ifi *net.Interface, not []netip.Addr) (netip.Addr, error) {
	return first(all, ifi, vrrp.IPv6, "usable IPv6 link-local", func(a assigned) bool {
		return a.Addr().IsLinkLocalUnicast() && a.flags&notUsable == 0 && !slices.Contains(not, a.Addr())
	})
}

// first returns the address that was put on the interface first among those that
// will do. It reorders all.
func first(all []assigned, ifi *net.Interface, f vrrp.Family, kind string, will func(assigned) bool) (netip.Addr, error) {
	if f == vrrp.IPv6 {
		slices.Reverse(all) // the kernel lists the newest first
	}
	for _, a := range all {
		if a.index == ifi.Index && vrrp.FamilyOf(a.Addr()) == f && will(a) {
			return a.Addr(), nil
		}
	}
	return netip.Addr{}, fmt.Errorf("waiting for a %s address on %s: %w", kind, ifi.Name, ErrNoOwnAddress)
}

// InterfaceFor returns the interface whose subnet holds addr, the longest prefix
// winning. When none or more than one does, the error lists the candidates.
func InterfaceFor(addr netip.Addr) (*net.Interface, error) {
	all, err := listAll()
	if err != nil {
		return nil, err
	}
	var best, others []assigned
	for _, a := range all {
		switch {
		case a.IsSingleIP() || vrrp.FamilyOf(a.Addr()) != vrrp.FamilyOf(addr) || a.Addr().IsLoopback():
		case !a.Contains(addr):
			others = append(others, a)
		case len(best) == 0 || a.Bits() > best[0].Bits():
			best = []assigned{a}
		case a.Bits() == best[0].Bits() && a.index != best[0].index:
			best = append(best, a)
		}
	}
	switch len(best) {
	case 0:
		return nil, fmt.Errorf("no interface has a subnet that holds %v (there are: %s)", addr, describe(others))
	case 1:
		ifi, err := net.InterfaceByIndex(best[0].index)
		if err != nil {
			return nil, fmt.Errorf("look up the interface of %v: %w", best[0].Prefix, err)
		}
		return ifi, nil
	}
	return nil, fmt.Errorf("more than one interface has a subnet that holds %v: %s; name the one to use", addr, describe(best))
}

// Remove takes addrs off whatever interfaces they are on, after destroying the
// connections through them, and removes the macvlans of vipd. It returns what it
// removed, for the log. An address with a subnet is not vipd's: it is left alone
// and reported as an error.
func Remove(addrs []netip.Addr) (removed []string, err error) {
	r, err := newRtnl()
	if err != nil {
		return nil, err
	}
	defer r.close()
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open netlink: %w", err)
	}
	defer h.Close()
	all, err := r.list(0)
	if err != nil {
		return nil, err
	}
	var errs []error
	var ours []assigned
	var going []netip.Addr
	for _, a := range all {
		if !slices.Contains(addrs, a.Addr()) {
			continue
		}
		if !a.IsSingleIP() {
			errs = append(errs, fmt.Errorf("%s is left: it has a subnet, so it was not put there by vipd", describe([]assigned{a})))
			continue
		}
		ours, going = append(ours, a), append(going, a.Addr())
	}
	// All at once: the kernel lists every connection of the host for it.
	if err := destroyOnce(going); err != nil {
		errs = append(errs, fmt.Errorf("%w: %w", ErrConnectionsLeft, err))
	}
	for _, a := range ours {
		if err := r.remove(a); err != nil {
			errs = append(errs, err)
			continue
		}
		removed = append(removed, describe([]assigned{a}))
	}
	links, err := removeMacvlans(h)
	return append(removed, links...), errors.Join(append(errs, err)...)
}

func listAll() ([]assigned, error) {
	r, err := newRtnl()
	if err != nil {
		return nil, err
	}
	defer r.close()
	return r.list(0)
}

// among returns those of addrs that are on the interface of that index.
func among(all []assigned, index int, addrs []netip.Addr) []netip.Addr {
	var out []netip.Addr
	for _, a := range all {
		if a.index == index && slices.Contains(addrs, a.Addr()) {
			out = append(out, a.Addr())
		}
	}
	return out
}

func describe(list []assigned) string {
	var out []string
	for _, a := range list {
		out = append(out, fmt.Sprintf("%v on %s", a.Prefix, a.interfaceName()))
	}
	return strings.Join(out, ", ")
}

// interfaceName is for people: of an interface that is gone it is the number.
func (a assigned) interfaceName() string {
	ifi, err := net.InterfaceByIndex(a.index)
	if err != nil {
		return fmt.Sprintf("interface %d", a.index)
	}
	return ifi.Name
}

// own tells whether a is a usable global address of the node's own. Virtual
// addresses are deprecated from the start, those of other routers too.
func (a assigned) own(virtual []netip.Addr) bool {
	return a.scope == unix.RT_SCOPE_UNIVERSE && a.flags&(notUsable|unix.IFA_F_DEPRECATED) == 0 &&
		!slices.Contains(virtual, a.Addr())
}

// single is addr as vipd assigns it: alone, for an address with a subnet takes
// the node's own addresses with it when it expires, and gives the kernel a
// reason to choose it as a source.
func single(addr netip.Addr, index int) assigned {
	return assigned{Prefix: netip.PrefixFrom(addr, addr.BitLen()), index: index, scope: unix.RT_SCOPE_UNIVERSE}
}

// leased is single without duplicate address detection, which would leave the
// address unusable for ever where two nodes held it for a moment.
func leased(addr netip.Addr, index int) assigned {
	a := single(addr, index)
	if addr.Is6() {
		a.flags = unix.IFA_F_NODAD | unix.IFA_F_NOPREFIXROUTE
	}
	return a
}

// awaitService waits until the kernel takes packets for addrs. For IPv6 that is
// not when the address is there but when a worker has joined its solicited-node
// group and then added its local route, and it says so to subscribers alone; who
// asks earlier gets no answer, and asks again a second later.
func awaitService(h *netlink.Handle, addrs []netip.Addr, deadline time.Time) error {
	for _, a := range addrs {
		for a.Is6() {
			routes, err := h.RouteGet(a.AsSlice())
			if err == nil && len(routes) > 0 && routes[0].Type == unix.RTN_LOCAL {
				break
			}
			if time.Now().After(deadline) {
				return fmt.Errorf("%v is on the interface, but the kernel does not serve it yet", a)
			}
			time.Sleep(time.Millisecond)
		}
	}
	return nil
}
