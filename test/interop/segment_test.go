package interop

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/vipd/vipd/test/cluster"
	"github.com/vipd/vipd/test/lab"
	"github.com/vipd/vipd/vrrp"
	"github.com/vishvananda/netlink"
)

const (
	vrid     = 51
	interval = 250 * time.Millisecond // vipd's default
	high     = 200
	low      = 150

	virtualMAC4 = "00:00:5e:00:01:33"
	virtualMAC6 = "00:00:5e:00:02:33"

	// patience is how long a condition is waited for.
	patience = 12 * time.Second
)

// peerAddr6 is the global IPv6 address of the other router's node.
var peerAddr6 = netip.MustParseAddr("2001:db8::21")

// segment is a network with agents, one other router and a client.
type segment struct {
	t       *testing.T
	family  vrrp.Family
	cluster *cluster.Cluster
	agents  []*agent
	peer    *lab.Node // where the other router runs
	wire    *capture
}

// station is a router on the segment, whoever made it.
type station interface {
	// start starts it, also after stop and die.
	start()
	// stop ends it as an operator does.
	stop()
	// die ends it as a loss of power does.
	die()
	// active reports whether it is Active and the addresses are in use on it.
	active() (bool, error)
	// mac returns where it has frames for the virtual address sent to.
	mac() string
	// persuades reports whether its announcements are enough for hosts to learn
	// that the address has come to it.
	persuades() bool
}

// newSegment makes a segment on which nothing runs yet but the capture.
func newSegment(t *testing.T, f vrrp.Family, agents int, tools ...string) *segment {
	t.Helper()
	l := lab.NewTest(t, append(tools, "tcpdump", "tshark", "ping")...)
	s := &segment{t: t, family: f}
	c, err := cluster.New(l, cluster.Options{
		Binaries: binaries(t), Dir: t.TempDir(), Servers: agents, Log: t.Output(), Launcher: cluster.RealTime(),
		Config: func(v *cluster.Server) string { return s.agents[v.Number-1].config },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	s.cluster = c
	for _, v := range c.Servers {
		s.agents = append(s.agents, &agent{segment: s, server: v})
	}
	s.peer, err = l.Add("peer", netip.MustParsePrefix("198.51.100.21/24"), netip.PrefixFrom(peerAddr6, 64))
	if err != nil {
		t.Fatal(err)
	}
	s.wire = record(t, l.Switch(), "br0")
	return s
}

func (s *segment) vip() netip.Addr {
	if s.family == vrrp.IPv6 {
		return cluster.VIP6
	}
	return cluster.VIP4
}

// source returns the address that a router on the node advertises from, once
// the kernel lets it be used.
func (s *segment) source(n *lab.Node) netip.Addr {
	s.t.Helper()
	var found netip.Addr
	s.until("an address of "+n.Name, func() error {
		link, err := n.Netlink().LinkByName(lab.Interface)
		if err != nil {
			return err
		}
		list, err := n.Netlink().AddrList(link, netlink.FAMILY_ALL)
		if err != nil {
			return err
		}
		for _, a := range list {
			ip, _ := netip.AddrFromSlice(a.IP)
			ip = ip.Unmap()
			usable := a.Flags&unusable == 0 && ip != s.vip()
			if usable && vrrp.FamilyOf(ip) == s.family && (ip.Is4() || ip.IsLinkLocalUnicast()) {
				found = ip
				return nil
			}
		}
		return fmt.Errorf("none among %v", list)
	})
	return found
}

// unusable are IFA_F_TENTATIVE and IFA_F_DADFAILED.
const unusable = 0x40 | 0x08

// settle waits until the station is the only Active one among those that run,
// and the client reaches the virtual address there.
func (s *segment) settle(on station, others ...station) {
	s.t.Helper()
	s.elected(on, others...)
	if on.persuades() {
		s.reached(on)
	}
}

// elected waits until the station is the only Active one among those that run.
func (s *segment) elected(on station, others ...station) {
	s.t.Helper()
	s.until("the right one to be Active", func() error {
		for _, x := range append(others, on) {
			is, err := x.active()
			if err != nil {
				return err
			}
			if is != (x == on) {
				return fmt.Errorf("%s: Active is %v", x, is)
			}
		}
		return nil
	})
}

// reached waits until the client's frames for the virtual address go to the
// station, and are answered.
func (s *segment) reached(on station) {
	s.t.Helper()
	s.until("the client to reach it", func() error {
		if out, err := s.cluster.Client.Run("ping", "-c1", "-W0.1", s.vip().String()); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		if at := s.neighbour(); at != on.mac() {
			return fmt.Errorf("the client has %s at %s, not at %s: %s", s.vip(), at, on, on.mac())
		}
		return nil
	})
}

// neighbour returns the MAC that the client knows the virtual address by.
func (s *segment) neighbour() string {
	list, err := s.cluster.Client.Netlink().NeighList(0, netlink.FAMILY_ALL)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, n := range list {
		if n.IP.Equal(net.IP(s.vip().AsSlice())) {
			return n.HardwareAddr.String()
		}
	}
	return ""
}

func (s *segment) until(what string, check func() error) {
	s.t.Helper()
	until(s.t, what, check)
}

func until(t *testing.T, what string, check func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := cluster.Until(ctx, what, check); err != nil {
		t.Fatal(err)
	}
}

// macOf returns the MAC address of an interface of a node.
func (s *segment) macOf(n *lab.Node, iface string) string {
	s.t.Helper()
	link, err := n.Netlink().LinkByName(iface)
	if err != nil {
		s.t.Fatal(err)
	}
	return link.Attrs().HardwareAddr.String()
}

func (s *segment) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}
