package vip

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"time"

	"github.com/mdlayher/arp"
	"github.com/mdlayher/packet"

	"github.com/vipd/vipd/vrrp"
)

// Announcer sends the frames that tell a network where an address is. They are
// whole Ethernet frames, so neither the firewall nor the state of the address
// that was claimed a moment ago stands in their way. Holders may share one: the kernel
// takes milliseconds to close its socket, also when the process ends.
type Announcer struct {
	conn       *packet.Conn
	forwarding atomic.Pointer[os.File] // sysctl of the interface, IPv6 only; keeps to its network namespace
}

// sendTimeout bounds how long a full device queue can hold up one of two tries to send.
const sendTimeout = 100 * time.Millisecond

// NewAnnouncer opens the socket of an Announcer for one family on one interface.
func NewAnnouncer(ifi *net.Interface, f vrrp.Family) (*Announcer, error) {
	conn, err := openSender(ifi)
	if err != nil {
		return nil, err
	}
	if f == vrrp.IPv4 {
		return &Announcer{conn: conn}, nil
	}
	a := &Announcer{conn: conn}
	if err := a.Renamed(ifi.Name); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return a, nil
}

// Renamed has an Announcer of IPv6 follow its interface to another name, where the
// sysctls are now.
func (a *Announcer) Renamed(name string) error {
	now, err := os.Open(sysctlPath("ipv6", name, "forwarding"))
	if err != nil {
		return fmt.Errorf("read whether %s forwards IPv6: %w", name, err)
	}
	if old := a.forwarding.Swap(now); old != nil {
		return old.Close()
	}
	return nil
}

// Ask sends one question whether another station has addr, as [Conflict] does; an [Ear]
// that listens for the address hears the answer. mac is the interface's.
func (a *Announcer) Ask(mac net.HardwareAddr, addr netip.Addr) error {
	addr = addr.Unmap()
	if err := send(a.conn, question(mac, addr)); err != nil {
		return fmt.Errorf("ask for %v: %w", addr, err)
	}
	return nil
}

// Close closes the socket.
func (a *Announcer) Close() error {
	err := a.conn.Close()
	if f := a.forwarding.Load(); f != nil {
		err = errors.Join(err, f.Close())
	}
	return err
}

// announce sends, for each address, gratuitous ARP in both forms, for some
// networks take only one, or an unsolicited neighbour advertisement.
func (a *Announcer) announce(mac net.HardwareAddr, addrs []netip.Addr) error {
	router := a.forwards()
	for _, addr := range addrs {
		for _, frame := range announcements(mac, addr, router) {
			if err := send(a.conn, frame); err != nil {
				return fmt.Errorf("announce %v: %w", addr, err)
			}
		}
	}
	return nil
}

func announcements(mac net.HardwareAddr, addr netip.Addr, router bool) [][]byte {
	if addr.Is6() {
		return [][]byte{naAnnouncement(mac, addr, router)}
	}
	return [][]byte{
		arpAnnouncement(arp.OperationRequest, mac, addr),
		arpAnnouncement(arp.OperationReply, mac, addr),
	}
}

// forwards tells whether the interface is a router's (RFC 4861, section 7.2.4).
func (a *Announcer) forwards() bool {
	f := a.forwarding.Load()
	if f == nil {
		return false
	}
	b := make([]byte, 1)
	_, err := f.ReadAt(b, 0)
	return (err == nil || errors.Is(err, io.EOF)) && b[0] == '1'
}

func openSender(ifi *net.Interface) (*packet.Conn, error) {
	if len(ifi.HardwareAddr) != macLen {
		return nil, fmt.Errorf("%s is not an Ethernet interface", ifi.Name)
	}
	// Protocol 0 receives nothing.
	conn, err := packet.Listen(ifi, packet.Raw, 0, nil)
	if err != nil {
		return nil, fmt.Errorf("open a packet socket on %s: %w", ifi.Name, err)
	}
	return conn, nil
}

// writer is where frames go, a [packet.Conn].
type writer interface {
	SetWriteDeadline(time.Time) error
	WriteTo([]byte, net.Addr) (int, error)
}

// send tries twice: where the host has not run this process for as long as sendTimeout, the
// deadline is over before anything was tried.
func send(conn writer, frame []byte) error {
	err := sendOnce(conn, frame)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = sendOnce(conn, frame)
	}
	return err
}

func sendOnce(conn writer, frame []byte) error {
	if err := conn.SetWriteDeadline(time.Now().Add(sendTimeout)); err != nil {
		return err
	}
	_, err := conn.WriteTo(frame, &packet.Addr{HardwareAddr: frame[:macLen]})
	return err
}
