package vip

import (
	"errors"
	"net"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/mdlayher/packet"
	"golang.org/x/sys/unix"

	"github.com/vipd/vipd/test/lab"
)

// capture records the frames of ARP and of neighbour advertisements that pass
// the node's interface, its own included; the function returned says which came.
func capture(t *testing.T, n *lab.Node) (frames func() [][]byte) {
	t.Helper()
	ifi := eth0(t, n)
	var c *packet.Conn
	in(t, n, func() (err error) {
		c, err = packet.Listen(ifi, packet.Raw, unix.ETH_P_ALL, nil)
		return err
	})
	t.Cleanup(func() { c.Close() })
	return func() (out [][]byte) {
		// What was sent before is in the socket's buffer by now, or in the
		// network's for a moment more.
		c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		buf := make([]byte, 2048)
		for {
			size, _, err := c.ReadFrom(buf)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				return out
			}
			if err != nil {
				t.Fatal(err)
			}
			if f := slices.Clone(buf[:size]); interesting(f) {
				out = append(out, f)
			}
		}
	}
}

func interesting(f []byte) bool {
	if len(f) < ethernetLen {
		return false
	}
	switch kind := uint16(f[12])<<8 | uint16(f[13]); kind {
	case unix.ETH_P_ARP:
		return true
	case unix.ETH_P_IPV6:
		return len(f) > ethernetLen+ipv6Len && f[ethernetLen+6] == icmpv6 && f[ethernetLen+ipv6Len] == naType
	}
	return false
}

func sender(frame []byte) net.HardwareAddr { return frame[macLen : 2*macLen] }
