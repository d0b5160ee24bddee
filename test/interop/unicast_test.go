package interop

import (
	"net/netip"
	"testing"

	"github.com/vipd/vipd/vrrp"
)

// Unicast peers may be link-local addresses or global ones: a router is known by
// the kind that the others have of it.
func TestIPv6UnicastGlobalPeers(t *testing.T) {
	t.Run("vipd and vipd", func(t *testing.T) {
		t.Parallel()
		s := newSegment(t, vrrp.IPv6, 2)
		preferred, other := s.agents[0], s.agents[1]
		for a, priority := range map[*agent]int{preferred: high, other: low} {
			a.global = true
			a.configure(priority, peersSetting(preferred.server.Addr6, other.server.Addr6))
		}
		takeTurns(s, preferred, other, interval)
	})
	t.Run("vipd and keepalived", func(t *testing.T) {
		t.Parallel()
		s := newSegment(t, vrrp.IPv6, 1, "keepalived")
		a, k := s.agents[0], newKeepalived(s, keepalivedConfig{Priority: low, Source: peerAddr6})
		k.config.Peers = []netip.Addr{a.server.Addr6}
		a.global = true
		a.configure(high, peersSetting(peerAddr6))
		takeTurns(s, a, k, interval)
	})
}
