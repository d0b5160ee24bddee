package agent

import (
	"net/netip"
	"testing"
)

// TestRouterID: two nodes with the same bridge for containers have ids of their own, and a
// node keeps the one that it has.
func TestRouterID(t *testing.T) {
	var (
		none   netip.Addr
		bridge = netip.MustParseAddr("172.17.0.1")
		node   = netip.MustParseAddr("198.51.100.11")
		second = netip.MustParseAddr("198.51.100.12")
		list   = func(a ...netip.Addr) []netip.Addr { return a }
	)
	for name, c := range map[string]struct {
		before             netip.Addr
		ways, own, virtual []netip.Addr
		want               netip.Addr
	}{
		"towards a router":       {none, list(node), list(bridge, node), nil, node},
		"no IPv4 router":         {none, list(none, none, node), list(bridge, node), nil, node},
		"no way at all":          {none, list(none, none), list(node, bridge), nil, node},
		"what it was":            {second, list(node), list(bridge, node, second), nil, second},
		"what it was is down":    {second, list(node), list(bridge, node), nil, second},
		"what it was is a VIP":   {vip4, list(node), list(bridge, node), list(vip4), node},
		"by way of a VIP":        {none, list(vip4), list(vip4, node), list(vip4), node},
		"there is nothing to be": {none, list(none), nil, nil, none},
	} {
		got, err := chooseID(c.before, c.ways, c.own, c.virtual)
		if got != c.want || (err == nil) != c.want.IsValid() {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}
