package interop

import (
	"testing"

	"github.com/vipd/vipd/vrrp"
)

// Routers with the virtual MAC send from it: the others must hear them all the
// same, although they have a macvlan with that MAC too.
func TestVirtualMACHearsTheOthers(t *testing.T) {
	for _, f := range []vrrp.Family{vrrp.IPv4, vrrp.IPv6} {
		t.Run(f.String()+", vipd and vipd", func(t *testing.T) {
			t.Parallel()
			s := newSegment(t, f, 2)
			preferred, other := s.agents[0], s.agents[1]
			preferred.virtual, other.virtual = true, true
			preferred.configure(high)
			other.configure(low)
			takeTurns(s, preferred, other, interval)
		})
		t.Run(f.String()+", vipd preferred to FRR", func(t *testing.T) {
			t.Parallel()
			s := newSegment(t, f, 1, frrTools...)
			a := s.agents[0]
			a.virtual = true
			a.configure(high)
			takeTurns(s, a, newFRR(s, low), 2*interval)
		})
		t.Run(f.String()+", FRR preferred to vipd", func(t *testing.T) {
			t.Parallel()
			s := newSegment(t, f, 1, frrTools...)
			a := s.agents[0]
			a.virtual = true
			a.configure(low)
			takeTurns(s, newFRR(s, high), a, interval)
		})
	}
}
