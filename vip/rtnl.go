package vip

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/vipd/vipd/vrrp"
)

// rtnl asks the kernel about addresses, and puts and removes them. Many at a time cost
// little more than one, and leave little garbage: renewals never end. It belongs to one
// goroutine.
type rtnl struct {
	fd  int
	seq uint32
	out []byte
	in  []byte
}

const (
	// rtnlBatch bounds the requests handed over at a time, so that a refusal of
	// each has room in the socket's queue.
	rtnlBatch = 64
	// rtnlReply is the most that the kernel packs into one answer.
	rtnlReply = 32 << 10
)

// errInterrupted says that the addresses changed while they were listed.
var errInterrupted = errors.New("the addresses change too fast to be listed")

func newRtnl() (*rtnl, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open netlink: %w", err)
	}
	r := &rtnl{fd: fd, in: make([]byte, rtnlReply)}
	// Connected, nobody but the kernel can write to it.
	if err := unix.Connect(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, errors.Join(fmt.Errorf("connect netlink: %w", err), r.close())
	}
	return r, nil
}

func (r *rtnl) close() error { return unix.Close(r.fd) }

// exceptRenewals is the filter of a socket that is subscribed to addresses. It drops the
// news of an address that was put long ago and only got another lifetime: with many of
// them, to hear of it costs as much as to do it. An IPv6 one that waits for duplicate
// address detection is let through, for it may have become usable since.
func exceptRenewals() []bpf.Instruction {
	const (
		family  = unix.SizeofNlMsghdr // struct ifaddrmsg
		flags   = family + 2
		attrs   = family + unix.SizeofIfAddrmsg
		created = unix.SizeofRtAttr + 8 // struct ifa_cacheinfo
		updated = created + 4
		memory  = 0 // a place to keep it
	)
	newAddr := binary.NativeEndian.AppendUint16(nil, unix.RTM_NEWADDR)
	return []bpf.Instruction{
		bpf.LoadAbsolute{Off: 4, Size: 2}, // struct nlmsghdr: the type
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: uint32(binary.BigEndian.Uint16(newAddr)), SkipTrue: 15},
		bpf.LoadAbsolute{Off: family, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.AF_INET, SkipTrue: 2},
		bpf.LoadAbsolute{Off: flags, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpBitsNotSet, Val: unix.IFA_F_NODAD, SkipTrue: 11},
		bpf.LoadConstant{Dst: bpf.RegX, Val: unix.IFA_CACHEINFO},
		bpf.LoadConstant{Dst: bpf.RegA, Val: attrs},
		bpf.LoadExtension{Num: bpf.ExtNetlinkAttr}, // where it is, or 0
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0, SkipTrue: 7},
		bpf.TAX{},
		bpf.LoadIndirect{Off: created, Size: 4},
		bpf.StoreScratch{Src: bpf.RegA, N: memory},
		bpf.LoadIndirect{Off: updated, Size: 4},
		bpf.LoadScratch{Dst: bpf.RegX, N: memory},
		bpf.JumpIfX{Cond: bpf.JumpEqual, SkipTrue: 1},
		bpf.RetConstant{Val: 0},
		bpf.RetConstant{Val: 1 << 20},
	}
}

// list returns the addresses of a family, or of both (0), interface by interface
// in the kernel's order.
func (r *rtnl) list(f vrrp.Family) ([]assigned, error) { return r.appendList(nil, f) }

// appendList is list in the memory of an empty slice, of which an error leaves nothing.
func (r *rtnl) appendList(there []assigned, f vrrp.Family) (_ []assigned, err error) {
	for range 4 {
		if there, err = r.dump(f, there[:0]); !errors.Is(err, errInterrupted) {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("list addresses: %w", err)
	}
	slices.SortStableFunc(there, func(a, b assigned) int { return a.index - b.index }) // the kernel's order is that of a hash
	return there, nil
}

func (r *rtnl) dump(f vrrp.Family, there []assigned) ([]assigned, error) {
	r.out = r.out[:0]
	at := r.begin(unix.RTM_GETADDR, unix.NLM_F_DUMP)
	r.out = append(r.out, netlinkFamily(f), 0, 0, 0, 0, 0, 0, 0)
	r.end(at)
	var refused error
	interrupted := false
	err := r.ask(r.seq, func(m message) {
		interrupted = interrupted || m.flags&unix.NLM_F_DUMP_INTR != 0
		if m.errno != 0 {
			refused = m.errno
		}
		if a, ok := m.address(); ok {
			there = append(there, a)
		}
	})
	if err == nil && refused == nil && interrupted {
		err = errInterrupted
	}
	return there, errors.Join(err, refused)
}

// put adds each address or renews it, for the time of a Lease. Its preferred
// lifetime is 0: an IPv6 address that is deprecated is not chosen as a source.
// errs is nil if all of them are there, else it has a place for each.
func (r *rtnl) put(addrs []assigned) (errs []error) {
	return r.each(unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_REPLACE, uint32(Lease/time.Second), addrs)
}

// keep adds an address that stays.
func (r *rtnl) keep(a assigned) error {
	return errors.Join(r.each(unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_REPLACE, 0, []assigned{a})...)
}

// remove takes each address off. One that is gone, or whose interface is, is no error.
func (r *rtnl) remove(addrs ...assigned) error {
	errs := r.each(unix.RTM_DELADDR, 0, 0, addrs)
	for i, err := range errs {
		switch {
		case errors.Is(err, unix.EADDRNOTAVAIL), errors.Is(err, unix.ENODEV):
			errs[i] = nil
		case err != nil:
			errs[i] = fmt.Errorf("take %v off %s: %w", addrs[i].Prefix, addrs[i].interfaceName(), err)
		}
	}
	return errors.Join(errs...)
}

// each makes the same request for each address.
func (r *rtnl) each(kind, flags uint16, valid uint32, addrs []assigned) (errs []error) {
	for from := 0; from < len(addrs); from += rtnlBatch {
		part := addrs[from:min(from+rtnlBatch, len(addrs))]
		err := r.some(kind, flags, valid, part, func(i int, err error) {
			if errs == nil {
				errs = make([]error, len(addrs))
			}
			errs[from+i] = err
		})
		if err == nil {
			continue
		}
		if errs == nil {
			errs = make([]error, len(addrs))
		}
		for i := range part {
			errs[from+i] = err
		}
	}
	return errs
}

// some makes as many requests as one system call takes. The kernel carries them out
// before that returns; it answers those that it refuses, and the last.
func (r *rtnl) some(kind, flags uint16, valid uint32, addrs []assigned, failed func(int, error)) error {
	r.out = r.out[:0]
	first := r.seq + 1
	for i, a := range addrs {
		if i == len(addrs)-1 {
			flags |= unix.NLM_F_ACK
		}
		at := r.begin(kind, flags)
		r.out = a.append(r.out, valid)
		r.end(at)
	}
	return r.ask(first, func(m message) {
		if m.errno != 0 {
			failed(int(m.seq-first), m.errno)
		}
	})
}

// begin begins a request and returns where; end completes it.
func (r *rtnl) begin(kind, flags uint16) (at int) {
	r.seq++
	at = len(r.out)
	r.out = binary.NativeEndian.AppendUint32(r.out, 0)
	r.out = binary.NativeEndian.AppendUint16(r.out, kind)
	r.out = binary.NativeEndian.AppendUint16(r.out, flags|unix.NLM_F_REQUEST)
	r.out = binary.NativeEndian.AppendUint32(r.out, r.seq)
	r.out = binary.NativeEndian.AppendUint32(r.out, 0)
	return at
}

func (r *rtnl) end(at int) { binary.NativeEndian.PutUint32(r.out[at:], uint32(len(r.out)-at)) }

// ask sends the requests, of which first is the number of the first, and hands f the
// answers to them.
func (r *rtnl) ask(first uint32, f func(message)) error {
	if _, err := unix.Write(r.fd, r.out); err != nil {
		return fmt.Errorf("write to netlink: %w", err)
	}
	for {
		// The kernel has answered already: this does not wait.
		n, err := unix.Read(r.fd, r.in)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return fmt.Errorf("read from netlink: %w", err)
		}
		done := false
		for b := r.in[:n]; ; {
			m, rest, ok := nextMessage(b)
			if !ok {
				break
			}
			b = rest
			if m.seq-first <= r.seq-first { // else it is the end of an earlier answer
				f(m)
				done = done || m.last() && m.seq == r.seq
			}
		}
		if done {
			return nil
		}
	}
}

// message is one part of an answer.
type message struct {
	kind, flags uint16
	seq         uint32
	errno       unix.Errno // 0: it went well, or it is no verdict
	data        []byte
}

// last tells whether nothing follows for this request.
func (m message) last() bool { return m.kind == unix.NLMSG_DONE || m.kind == unix.NLMSG_ERROR }

func nextMessage(b []byte) (m message, rest []byte, ok bool) {
	if len(b) < unix.SizeofNlMsghdr {
		return m, nil, false
	}
	size := int(binary.NativeEndian.Uint32(b))
	if size < unix.SizeofNlMsghdr || size > len(b) {
		return m, nil, false
	}
	m = message{
		kind: binary.NativeEndian.Uint16(b[4:]), flags: binary.NativeEndian.Uint16(b[6:]),
		seq: binary.NativeEndian.Uint32(b[8:]), data: b[unix.SizeofNlMsghdr:size],
	}
	if m.last() && len(m.data) >= 4 {
		m.errno = unix.Errno(-int32(binary.NativeEndian.Uint32(m.data)))
	}
	return m, b[min((size+3)&^3, len(b)):], true
}

// address reads an RTM_NEWADDR.
func (m message) address() (a assigned, ok bool) {
	if m.kind != unix.RTM_NEWADDR || len(m.data) < unix.SizeofIfAddrmsg {
		return a, false
	}
	bits := int(m.data[1])
	a.flags, a.scope = int(m.data[2]), int(m.data[3])
	a.index = int(binary.NativeEndian.Uint32(m.data[4:]))
	var local, address netip.Addr
	for b := m.data[unix.SizeofIfAddrmsg:]; len(b) >= unix.SizeofRtAttr; {
		size := int(binary.NativeEndian.Uint16(b))
		if size < unix.SizeofRtAttr || size > len(b) {
			return a, false
		}
		value := b[unix.SizeofRtAttr:size]
		switch binary.NativeEndian.Uint16(b[2:]) {
		case unix.IFA_LOCAL:
			local, _ = netip.AddrFromSlice(value)
		case unix.IFA_ADDRESS:
			address, _ = netip.AddrFromSlice(value)
		case unix.IFA_FLAGS:
			if len(value) >= 4 {
				a.flags = int(binary.NativeEndian.Uint32(value))
			}
		}
		b = b[min((size+3)&^3, len(b)):]
	}
	if !local.IsValid() { // IPv6 without a peer
		local = address
	}
	if local != address {
		bits = local.BitLen() // the prefix is the peer's
	}
	a.Prefix = netip.PrefixFrom(local, bits)
	return a, a.IsValid()
}

// append appends the body of a request about an address.
func (a assigned) append(b []byte, valid uint32) []byte {
	addr := a.Addr().AsSlice()
	b = append(b, netlinkFamily(vrrp.FamilyOf(a.Addr())), uint8(a.Bits()), 0, uint8(a.scope))
	b = binary.NativeEndian.AppendUint32(b, uint32(a.index))
	b = appendAttr(b, unix.IFA_LOCAL, addr)
	b = appendAttr(b, unix.IFA_ADDRESS, addr)
	if a.flags != 0 {
		b = appendAttr(b, unix.IFA_FLAGS, binary.NativeEndian.AppendUint32(nil, uint32(a.flags)))
	}
	if valid != 0 {
		// preferred, valid, and two times that the kernel fills in
		b = appendAttr(b, unix.IFA_CACHEINFO, binary.NativeEndian.AppendUint32(make([]byte, 4, 16), valid)[:16])
	}
	return b
}

// appendAttr appends an attribute whose length is a multiple of four.
func appendAttr(b []byte, kind uint16, value []byte) []byte {
	b = binary.NativeEndian.AppendUint16(b, uint16(unix.SizeofRtAttr+len(value)))
	b = binary.NativeEndian.AppendUint16(b, kind)
	return append(b, value...)
}

func netlinkFamily(f vrrp.Family) uint8 {
	switch f {
	case vrrp.IPv4:
		return unix.AF_INET
	case vrrp.IPv6:
		return unix.AF_INET6
	}
	return unix.AF_UNSPEC
}
