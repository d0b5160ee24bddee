package transport

import (
	"errors"
	"fmt"
	"net"

	"golang.org/x/sys/unix"

	"github.com/vipd/vipd/vrrp"
)

// option is one integer socket option.
type option struct {
	level, name, value int
	title              string // as in the manual
}

// checksumIPv6 makes the kernel write and verify the checksum, 6 bytes into the
// packet: its pseudo-header needs addresses that only the kernel knows for sure.
var checksumIPv6 = option{unix.SOL_IPV6, unix.IPV6_CHECKSUM, 6, "IPV6_CHECKSUM"}

func receiverOptions(f vrrp.Family) []option {
	stamp := option{unix.SOL_SOCKET, unix.SO_TIMESTAMPNS_NEW, 1, "SO_TIMESTAMPNS"}
	if f == vrrp.IPv4 {
		return []option{
			stamp,
			{unix.SOL_IP, unix.IP_MULTICAST_ALL, 0, "IP_MULTICAST_ALL"},
		}
	}
	return []option{
		stamp,
		checksumIPv6,
		{unix.SOL_IPV6, unix.IPV6_MULTICAST_ALL, 0, "IPV6_MULTICAST_ALL"},
		{unix.SOL_IPV6, unix.IPV6_RECVHOPLIMIT, 1, "IPV6_RECVHOPLIMIT"},
		{unix.SOL_IPV6, unix.IPV6_RECVPKTINFO, 1, "IPV6_RECVPKTINFO"},
	}
}

// senderOptions has SO_PRIORITY last, because IP_TOS sets it too, and RECVERR,
// without which the kernel reports a packet as sent that the interface's full
// queue has dropped.
func senderOptions(f vrrp.Family) []option {
	priority := option{unix.SOL_SOCKET, unix.SO_PRIORITY, 6, "SO_PRIORITY"}
	if f == vrrp.IPv4 {
		return []option{
			{unix.SOL_IP, unix.IP_TTL, vrrp.TTL, "IP_TTL"},
			{unix.SOL_IP, unix.IP_MULTICAST_TTL, vrrp.TTL, "IP_MULTICAST_TTL"},
			{unix.SOL_IP, unix.IP_MULTICAST_LOOP, 0, "IP_MULTICAST_LOOP"},
			{unix.SOL_IP, unix.IP_RECVERR, 1, "IP_RECVERR"},
			{unix.SOL_IP, unix.IP_TOS, vrrp.TrafficClass, "IP_TOS"},
			priority,
		}
	}
	return []option{
		checksumIPv6,
		{unix.SOL_IPV6, unix.IPV6_UNICAST_HOPS, vrrp.TTL, "IPV6_UNICAST_HOPS"},
		{unix.SOL_IPV6, unix.IPV6_MULTICAST_HOPS, vrrp.TTL, "IPV6_MULTICAST_HOPS"},
		{unix.SOL_IPV6, unix.IPV6_MULTICAST_LOOP, 0, "IPV6_MULTICAST_LOOP"},
		{unix.SOL_IPV6, unix.IPV6_RECVERR, 1, "IPV6_RECVERR"},
		{unix.SOL_IPV6, unix.IPV6_TCLASS, vrrp.TrafficClass, "IPV6_TCLASS"},
		priority,
	}
}

// openSocket opens a raw VRRP socket that is bound to the interface, and hears nothing
// until another filter is attached. Each call says MSG_DONTWAIT: a socket that never
// blocks would be polled by the runtime (see bell).
func openSocket(ifi *net.Interface, f vrrp.Family, opts []option) (int, error) {
	domain := unix.AF_INET
	if f == vrrp.IPv6 {
		domain = unix.AF_INET6
	}
	fd, err := unix.Socket(domain, unix.SOCK_RAW|unix.SOCK_CLOEXEC, vrrp.Protocol)
	switch {
	case errors.Is(err, unix.EPERM):
		return -1, fmt.Errorf("open raw socket: %w: run as root or with CAP_NET_RAW", err)
	case errors.Is(err, unix.EAFNOSUPPORT):
		return -1, fmt.Errorf("open raw socket: %w: this kernel runs without %v", err, f)
	case err != nil:
		return -1, fmt.Errorf("open raw socket: %w", err)
	}
	if err := prepare(fd, ifi, f, opts); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func prepare(fd int, ifi *net.Interface, f vrrp.Family, opts []option) error {
	if err := new(vridSet).attach(fd, f); err != nil {
		return err
	}
	if err := unix.BindToDevice(fd, ifi.Name); err != nil {
		return fmt.Errorf("bind to the interface: %w", err)
	}
	for _, o := range opts {
		if err := unix.SetsockoptInt(fd, o.level, o.name, o.value); err != nil {
			return fmt.Errorf("set %s: %w", o.title, err)
		}
	}
	return nil
}
