package hostile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/mdlayher/packet"
	"golang.org/x/sys/unix"

	"github.com/vipd/vipd/test/cluster"
	"github.com/vipd/vipd/test/lab"
	"github.com/vipd/vipd/vrrp"
)

// station is a host on the segment that sends whatever frames it likes.
type station struct {
	t    *testing.T
	node *lab.Node
	ifi  *net.Interface
	conn *packet.Conn
}

// stranger plugs a station into the segment.
func stranger(t *testing.T, c *cluster.Cluster) *station {
	t.Helper()
	n, err := c.Lab.Add("stranger", netip.MustParsePrefix("198.51.100.66/24"), netip.MustParsePrefix("2001:db8::66/64"))
	must(t, err)
	s := &station{t: t, node: n}
	must(t, n.Do(func() (err error) {
		s.ifi, err = net.InterfaceByName(lab.Interface)
		return err
	}))
	s.conn = s.listen(0)
	raw, err := s.conn.SyscallConn()
	must(t, err)
	must(t, raw.Control(func(fd uintptr) { // it costs a third of the rate
		err = unix.SetsockoptInt(int(fd), unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1)
	}))
	must(t, err)
	return s
}

// listen opens a socket for frames of a protocol; 0 receives none.
func (s *station) listen(protocol int) *packet.Conn {
	s.t.Helper()
	var c *packet.Conn
	must(s.t, s.node.Do(func() (err error) {
		c, err = packet.Listen(s.ifi, packet.Raw, protocol, nil)
		return err
	}))
	s.t.Cleanup(func() { c.Close() })
	return c
}

func (s *station) send(frames ...[]byte) {
	s.t.Helper()
	for _, f := range frames {
		_, err := s.conn.WriteTo(f, &packet.Addr{HardwareAddr: f[:6]})
		must(s.t, err)
	}
}

// record listens for a while and returns the frames that want takes.
func (s *station) record(d time.Duration, want func([]byte) bool) [][]byte {
	s.t.Helper()
	c := s.listen(unix.ETH_P_ALL)
	defer c.Close()
	must(s.t, c.SetReadDeadline(time.Now().Add(d)))
	var out [][]byte
	for b := make([]byte, 2048); ; {
		n, _, err := c.ReadFrom(b)
		if err != nil {
			return out // the time is over
		}
		if want(b[:n]) {
			out = append(out, append([]byte(nil), b[:n]...))
		}
	}
}

// flood sends frames in turn, at a rate of so many a second or what the machine can
// do, for a time, or longer until these were at least so many, and returns how many.
func (s *station) flood(frames [][]byte, rate int, d time.Duration, least int) int {
	s.t.Helper()
	raw, err := s.conn.SyscallConn()
	must(s.t, err)
	m := newMany(frames)
	sent, began := 0, time.Now()
	for {
		elapsed := time.Since(began)
		if elapsed >= d && sent >= least {
			return sent
		}
		if elapsed > 6*d {
			s.t.Fatalf("no flood: %d frames in %v, want %d", sent, elapsed, least)
		}
		if due := int(elapsed.Seconds()*float64(rate)) - sent; due < len(m.headers) {
			<-time.After(500 * time.Microsecond)
			continue
		}
		var failed error
		must(s.t, raw.Control(func(fd uintptr) {
			var n int
			n, failed = m.send(int(fd))
			sent += n
		}))
		if failed != nil && !errors.Is(failed, unix.ENOBUFS) && !errors.Is(failed, unix.EAGAIN) {
			s.t.Fatal(failed)
		}
	}
}

// many sends a batch of frames by one system call. x/sys/unix has the types of
// sendmmsg but not the call.
type many struct {
	frames  [][]byte
	next    int
	headers [64]unix.Mmsghdr
	vectors [64]unix.Iovec
}

func newMany(frames [][]byte) *many {
	m := &many{frames: frames}
	for i := range m.headers {
		m.headers[i].Hdr.Iov = &m.vectors[i]
		m.headers[i].Hdr.SetIovlen(1)
	}
	return m
}

func (m *many) send(fd int) (int, error) {
	for i := range m.vectors {
		f := m.frames[(m.next+i)%len(m.frames)]
		m.vectors[i].Base = &f[0]
		m.vectors[i].SetLen(len(f))
	}
	n, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(&m.headers)), uintptr(len(m.headers)), unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	m.next += int(n)
	return int(n), nil
}

// goal is whom an advertisement is sent to.
type goal struct {
	addr netip.Addr
	mac  net.HardwareAddr
}

var (
	everybody4 = goal{vrrp.IPv4.Group(), net.HardwareAddr{0x01, 0x00, 0x5e, 0x00, 0x00, 0x12}}
	everybody6 = goal{vrrp.IPv6.Group(), net.HardwareAddr{0x33, 0x33, 0x00, 0x00, 0x00, 0x12}}
)

// everybody is the group of an address's family.
func everybody(of netip.Addr) goal {
	if of.Is4() {
		return everybody4
	}
	return everybody6
}

// alone is one server, in the family of an address.
func alone(t *testing.T, s *cluster.Server, of netip.Addr) goal {
	t.Helper()
	g := goal{addr: s.Addr6}
	if of.Is4() {
		g.addr = s.Addr
	}
	must(t, s.Node.Do(func() error {
		ifi, err := net.InterfaceByName(lab.Interface)
		if err != nil {
			return err
		}
		g.mac = ifi.HardwareAddr
		return nil
	}))
	return g
}

// linkLocal returns the address that a node's IPv6 advertisements come from.
func linkLocal(t *testing.T, n *lab.Node) netip.Addr {
	t.Helper()
	var found netip.Addr
	must(t, n.Do(func() error {
		ifi, err := net.InterfaceByName(lab.Interface)
		if err != nil {
			return err
		}
		all, err := ifi.Addrs()
		for _, a := range all {
			if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is6() && p.Addr().IsLinkLocalUnicast() {
				found = p.Addr()
			}
		}
		return err
	}))
	if !found.IsValid() {
		t.Fatalf("%s has no link-local address", n.Name)
	}
	return found
}

// advert is an advertisement for the cluster's VIP, in the family of src, that says it
// comes from there; the signer may be nil.
func (s *station) advert(src netip.Addr, priority uint8, by *vrrp.Signer) []byte {
	return s.advertTo(everybody(src), src, priority, by)
}

func (s *station) advertTo(to goal, src netip.Addr, priority uint8, by *vrrp.Signer) []byte {
	b := payload(to, src, priority, 250*time.Millisecond)
	if by != nil {
		b = by.Append(b, b, src, time.Now())
	}
	return s.frame(to, src, b)
}

func payload(to goal, src netip.Addr, priority uint8, interval time.Duration) []byte {
	vip := cluster.VIP6
	if src.Is4() {
		vip = cluster.VIP4
	}
	p := vrrp.Packet{Version: 3, VRID: 51, Priority: priority, Interval: interval, Addrs: []netip.Addr{vip}}
	return p.Append(nil, src, to.addr, vrrp.ChecksumPseudoHeader)
}

// frame wraps an advertisement.
func (s *station) frame(to goal, src netip.Addr, payload []byte) []byte {
	f := append(append([]byte{}, to.mac...), s.ifi.HardwareAddr...)
	if !src.Is4() {
		sumIPv6(payload, src, to.addr)
		return append(append(append(f, 0x86, 0xdd), headerIPv6(vrrp.Protocol, src, to.addr, len(payload))...), payload...)
	}
	h := make([]byte, 20)
	h[0], h[8], h[9] = 0x45, 255, vrrp.Protocol
	binary.BigEndian.PutUint16(h[2:], uint16(20+len(payload)))
	copy(h[12:], src.AsSlice())
	copy(h[16:], to.addr.AsSlice())
	sumHeader(h)
	return append(append(append(f, 0x08, 0x00), h...), payload...)
}

func headerIPv6(next byte, from, to netip.Addr, length int) []byte {
	h := make([]byte, 40)
	h[0], h[6], h[7] = 0x60, next, 255
	binary.BigEndian.PutUint16(h[4:], uint16(length))
	copy(h[8:], from.AsSlice())
	copy(h[24:], to.AsSlice())
	return h
}

// sumIPv6 makes the checksum of a message right, which covers a trailer as well.
func sumIPv6(b []byte, from, to netip.Addr) {
	b[6], b[7] = 0, 0
	pseudo := append(append([]byte{}, from.AsSlice()...), to.AsSlice()...)
	pseudo = append(binary.BigEndian.AppendUint32(pseudo, uint32(len(b))), 0, 0, 0, vrrp.Protocol)
	binary.BigEndian.PutUint16(b[6:], sum(append(pseudo, b...)))
}

// sumHeader makes the checksum of an IPv4 header right.
func sumHeader(h []byte) {
	h[10], h[11] = 0, 0
	binary.BigEndian.PutUint16(h[10:], sum(h[:20]))
}

// sum is the Internet checksum of an even number of bytes.
func sum(b []byte) uint16 {
	var sum uint32
	for i := 0; i < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum > 0xffff {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}

// advertOf takes advertisements from src out of what is recorded.
func advertOf(src netip.Addr) func([]byte) bool {
	kind, next, from := uint16(unix.ETH_P_IPV6), 20, 22
	if src.Is4() {
		kind, next, from = unix.ETH_P_IP, 23, 26
	}
	return func(f []byte) bool {
		return len(f) > 54 && binary.BigEndian.Uint16(f[12:]) == kind && f[next] == vrrp.Protocol && bytes.HasPrefix(f[from:], src.AsSlice())
	}
}

// ear counts frames until it is stopped.
type ear struct {
	heard atomic.Int64
	stop  func()
}

// count counts the frames that want takes.
func (s *station) count(want func([]byte) bool) *ear {
	s.t.Helper()
	c, e, ended := s.listen(unix.ETH_P_ALL), &ear{}, make(chan struct{})
	go func() {
		defer close(ended)
		for b := make([]byte, 2048); ; {
			n, _, err := c.ReadFrom(b)
			if err != nil {
				return
			}
			if want(b[:n]) {
				e.heard.Add(1)
			}
		}
	}()
	e.stop = func() { c.Close(); <-ended }
	return e
}
