package main

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/vipd/vipd/test/cluster"
	"github.com/vipd/vipd/test/lab"
)

// load is a configuration whose cost is measured.
type load struct {
	VRIDs    int  `json:"vrids"`
	Families int  `json:"families"`
	Probes   bool `json:"probes"`
	// Defaults has each agent advertise in its own interval; else both do each second.
	Defaults bool `json:"defaults,omitempty"`
}

func loads(quick bool) []load {
	all := []load{{1, 1, true, true}}
	sizes := []int{1, 16, 64, 128, 255}
	if quick {
		sizes = []int{1, 255}
	}
	for _, probes := range []bool{false, true} {
		for _, n := range sizes {
			all = append(all, load{VRIDs: n, Families: 1, Probes: probes})
		}
		all = append(all, load{VRIDs: 255, Families: 2, Probes: probes})
	}
	return all
}

func (l load) String() string {
	s := fmt.Sprintf("%d", l.VRIDs)
	if l.Families > 1 {
		s += fmt.Sprintf(" × %d families", l.Families)
	}
	if l.Probes {
		s += ", probes"
	}
	if l.Defaults {
		s += ", all defaults"
	}
	return s
}

// routers are the virtual routers, those of IPv6 behind those of IPv4.
func (l load) routers() []cluster.Router {
	var all []cluster.Router
	for f := range l.Families {
		for i := 1; i <= l.VRIDs; i++ {
			all = append(all, cluster.Router{VRID: i, VIP: vip(f, i)})
		}
	}
	return all
}

func vip(family, i int) netip.Addr {
	if family == 1 {
		return netip.MustParseAddr(fmt.Sprintf("2001:db8::1:%x", i))
	}
	return netip.AddrFrom4([4]byte{203, 0, 113, byte(i)})
}

// virtual reports whether an address is one of the above.
func virtual(a netip.Addr) bool {
	return netip.MustParsePrefix("203.0.113.0/24").Contains(a) || netip.MustParsePrefix("2001:db8::1:0/112").Contains(a)
}

// vipd is the load as a vipd.toml.
func (l load) vipd(s *cluster.Server) string {
	var b strings.Builder
	if l.Probes {
		b.WriteString(s.CheckConfig())
	} else {
		b.WriteString("[[check]]\ntype = \"none\"\n")
	}
	for i := 1; i <= l.VRIDs; i++ {
		fmt.Fprintf(&b, "[[vip]]\nname = \"v%d\"\naddresses = [", i)
		for f := range l.Families {
			fmt.Fprintf(&b, "%q, ", vip(f, i))
		}
		fmt.Fprintf(&b, "]\ninterface = %q\nvrid = %d\npriority = %d\n", lab.Interface, i, s.Priority())
		if !l.Defaults {
			b.WriteString("advert_interval = \"1s\"\n")
		}
	}
	return b.String()
}

// keepalived is the load for keepalived, whose default interval is a second.
func (l load) keepalived(routers []cluster.Router) cluster.Keepalived {
	k := cluster.Keepalived{Routers: routers}
	if l.Probes {
		k.Check = readyz()
	}
	return k
}
