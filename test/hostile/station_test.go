package hostile

import (
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
// do, and returns how many.
func (s *station) flood(frames [][]byte, rate int, d time.Duration) int {
	s.t.Helper()
	raw, err := s.conn.SyscallConn()
	must(s.t, err)
	m := newMany(frames)
	sent, began := 0, time.Now()
	for {
		elapsed := time.Since(began)
		if elapsed >= d {
			return sent
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

// advert is an IPv4 advertisement for the cluster's VIP that says it comes from src;
// the signer may be nil.
func (s *station) advert(src netip.Addr, priority uint8, by *vrrp.Signer) []byte {
	b := payload(src, priority, 250*time.Millisecond)
	if by != nil {
		b = by.Append(b, b, src, time.Now())
	}
	return s.ipv4(src, b)
}

func payload(src netip.Addr, priority uint8, interval time.Duration) []byte {
	p := vrrp.Packet{Version: 3, VRID: 51, Priority: priority, Interval: interval, Addrs: []netip.Addr{cluster.VIP4}}
	return p.Append(nil, src, vrrp.IPv4.Group(), vrrp.ChecksumPseudoHeader)
}

var groupMAC = net.HardwareAddr{0x01, 0x00, 0x5e, 0x00, 0x00, 0x12}

// ipv4 wraps an advertisement into a frame for the group.
func (s *station) ipv4(src netip.Addr, payload []byte) []byte {
	f := append(append(append([]byte{}, groupMAC...), s.ifi.HardwareAddr...), 0x08, 0x00)
	h := make([]byte, 20)
	h[0], h[8], h[9] = 0x45, 255, vrrp.Protocol
	binary.BigEndian.PutUint16(h[2:], uint16(20+len(payload)))
	from, to := src.As4(), vrrp.IPv4.Group().As4()
	copy(h[12:], from[:])
	copy(h[16:], to[:])
	sumHeader(h)
	return append(append(f, h...), payload...)
}

// sumHeader makes the checksum of an IPv4 header right.
func sumHeader(h []byte) {
	h[10], h[11] = 0, 0
	var sum uint32
	for i := 0; i < 20; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(h[i:]))
	}
	for sum > 0xffff {
		sum = sum&0xffff + sum>>16
	}
	binary.BigEndian.PutUint16(h[10:], ^uint16(sum))
}

// advertOf takes IPv4 advertisements from src out of what is recorded.
func advertOf(src netip.Addr) func([]byte) bool {
	from := src.As4()
	return func(f []byte) bool {
		return len(f) > 34 && binary.BigEndian.Uint16(f[12:]) == unix.ETH_P_IP && f[23] == vrrp.Protocol && [4]byte(f[26:30]) == from
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
