package conformance

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/vipd/vipd/test/cluster"
	"github.com/vipd/vipd/test/lab"
	"github.com/vipd/vipd/vrrp"
	"github.com/vipd/vipd/vrrp/transport"
)

// A flood of packets that look like ours moves nothing and takes no more than its
// share of the CPU.
func TestC55Flood(t *testing.T) {
	c := start(t, 2, nil)
	moves := moved(t, c)
	before := cpu(t, c.Servers[0])
	began := time.Now()
	sent := flood(t, c.Client, 3*time.Second)
	used, lasted := cpu(t, c.Servers[0])-before, time.Since(began)
	t.Logf("%d packets in %v; the agent used %v of CPU", sent, lasted, used)
	if sent < 50_000 {
		t.Logf("this machine sends only %d packets", sent)
	}
	if used > lasted {
		t.Errorf("the agent used %v of CPU in %v", used, lasted)
	}
	must(t, is(c.Servers[0], "Active"))
	if n := moved(t, c) - moves; n > 0 {
		t.Errorf("%d changes of state", n)
	}
	st, err := status(c.Servers[0])
	must(t, err)
	if st.Routers[0].Counters[vrrp.BadChecksum.String()] == 0 {
		t.Error("nothing was counted")
	}
}

// flood sends packets with a wrong checksum for a while, as fast as it goes up to
// 50,000 a second, and returns how many.
func flood(t *testing.T, n *lab.Node, d time.Duration) int {
	t.Helper()
	src := netip.MustParseAddr("198.51.100.1")
	p := vrrp.Packet{Version: 3, VRID: 51, Priority: 254, Interval: 250 * time.Millisecond, Addrs: []netip.Addr{cluster.VIP4}}
	b := p.Append(nil, src, vrrp.IPv4.Group(), vrrp.ChecksumPseudoHeader)
	b[6] ^= 0xff
	s := sender(t, n, vrrp.IPv4)
	sent := 0
	for began := time.Now(); time.Since(began) < d; {
		for range 500 {
			if s.Send(src, vrrp.IPv4.Group(), b) == nil {
				sent++
			}
		}
		pace := time.Duration(sent) * time.Second / 50_000
		if ahead := pace - time.Since(began); ahead > 0 {
			time.Sleep(ahead)
		}
	}
	return sent
}

func sender(t *testing.T, n *lab.Node, f vrrp.Family) *transport.Sender {
	t.Helper()
	var s *transport.Sender
	must(t, n.Do(func() error {
		ifi, err := net.InterfaceByName(lab.Interface)
		if err != nil {
			return err
		}
		s, err = transport.NewSender(ifi, f)
		return err
	}))
	t.Cleanup(func() { s.Close() })
	return s
}

// An IPv6 packet that pretends to come from the holder itself does not demote it.
func TestC56ForgedOwnSource(t *testing.T) {
	c := start(t, 2, func(s *cluster.Server) string {
		return fmt.Sprintf("[[check]]\ntype = \"none\"\n[[vip]]\nname = \"k3s\"\naddresses = [\"fe80::100\", \"2001:db8::100\"]\ninterface = \"eth0\"\nvrid = 51\npriority = %d\n", s.Priority())
	})
	st, err := status(c.Servers[0])
	must(t, err)
	victim := netip.MustParseAddr(st.Routers[0].Source)
	// The client takes the address so that the kernel lets it send from there.
	_, err = c.Client.Run("ip", "address", "add", victim.String()+"/64", "dev", lab.Interface, "nodad")
	must(t, err)
	p := vrrp.Packet{Version: 3, VRID: 51, Priority: 255, Interval: 250 * time.Millisecond,
		Addrs: []netip.Addr{netip.MustParseAddr("fe80::100"), cluster.VIP6}}
	b := p.Append(nil, victim, vrrp.IPv6.Group(), vrrp.ChecksumPseudoHeader)
	s := sender(t, c.Client, vrrp.IPv6)
	until(t, "forged packets to be counted", func() error {
		if err := s.Send(victim, vrrp.IPv6.Group(), b); err != nil {
			return err
		}
		st, err := status(c.Servers[0])
		if err != nil {
			return err
		}
		if st.Routers[0].Counters[vrrp.OwnSource.String()] < 3 {
			return errNotYet
		}
		return nil
	})
	must(t, is(c.Servers[0], "Active"))
}

// All VRIDs on one interface, at an advertisement a second.
func Test255VRIDs(t *testing.T) {
	c := prepare(t, 2, func(s *cluster.Server) string {
		var b strings.Builder
		b.WriteString("[[check]]\ntype = \"none\"\n")
		for i := 1; i <= 255; i++ {
			fmt.Fprintf(&b, "[[vip]]\nname = \"v%d\"\naddresses = [\"203.0.113.%d\"]\ninterface = \"eth0\"\nvrid = %d\npriority = %d\nadvert_interval = \"1s\"\n", i, i, i, s.Priority())
		}
		return b.String()
	})
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	for _, s := range c.Servers {
		must(t, s.StartAgent())
	}
	must(t, c.Settled(ctx))
	count := func(s *cluster.Server, state string) error {
		st, err := status(s)
		if err != nil {
			return err
		}
		n := 0
		for _, r := range st.Routers {
			if r.State == state {
				n++
			}
		}
		if n != 255 {
			return fmt.Errorf("%d are %s on %s", n, state, s.Name)
		}
		return nil
	}
	until(t, "the first to hold all", func() error { return count(c.Servers[0], "Active") })
	until(t, "the second to be Backup of all", func() error { return count(c.Servers[1], "Backup") })
	must(t, c.Servers[0].Die())
	until(t, "the second to hold all", func() error { return count(c.Servers[1], "Active") })
}

// With real-time scheduling, an overloaded CPU moves nothing.
func TestC54CPUOverload(t *testing.T) {
	if cluster.RealTime() == nil {
		lab.Miss(t, "real-time scheduling, which is refused here")
	}
	c := start(t, 2, nil)
	moves := moved(t, c)
	relieve, err := cluster.Starve(4)
	must(t, err)
	<-time.After(8 * time.Second)
	relieve()
	if n := moved(t, c) - moves; n > 0 {
		t.Errorf("%d changes of state", n)
	}
}

// cpu returns the CPU time that a server's agent has used.
func cpu(t *testing.T, s *cluster.Server) time.Duration {
	t.Helper()
	used, err := s.AgentCPU()
	must(t, err)
	return used
}
