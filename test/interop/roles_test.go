package interop

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/vipd/vipd/test/lab"
	"github.com/vipd/vipd/vrrp"
)

func TestC47Keepalived(t *testing.T) {
	for _, tt := range []struct {
		name    string
		family  vrrp.Family
		unicast bool
	}{
		{"IPv4 multicast", vrrp.IPv4, false},
		{"IPv4 unicast", vrrp.IPv4, true},
		{"IPv6 multicast", vrrp.IPv6, false},
		{"IPv6 unicast", vrrp.IPv6, true},
	} {
		for _, vipdPreferred := range []bool{true, false} {
			name := tt.name + ", keepalived preferred"
			if vipdPreferred {
				name = tt.name + ", vipd preferred"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				s := newSegment(t, tt.family, 1, "keepalived")
				a, k := s.agents[0], newKeepalived(s, keepalivedConfig{})
				var settings []string
				if tt.unicast {
					k.config.Peers = append(k.config.Peers, s.source(a.server.Node))
					settings = append(settings, peersSetting(s.source(s.peer)))
				}
				if vipdPreferred {
					a.configure(high, settings...)
					k.config.Priority = low
					takeTurns(s, a, k, interval)
				} else {
					a.configure(low, settings...)
					k.config.Priority = high
					takeTurns(s, k, a, interval)
				}
			})
		}
	}
}

// FRR's first advertisement over IPv6 fails, for its macvlan has no usable address
// yet: the second comes an interval later.
func TestC48FRR(t *testing.T) {
	for _, f := range []vrrp.Family{vrrp.IPv4, vrrp.IPv6} {
		t.Run(f.String()+", vipd preferred", func(t *testing.T) {
			t.Parallel()
			s := newSegment(t, f, 1, frrTools...)
			s.agents[0].configure(high)
			takeTurns(s, s.agents[0], newFRR(s, low), 2*interval)
		})
		t.Run(f.String()+", FRR preferred", func(t *testing.T) {
			t.Parallel()
			s := newSegment(t, f, 1, frrTools...)
			s.agents[0].configure(low)
			takeTurns(s, newFRR(s, high), s.agents[0], interval)
		})
	}
}

// takeTurns has the preferred station, of priority high, preempt the other, of
// priority low, leave, come back, die and come back, and looks at the wire: the
// other has to take over when its timer says, or the slack later.
func takeTurns(s *segment, preferred, other station, slack time.Duration) {
	s.t.Helper()
	other.start()
	s.settle(other)
	preferred.start()
	s.settle(preferred, other)

	left := time.Now()
	preferred.stop()
	s.settle(other)
	preferred.start()
	s.settle(preferred, other)

	died := time.Now()
	preferred.die()
	s.settle(other)
	preferred.start()
	s.settle(preferred, other)

	wire := s.wire.stop()
	skew := (256 - low) * interval / 256
	leaves := first(s.t, wire, vrrp.PriorityLeave, left)
	if gap := first(s.t, wire, low, leaves.At).At.Sub(leaves.At); gap > skew+slack {
		s.t.Errorf("taken over %v after priority 0; Skew_Time is %v", gap, skew)
	}
	silent := last(s.t, wire, high, died.Add(interval/2))
	gap := first(s.t, wire, low, died).At.Sub(silent.At)
	if gap < 3*interval || gap > 3*interval+skew+slack {
		s.t.Errorf("taken over %v after the last advertisement; Active_Down_Interval is %v", gap, 3*interval+skew)
	}
	s.wellFormed(wire)
}

// wellFormed checks every advertisement that the agents sent.
func (s *segment) wellFormed(wire []advert) {
	s.t.Helper()
	for _, a := range s.agents {
		n := 0
		var began time.Time // its term
		src, real := a.source(), s.macOf(a.server.Node, lab.Interface)
		for i, got := range wire {
			if got.Src != src {
				continue
			}
			n++
			mac := a.mac()
			// The virtual MAC is there from the claim to the release: the first
			// advertisement comes before, and so may one that answers a rival right
			// then. A repeated farewell comes after.
			if i == 0 || wire[i-1].Src != src || got.At.Sub(wire[i-1].At) > 2*interval {
				began = got.At
			}
			unclaimed := got.At.Sub(began) < interval/2
			if got.MAC == real && (unclaimed || got.Priority == vrrp.PriorityLeave) {
				mac = real
			}
			want := advert{
				At: got.At, MAC: mac, ToMAC: s.destinationMAC(got), Src: src, Dst: got.Dst, TTL: "255", Class: "0xc0",
				Version: "3", VRID: "51", Priority: got.Priority, Interval: "25", Addrs: s.vip().String(), Checksum: "good",
			}
			if diff := cmp.Diff(want, got, cmp.Comparer(func(x, y time.Time) bool { return x.Equal(y) }), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
				s.t.Fatalf("advertisement (-want +got):\n%s", diff)
			}
		}
		if n == 0 {
			s.t.Errorf("%s sent nothing", a)
		}
	}
}

// destinationMAC returns where an advertisement has to go: to the group's
// address, or to the node that the unicast address belongs to.
func (s *segment) destinationMAC(a advert) string {
	switch {
	case a.Dst == vrrp.IPv4.Group():
		return "01:00:5e:00:00:12"
	case a.Dst == vrrp.IPv6.Group():
		return "33:33:00:00:00:12"
	}
	nodes := []*lab.Node{s.peer}
	for _, x := range s.agents {
		nodes = append(nodes, x.server.Node)
	}
	for _, n := range nodes {
		addrs, err := n.Addrs()
		s.must(err)
		if slices.Contains(addrs, a.Dst) {
			return s.macOf(n, lab.Interface)
		}
	}
	return "that of a node of the segment"
}
