package vip

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// Watcher tells of what happens to the links and addresses of a network
// namespace. It remembers what it has told, so that the renewal of an address, which
// the kernel announces each time, is no news.
type Watcher struct {
	report func(Change)
	nl     *netlink.Handle
	rt     *rtnl
	socket *nl.NetlinkSocket
	known  state
}

// Change is one thing that happened.
type Change struct {
	Kind  ChangeKind
	Index int        // of the link
	Name  string     // of the link; empty for addresses
	MTU   int        // of the link
	Addr  netip.Addr // AddrAdded, AddrRemoved
}

// ChangeKind says what happened.
type ChangeKind uint8

// The kinds of change.
const (
	LinkUp      ChangeKind = iota // it can carry frames: administratively up, and the carrier is there
	LinkDown                      // it cannot
	LinkNew                       // it appeared or was renamed; LinkUp follows when it is up
	LinkGone                      // it was removed
	MTUChanged                    // its MTU changed
	MACChanged                    // its hardware address changed
	AddrAdded                     // an address is there and usable (IPv6: no longer tentative)
	AddrRemoved                   // an address is gone
	Resync                        // changes were lost: look at everything again
)

var changeNames = [...]string{"link up", "link down", "link new", "link gone", "mtu changed", "mac changed", "address added", "address removed", "resync"}

func (k ChangeKind) String() string { return changeNames[k] }

// NewWatcher subscribes. What is there already is not reported. report is called
// from Run and must not block.
func NewWatcher(report func(Change)) (*Watcher, error) {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open netlink: %w", err)
	}
	r, err := newRtnl()
	if err != nil {
		h.Close()
		return nil, err
	}
	s, err := nl.Subscribe(unix.NETLINK_ROUTE, unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR)
	if err != nil {
		h.Close()
		return nil, errors.Join(fmt.Errorf("subscribe to links and addresses: %w", err), r.close())
	}
	w := &Watcher{report: report, nl: h, rt: r, socket: s}
	if err := w.filter(); err != nil {
		w.close()
		return nil, err
	}
	if w.known, err = look(h, r); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

func (w *Watcher) filter() error {
	code, err := bpf.Assemble(exceptRenewals())
	if err != nil {
		return fmt.Errorf("assemble filter: %w", err)
	}
	filters := make([]unix.SockFilter, len(code))
	for i, c := range code {
		filters[i] = unix.SockFilter{Code: c.Op, Jt: c.Jt, Jf: c.Jf, K: c.K}
	}
	prog := unix.SockFprog{Len: uint16(len(filters)), Filter: &filters[0]}
	if err := unix.SetsockoptSockFprog(w.socket.GetFd(), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &prog); err != nil {
		return fmt.Errorf("attach the filter of links and addresses: %w", err)
	}
	return nil
}

func (w *Watcher) close() {
	w.socket.Close()
	w.nl.Close()
	_ = w.rt.close()
}

// Run reports until ctx ends, then closes the sockets and returns nil.
func (w *Watcher) Run(ctx context.Context) error {
	defer w.close()
	stop := context.AfterFunc(ctx, w.socket.Close)
	defer stop()
	for {
		msgs, from, err := w.socket.Receive()
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, unix.ENOBUFS):
			if err := w.resync(); err != nil {
				return err
			}
		case err != nil:
			return fmt.Errorf("watch links and addresses: %w", err)
		case from.Pid == nl.PidKernel:
			for _, m := range msgs {
				w.tell(unix.NlMsghdr(m.Header), m.Data)
			}
		}
	}
}

func (w *Watcher) resync() (err error) {
	if w.known, err = look(w.nl, w.rt); err != nil {
		return err
	}
	w.report(Change{Kind: Resync})
	return nil
}

func (w *Watcher) tell(hdr unix.NlMsghdr, data []byte) {
	switch hdr.Type {
	case unix.RTM_NEWLINK, unix.RTM_DELLINK:
		if len(data) < unix.SizeofIfInfomsg || data[0] != unix.AF_UNSPEC {
			return // a bridge's word on its ports
		}
		link, err := netlink.LinkDeserialize(&hdr, data)
		if err != nil {
			return
		}
		w.each(w.known.link(stateOf(link.Attrs()), hdr.Type == unix.RTM_DELLINK))
	case unix.RTM_NEWADDR:
		if at, usable, ok := parseAddress(data); ok {
			w.each(w.known.address(at, usable))
		}
	case unix.RTM_DELADDR:
		if at, _, ok := parseAddress(data); ok {
			w.each(w.known.removed(at))
		}
	}
}

func (w *Watcher) each(changes []Change) {
	for _, c := range changes {
		w.report(c)
	}
}

// state is what a Watcher knows.
type state struct {
	links map[int]linkState
	addrs map[place]bool
}

type linkState struct {
	index, mtu int
	name, mac  string
	up         bool
}

type place struct {
	index int
	addr  netip.Addr
}

func look(h *netlink.Handle, r *rtnl) (state, error) {
	s := state{links: map[int]linkState{}, addrs: map[place]bool{}}
	links, err := Dump(h.LinkList)
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) { // an old kernel may have passed one over, nothing more
		return s, fmt.Errorf("list links: %w", err)
	}
	for _, l := range links {
		s.links[l.Attrs().Index] = stateOf(l.Attrs())
	}
	addrs, err := r.list(0)
	if err != nil {
		return s, err
	}
	for _, a := range addrs {
		if a.flags&notUsable == 0 {
			s.addrs[place{a.index, a.Addr()}] = true
		}
	}
	return s, nil
}

func stateOf(a *netlink.LinkAttrs) linkState {
	const carries = unix.IFF_UP | unix.IFF_RUNNING | unix.IFF_LOWER_UP
	return linkState{index: a.Index, mtu: a.MTU, name: a.Name, mac: a.HardwareAddr.String(), up: a.RawFlags&carries == carries}
}

// link takes note of a link and returns what is new about it.
func (s state) link(now linkState, gone bool) []Change {
	was, known := s.links[now.index]
	at := func(k ChangeKind) Change { return Change{Kind: k, Index: now.index, Name: now.name, MTU: now.mtu} }
	if gone {
		delete(s.links, now.index)
		return []Change{at(LinkGone)}
	}
	s.links[now.index] = now
	var out []Change
	if !known || was.name != now.name {
		out = append(out, at(LinkNew))
	}
	if known && was.mtu != now.mtu {
		out = append(out, at(MTUChanged))
	}
	if known && was.mac != now.mac {
		out = append(out, at(MACChanged))
	}
	if !was.up && now.up {
		out = append(out, at(LinkUp))
	}
	if was.up && !now.up {
		out = append(out, at(LinkDown))
	}
	return out
}

// address takes note of an address and returns what is new about it.
func (s state) address(at place, usable bool) []Change {
	switch was := s.addrs[at]; {
	case usable && !was:
		s.addrs[at] = true
		return []Change{{Kind: AddrAdded, Index: at.index, Addr: at.addr}}
	case was && !usable:
		return s.removed(at)
	}
	return nil
}

// removed takes note that an address is gone. It need not be known: it may have been
// there and gone before anybody could use it.
func (s state) removed(at place) []Change {
	delete(s.addrs, at)
	return []Change{{Kind: AddrRemoved, Index: at.index, Addr: at.addr}}
}

// parseAddress reads an RTM_NEWADDR or RTM_DELADDR message.
func parseAddress(data []byte) (at place, usable, ok bool) {
	if len(data) < unix.SizeofIfAddrmsg {
		return place{}, false, false
	}
	msg := nl.DeserializeIfAddrmsg(data)
	attrs, err := nl.ParseRouteAttrAsMap(data[msg.Len():])
	if err != nil {
		return place{}, false, false
	}
	raw, ok := attrs[unix.IFA_LOCAL]
	if !ok { // IPv6 without a peer
		raw = attrs[unix.IFA_ADDRESS]
	}
	addr, ok := netip.AddrFromSlice(net.IP(raw.Value))
	return place{int(msg.Index), addr}, msg.Flags&notUsable == 0, ok
}
