package vip

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"regexp"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/vipd/vipd/vrrp"
)

// macvlan is the interface that carries the virtual router MAC address (RFC 9568,
// section 7.3) beside the parent's own.
//
// It is up only while the addresses are claimed: a Backup must discard what is
// sent to the virtual MAC (RFC 9568, section 6.4.2), and one that forwards would
// pass it on a second time. While it is down the kernel does not know of it. While
// it is up, only the mode bridge has the parent hear the multicast of other routers
// with the same MAC, which are advertisements above all; in the others the macvlan
// takes it alone, as an echo of its own.
type macvlan struct {
	nl     *netlink.Handle
	rt     *rtnl
	link   *netlink.Macvlan
	ifi    *net.Interface
	parent *net.Interface
	f      vrrp.Family
}

var macvlanName = regexp.MustCompile(`^vipd[0-9]{1,3}-[46]$`)

func newMacvlan(h *netlink.Handle, r *rtnl, parent *net.Interface, f vrrp.Family, vrid uint8) (*macvlan, error) {
	mac := vrrp.VirtualMAC(f, vrid)
	want := &netlink.Macvlan{
		LinkAttrs: netlink.LinkAttrs{
			Name:         fmt.Sprintf("vipd%d-%d", vrid, f),
			ParentIndex:  parent.Index,
			HardwareAddr: mac[:],
			MTU:          parent.MTU,
			TxQLen:       -1,
		},
		Mode: netlink.MACVLAN_MODE_BRIDGE,
	}
	m := &macvlan{nl: h, rt: r, parent: parent, f: f}
	if err := m.adopt(want); err != nil {
		return nil, err
	}
	if err := errors.Join(m.down(), m.configure()); err != nil {
		return nil, errors.Join(err, m.close())
	}
	return m, nil
}

// adopt makes the link, or takes the one that a predecessor left.
func (m *macvlan) adopt(want *netlink.Macvlan) error {
	err := m.nl.LinkAdd(want)
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("add macvlan %s with the virtual MAC: %w", want.Name, err)
	}
	link, err := m.nl.LinkByName(want.Name)
	if err != nil {
		return fmt.Errorf("find macvlan %s: %w", want.Name, err)
	}
	is, ok := link.(*netlink.Macvlan)
	if !ok || is.ParentIndex != want.ParentIndex || is.Mode != want.Mode || !bytes.Equal(is.HardwareAddr, want.HardwareAddr) {
		return fmt.Errorf("there is another interface named %s: remove it", want.Name)
	}
	m.link = is
	m.ifi = &net.Interface{Index: is.Index, Name: is.Name, MTU: is.MTU, HardwareAddr: is.HardwareAddr, Flags: is.Flags}
	return nil
}

// configure makes the settings that have to be there before the link is up for the
// first time, or it would make itself an address and speak.
func (m *macvlan) configure() error {
	settings := []sysctl{
		{"ipv4", m.ifi.Name, "arp_ignore", 1}, // or it would answer for the parent's addresses too
		{"ipv4", m.ifi.Name, "accept_local", 1},
		{"ipv4", m.ifi.Name, "rp_filter", 0}, // the way back is through the parent
		{"ipv4", m.ifi.Name, "promote_secondaries", 1},
		{"ipv4", m.parent.Name, "arp_ignore", 1}, // or the parent would answer for the virtual addresses
		{"ipv4", m.parent.Name, "arp_filter", 1},
		{"ipv4", m.parent.Name, "arp_announce", 2}, // or its questions would name them as the sender
	}
	if m.f == vrrp.IPv6 {
		settings = append(settings, sysctl{"ipv6", m.ifi.Name, "addr_gen_mode", 1}, sysctl{"ipv6", m.ifi.Name, "accept_ra", 0})
	} else if _, err := readSysctl(sysctlPath("ipv6", m.ifi.Name, "disable_ipv6")); err == nil {
		settings = append(settings, sysctl{"ipv6", m.ifi.Name, "disable_ipv6", 1})
	}
	relax, err := relaxed(m.ifi.Name)
	if err := errors.Join(err, set(append(settings, relax...))); err != nil {
		return fmt.Errorf("configure macvlan %s: %w", m.ifi.Name, err)
	}
	return nil
}

func (m *macvlan) up() error {
	if err := m.nl.LinkSetUp(m.link); err != nil {
		return fmt.Errorf("set macvlan %s up: %w", m.ifi.Name, err)
	}
	if m.f == vrrp.IPv6 {
		return m.copyLinkLocal() // each time: the kernel drops it when the link goes down
	}
	return nil
}

// down makes the link deaf and mute. Its IPv6 addresses are gone then.
func (m *macvlan) down() error {
	err := m.nl.LinkSetDown(m.link)
	if err == nil || errors.Is(err, unix.ENODEV) {
		return nil
	}
	return fmt.Errorf("set macvlan %s down: %w", m.ifi.Name, err)
}

// copyLinkLocal gives the macvlan the parent's link-local address, which is the
// source of advertisements (RFC 9568, section 5.1.2.1).
func (m *macvlan) copyLinkLocal() error {
	all, err := m.rt.list(vrrp.IPv6)
	if err != nil {
		return err
	}
	addr, err := linkLocal(all, m.parent, nil)
	if err != nil {
		return err
	}
	a := assigned{Prefix: netip.PrefixFrom(addr, 64), index: m.ifi.Index, flags: unix.IFA_F_NODAD, scope: unix.RT_SCOPE_LINK}
	if err := m.rt.keep(a); err != nil {
		return fmt.Errorf("copy %v from %s: %w", addr, m.parent.Name, err)
	}
	return nil
}

func (m *macvlan) close() error {
	err := m.nl.LinkDel(m.link)
	if err == nil || errors.Is(err, unix.ENODEV) {
		return nil
	}
	return fmt.Errorf("remove macvlan %s: %w", m.ifi.Name, err)
}

// removeMacvlans removes the macvlans that a dead vipd left.
func removeMacvlans(h *netlink.Handle) (removed []string, err error) {
	links, err := Dump(h.LinkList)
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	var errs []error
	for _, l := range links {
		if l.Type() != "macvlan" || !macvlanName.MatchString(l.Attrs().Name) {
			continue
		}
		if err := h.LinkDel(l); err != nil {
			errs = append(errs, fmt.Errorf("remove macvlan %s: %w", l.Attrs().Name, err))
			continue
		}
		removed = append(removed, "macvlan "+l.Attrs().Name)
	}
	return removed, errors.Join(errs...)
}
