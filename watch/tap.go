package watch

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/vipd/vipd/vrrp"
)

// tap hears the frames of an interface, those that this host sends included.
type tap struct {
	ifi    *net.Interface
	file   *os.File
	raw    syscall.RawConn
	groups []int // sockets that are in the multicast groups, so that frames for them come here
}

// captured is a frame and what the kernel says of it.
type captured struct {
	ifi   *net.Interface
	at    time.Time
	frame []byte
	own   bool // sent by this host
	size  int  // on the wire
	err   error
}

// receiveBuffer holds some seconds of frames while the output is held up.
const receiveBuffer = 4 << 20

func openTap(ifi *net.Interface) (*tap, error) {
	if len(ifi.HardwareAddr) != macLen {
		return nil, fmt.Errorf("%s is no Ethernet interface: name another with --interface", ifi.Name)
	}
	filter, err := bpf.Assemble(program())
	if err != nil {
		return nil, fmt.Errorf("assemble filter: %w", err)
	}
	// Without a protocol it hears nothing until it is bound, and has its filter by then.
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		return nil, errors.New("CAP_NET_RAW is missing, without which nobody may listen to a network: run it as root (sudo vipd watch)")
	}
	if err != nil {
		return nil, fmt.Errorf("open a packet socket: %w", err)
	}
	t := &tap{ifi: ifi, file: os.NewFile(uintptr(fd), "packet:"+ifi.Name)}
	if err := t.set(fd, filter); err != nil {
		return nil, errors.Join(fmt.Errorf("listen on %s: %w", ifi.Name, err), t.close())
	}
	if t.raw, err = t.file.SyscallConn(); err != nil {
		return nil, errors.Join(fmt.Errorf("listen on %s: %w", ifi.Name, err), t.close())
	}
	t.join()
	return t, nil
}

func (t *tap) set(fd int, filter []bpf.RawInstruction) error {
	prog := make([]unix.SockFilter, len(filter))
	for i, f := range filter {
		prog[i] = unix.SockFilter{Code: f.Op, Jt: f.Jt, Jf: f.Jf, K: f.K}
	}
	err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(prog)), Filter: &prog[0]})
	if err != nil {
		return fmt.Errorf("set filter: %w", err)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1); err != nil {
		return fmt.Errorf("ask for times: %w", err)
	}
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer) != nil {
		// Without CAP_NET_ADMIN, as much as everybody may have: what is lost is counted.
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer)
	}
	all := binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, unix.ETH_P_ALL))
	return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: t.ifi.Index})
}

// join enters the groups of VRRP, for neither the card nor a snooping switch passes on
// what nobody wants. Where there is no IPv4 or IPv6 it cannot, and need not.
func (t *tap) join() {
	if fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err == nil {
		t.groups = append(t.groups, fd)
		_ = unix.SetsockoptIPMreqn(fd, unix.SOL_IP, unix.IP_ADD_MEMBERSHIP, &unix.IPMreqn{Multiaddr: vrrp.IPv4.Group().As4(), Ifindex: int32(t.ifi.Index)})
	}
	if fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err == nil {
		t.groups = append(t.groups, fd)
		_ = unix.SetsockoptIPv6Mreq(fd, unix.SOL_IPV6, unix.IPV6_JOIN_GROUP, &unix.IPv6Mreq{Multiaddr: vrrp.IPv6.Group().As16(), Interface: uint32(t.ifi.Index)})
	}
}

// run hands out frames until ctx ends. An interface that goes down is reported, and
// heard again when it is up.
func (t *tap) run(ctx context.Context, out chan<- captured) error {
	stop := context.AfterFunc(ctx, func() { _ = t.file.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	buf, control := make([]byte, snapLen), make([]byte, 128)
	for {
		c, err := t.read(buf, control)
		if ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, unix.ENETDOWN) {
			c = captured{ifi: t.ifi, at: time.Now(), err: err}
		} else if err != nil {
			return fmt.Errorf("listen on %s: %w", t.ifi.Name, err)
		}
		select {
		case out <- c:
		case <-ctx.Done():
			return nil
		}
	}
}

func (t *tap) read(buf, control []byte) (c captured, err error) {
	var n, oob int
	var from unix.Sockaddr
	wait := t.raw.Read(func(fd uintptr) bool {
		n, oob, _, from, err = unix.Recvmsg(int(fd), buf, control, unix.MSG_TRUNC)
		return !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR)
	})
	if wait != nil {
		return c, wait
	}
	if err != nil {
		return c, err
	}
	c = captured{ifi: t.ifi, at: stamp(control[:oob]), frame: append([]byte(nil), buf[:min(n, len(buf))]...), size: n}
	if ll, ok := from.(*unix.SockaddrLinklayer); ok {
		c.own = ll.Pkttype == unix.PACKET_OUTGOING
	}
	return c, nil
}

// stamp returns when the kernel had the frame: two numbers, of 64 bits or, on old 32-bit
// machines, of 32.
func stamp(control []byte) time.Time {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return time.Now()
	}
	for _, m := range messages {
		switch {
		case m.Header.Level != unix.SOL_SOCKET || m.Header.Type != unix.SO_TIMESTAMPNS:
		case len(m.Data) >= 16:
			return time.Unix(int64(binary.NativeEndian.Uint64(m.Data)), int64(binary.NativeEndian.Uint64(m.Data[8:])))
		case len(m.Data) >= 8:
			return time.Unix(int64(int32(binary.NativeEndian.Uint32(m.Data))), int64(binary.NativeEndian.Uint32(m.Data[4:])))
		}
	}
	return time.Now()
}

// dropped returns how many frames there was no room for since it was asked last.
func (t *tap) dropped() int {
	n := 0
	_ = t.raw.Control(func(fd uintptr) {
		if s, err := unix.GetsockoptTpacketStats(int(fd), unix.SOL_PACKET, unix.PACKET_STATISTICS); err == nil {
			n = int(s.Drops)
		}
	})
	return n
}

func (t *tap) close() error {
	for _, fd := range t.groups {
		_ = unix.Close(fd)
	}
	t.groups = nil
	return t.file.Close()
}
