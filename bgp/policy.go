package bgp

import (
	"net/netip"
	"slices"
)

// gracefulShutdown is the community of RFC 8326.
const gracefulShutdown = 65535 << 16

// Attribute is what makes a route less preferred.
type Attribute uint8

// The attributes.
const (
	ByPath            Attribute = iota // external peers: the own AS again and again, which counts everywhere
	ByLocalPreference                  // internal peers
	ByMED                              // counts among routes from one AS
)

// Policy is what the routes to a peer look like.
type Policy struct {
	Communities      []uint32
	LargeCommunities []LargeCommunity
	LocalPreference  uint32 // of a ready route, to internal peers
	MED              uint32 // of a ready route
	Worse            Attribute
	// Step is by how much each step down makes a route less preferred: how often the own
	// AS is prepended, or how much is taken from LocalPreference or added to MED.
	Step uint32
	// NextHop4 and NextHop6 replace this end of the session as next hop.
	NextHop4, NextHop6 netip.Addr
}

// Route is an address as it is announced.
type Route struct {
	Addr     netip.Addr
	Standing Standing
	// Rank makes the route less preferred than that of another ready node, by MED; 0 is the
	// best. Ranked tells whether there are ranks at all.
	Rank   uint8
	Ranked bool
}

// attributes returns what a route looks like to a peer.
func (p *Policy) attributes(r Route, own, peer uint32, hops []netip.Addr) attributes {
	a := attributes{
		NextHops: hops, Internal: own == peer, MED: p.MED + uint32(r.Rank), LocalPreference: p.LocalPreference,
		Compared: r.Ranked || p.Worse == ByMED, Communities: p.Communities, LargeCommunities: p.LargeCommunities,
	}
	times, steps := 1, uint32(r.Standing.steps())
	switch p.Worse {
	case ByPath:
		times += int(steps * p.Step)
	case ByLocalPreference:
		a.LocalPreference -= min(a.LocalPreference, steps*p.Step)
	case ByMED:
		// Above all ranks.
		a.MED += steps * p.Step
	}
	if !a.Internal {
		a.Path = slices.Repeat([]uint32{own}, times)
	}
	if r.Standing == Leaving {
		a.Communities = append(slices.Clone(a.Communities), gracefulShutdown)
	}
	return a
}
