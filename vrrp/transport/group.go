package transport

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/vipd/vipd/vrrp"
)

// group is membership in the VRRP multicast group of a family on an interface,
// by its index.
type group struct {
	family vrrp.Family
	index  int
}

func (g group) join(fd int) error {
	err := g.set(fd, unix.IP_ADD_MEMBERSHIP, unix.IPV6_JOIN_GROUP)
	switch {
	case errors.Is(err, unix.EINVAL) && g.family == vrrp.IPv6:
		return fmt.Errorf("join %v: %w: the interface has no IPv6; is its MTU below 1280?", g.family.Group(), err)
	case err != nil:
		return fmt.Errorf("join %v: %w", g.family.Group(), err)
	}
	return nil
}

func (g group) leave(fd int) error {
	return g.set(fd, unix.IP_DROP_MEMBERSHIP, unix.IPV6_LEAVE_GROUP)
}

func (g group) set(fd, option4, option6 int) error {
	if g.family == vrrp.IPv4 {
		return unix.SetsockoptIPMreqn(fd, unix.SOL_IP, option4,
			&unix.IPMreqn{Multiaddr: g.family.Group().As4(), Ifindex: int32(g.index)})
	}
	return unix.SetsockoptIPv6Mreq(fd, unix.SOL_IPV6, option6,
		&unix.IPv6Mreq{Multiaddr: g.family.Group().As16(), Interface: uint32(g.index)})
}

// joined asks the interface's list of memberships: the socket's own list keeps
// those that the interface has lost.
func (g group) joined() (bool, error) {
	// Not /proc/net: that shows the network of the process's first thread.
	path := "/proc/thread-self/net/igmp"
	if g.family == vrrp.IPv6 {
		path += "6"
	}
	table, err := os.ReadFile(path)
	if err != nil {
		return false, fmt.Errorf("list multicast memberships: %w", err)
	}
	if g.family == vrrp.IPv4 {
		return g.inIGMP(table), nil
	}
	return g.inIGMP6(table), nil
}

// inIGMP searches /proc/net/igmp: a line that begins with the index of an
// interface, then an indented line for each of its groups, in hexadecimal and
// in the byte order of the machine.
func (g group) inIGMP(table []byte) bool {
	addr := g.family.Group().As4()
	want := fmt.Appendf(nil, "%08X", binary.NativeEndian.Uint32(addr[:]))
	index := strconv.AppendInt(nil, int64(g.index), 10)
	here := false
	for line := range bytes.Lines(table) {
		fields := bytes.Fields(line)
		switch {
		case len(fields) == 0:
		case line[0] != '\t':
			here = bytes.Equal(fields[0], index)
		case here && bytes.Equal(fields[0], want):
			return true
		}
	}
	return false
}

// inIGMP6 searches /proc/net/igmp6: a line for each group, with index and name
// of the interface and the address in hexadecimal.
func (g group) inIGMP6(table []byte) bool {
	addr := g.family.Group().As16()
	want := hex.AppendEncode(nil, addr[:])
	index := strconv.AppendInt(nil, int64(g.index), 10)
	for line := range bytes.Lines(table) {
		fields := bytes.Fields(line)
		if len(fields) > 2 && bytes.Equal(fields[0], index) && bytes.Equal(fields[2], want) {
			return true
		}
	}
	return false
}
