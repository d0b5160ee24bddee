package bgp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// priority is the type of service of BGP: network control.
const priority = 0xc0

// Dial connects to a router with the options of p.
func Dial(ctx context.Context, p *Peer) (net.Conn, error) {
	d := net.Dialer{
		KeepAlive: -1, // the protocol has its own
		Control: func(_, _ string, c syscall.RawConn) error {
			var err error
			if e := c.Control(func(fd uintptr) { err = prepare(int(fd), p) }); e != nil {
				return e
			}
			return err
		},
	}
	if p.Source.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(p.Source, 0))
	}
	return d.DialContext(ctx, "tcp", net.JoinHostPort(p.Address.String(), strconv.Itoa(int(p.Port))))
}

// prepare sets what must be set before the first packet.
func prepare(fd int, p *Peer) error {
	four := p.Address.Is4()
	level, ttl, least, tos := unix.IPPROTO_IP, unix.IP_TTL, unix.IP_MINTTL, unix.IP_TOS
	if !four {
		level, ttl, least, tos = unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS, unix.IPV6_MINHOPCOUNT, unix.IPV6_TCLASS
	}
	if err := unix.SetsockoptInt(fd, level, ttl, p.TTL); err != nil {
		return fmt.Errorf("set the TTL: %w", err)
	}
	if p.LeastTTL > 0 {
		if err := unix.SetsockoptInt(fd, level, least, p.LeastTTL); err != nil {
			return fmt.Errorf("set the least TTL: %w", err)
		}
	}
	if err := unix.SetsockoptInt(fd, level, tos, priority); err != nil {
		return fmt.Errorf("set the type of service: %w", err)
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(writeTime/time.Millisecond)+int(p.Hold/time.Millisecond)); err != nil {
		return fmt.Errorf("set the timeout: %w", err)
	}
	if len(p.Password) == 0 {
		return nil
	}
	if err := unix.SetsockoptTCPMD5Sig(fd, unix.IPPROTO_TCP, unix.TCP_MD5SIG, md5sig(p)); err != nil {
		return fmt.Errorf("set the password (TCP MD5): %w", err)
	}
	return nil
}

func md5sig(p *Peer) *unix.TCPMD5Sig {
	var s unix.TCPMD5Sig // begins with a struct sockaddr_in or sockaddr_in6
	if p.Address.Is4() {
		s.Addr.Family = unix.AF_INET
		copy(s.Addr.Data[2:], p.Address.AsSlice())
	} else {
		s.Addr.Family = unix.AF_INET6
		copy(s.Addr.Data[6:], p.Address.AsSlice())
	}
	s.Keylen = uint16(copy(s.Key[:], p.Password))
	return &s
}

// explainDial says what it may mean that no connection came about.
func explainDial(p *Peer, err error) error {
	words := fmt.Sprintf("connect: %v", err)
	switch {
	case errors.Is(err, unix.ECONNREFUSED):
		words = fmt.Sprintf("nothing listens on port %d there: does BGP run, and is this node configured?", p.Port)
	case errors.Is(err, unix.EHOSTUNREACH), errors.Is(err, unix.ENETUNREACH):
		words = "there is no route to it: check its address, the route and, beyond one hop, multihop"
	case errors.Is(err, unix.EADDRNOTAVAIL):
		words = fmt.Sprintf("%v is not an address of this node: correct source", p.Source)
	case late(err) && len(p.Password) > 0:
		words = fmt.Sprintf("it does not answer: is it up, is TCP port %d open, has it the same password for this node, and is it within the TTL?", p.Port)
	case late(err):
		words = fmt.Sprintf("it does not answer: is it up, is TCP port %d open, does it want a password, and is it within the TTL?", p.Port)
	case errors.Is(err, unix.ECONNRESET):
		return errReset
	}
	return &explained{words, err}
}

// late reports whether time ran out.
func late(err error) bool {
	var n net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, unix.ETIMEDOUT) || errors.As(err, &n) && n.Timeout()
}

var (
	errClosed = errors.New("the router closed the connection")
	errReset  = &explained{"it reset the connection: is this node configured there, by this address?", errClosed}
)

func explainRead(err error) error {
	switch {
	case errors.Is(err, unix.ECONNRESET):
		return errReset
	case errors.Is(err, unix.ETIMEDOUT):
		return &explained{"it does not answer any more", err}
	case errors.Is(err, io.EOF):
		return &explained{"it closed the connection without a word: if that is all it does, is this node configured there?", errClosed}
	}
	return fmt.Errorf("read from it: %w", err)
}
