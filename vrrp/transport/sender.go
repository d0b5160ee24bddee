package transport

import (
	"fmt"
	"net"
	"net/netip"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/vipd/vipd/vrrp"
)

// Sender sends VRRP packets from one interface in one address family. It may be
// used by several goroutines.
type Sender struct {
	name   string
	family vrrp.Family

	mu      sync.Mutex
	fd      int // -1 once closed
	to      unix.Sockaddr
	to4     unix.SockaddrInet4
	to6     unix.SockaddrInet6
	control []byte // ancillary data with the source address
	src     []byte // the place of the source address in control
}

// NewSender opens the socket of a Sender. It receives nothing. It needs CAP_NET_RAW.
func NewSender(ifi *net.Interface, f vrrp.Family) (*Sender, error) {
	fd, err := openSocket(ifi, f, senderOptions(f))
	if err != nil {
		return nil, fmt.Errorf("send VRRP over %v on %s: %w", f, ifi.Name, err)
	}
	// ICMP errors queue up there and are never read.
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 0); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("send VRRP over %v on %s: set SO_RCVBUF: %w", f, ifi.Name, err)
	}
	s := &Sender{name: ifi.Name, family: f, fd: fd}
	data := unix.CmsgLen(0)
	if f == vrrp.IPv4 {
		s.to = &s.to4
		s.control = unix.PktInfo4(&unix.Inet4Pktinfo{Ifindex: int32(ifi.Index)})
		s.src = s.control[data+4 : data+8]
		return s, nil
	}
	s.to6.ZoneId = uint32(ifi.Index)
	s.to = &s.to6
	s.control = unix.PktInfo6(&unix.Inet6Pktinfo{Ifindex: uint32(ifi.Index)})
	s.src = s.control[data : data+16]
	return s, nil
}

// Send sends payload from src, an address of the interface, to dst: the group
// ([vrrp.Family.Group]) or a unicast peer. With IPv6 the kernel writes the
// checksum; with IPv4 it has to be there.
//
// Send never blocks. An error means that the packet did not leave; errors.Is
// tells why: unix.EPERM (a firewall drops it), unix.ENOBUFS or unix.EAGAIN (the
// interface's queue is full), unix.ENETUNREACH, unix.EINVAL or unix.ENODEV (the
// interface is down or gone, or src is not one of its addresses), net.ErrClosed.
// No error does not mean that it arrived: without a carrier it goes nowhere.
func (s *Sender) Send(src, dst netip.Addr, payload []byte) error {
	if err := s.send(src, dst, payload); err != nil {
		return fmt.Errorf("send VRRP from %v to %v on %s: %w", src, dst, s.name, err)
	}
	return nil
}

func (s *Sender) send(src, dst netip.Addr, payload []byte) error {
	if !s.carries(src) || !s.carries(dst) {
		return fmt.Errorf("not two %v addresses: %w", s.family, unix.EAFNOSUPPORT)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fd < 0 {
		return net.ErrClosed
	}
	s.address(src.Unmap(), dst.Unmap())
	_, err := unix.SendmsgN(s.fd, payload, s.control, s.to, unix.MSG_DONTWAIT)
	return err
}

func (s *Sender) carries(a netip.Addr) bool { return a.IsValid() && vrrp.FamilyOf(a) == s.family }

func (s *Sender) address(src, dst netip.Addr) {
	if s.family == vrrp.IPv4 {
		from := src.As4()
		copy(s.src, from[:])
		s.to4.Addr = dst.As4()
		return
	}
	from := src.As16()
	copy(s.src, from[:])
	s.to6.Addr = dst.As16()
}

// Close closes the socket. Later calls of Send fail with net.ErrClosed.
func (s *Sender) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fd < 0 {
		return nil
	}
	fd := s.fd
	s.fd = -1
	if err := unix.Close(fd); err != nil {
		return fmt.Errorf("close VRRP socket on %s: %w", s.name, err)
	}
	return nil
}
