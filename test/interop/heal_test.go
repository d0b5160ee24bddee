package interop

import (
	"fmt"
	"testing"
	"time"

	"github.com/vipd/vipd/vrrp"
)

// locktime is how long a Linux host ignores a further change of a neighbour's
// MAC, and a little more.
const locktime = 1200 * time.Millisecond

// The client is on keepalived's side of a partition, and vipd is the winner.
//
// keepalived does not say that it was Active beside the winner unless it is told
// to: without higher_prio_send_advert a winner that happens to advertise first
// learns nothing of it, and hosts find out by themselves, seconds later.
func TestC53PartitionHeals(t *testing.T) {
	for _, f := range []vrrp.Family{vrrp.IPv4, vrrp.IPv6} {
		t.Run(f.String(), func(t *testing.T) {
			t.Parallel()
			s := newSegment(t, f, 1, "keepalived", "bridge")
			a, k := s.agents[0], newKeepalived(s, keepalivedConfig{Priority: low, Advises: true})
			a.configure(high)
			a.start()
			s.settle(a)
			k.start()
			s.settle(a, k)
			// Who advertises first afterwards depends on the moment.
			for _, later := range []time.Duration{0, interval / 3, 2 * interval / 3} {
				s.partition(a, k, locktime+later)
			}
		})
	}
}

// partition cuts the agent off until the client has been with the other router
// for the given time, and checks how soon the client is back.
func (s *segment) partition(a *agent, other station, lasts time.Duration) {
	s.t.Helper()
	s.must(s.cluster.Lab.Cut(a.server.Node))
	s.both(a, other)
	s.reached(other)
	lost := time.Now()
	s.until("the client to believe another change", func() error {
		if d := time.Since(lost); d < lasts {
			return fmt.Errorf("the last was %v ago", d)
		}
		return nil
	})
	healed := time.Now()
	s.must(s.cluster.Lab.Join(a.server.Node))
	s.reached(a)
	if d := time.Since(healed); d > time.Second {
		s.t.Errorf("the client reached the winner after %v", d)
	}
	s.settle(a, other)
}
