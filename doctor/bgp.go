package doctor

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"github.com/vipd/vipd/agent/control"
	"github.com/vipd/vipd/config"
	"github.com/vipd/vipd/vrrp"
)

func routeKinds() []Kind {
	return []Kind{
		{"bgp-session-down", "bgp", Error, "A router does not hear of the VIPs: the session with it is not up.",
			"The sessions in the agent's status, which has the router's own words, or what the connection met with.",
			"As the line says: both ends must agree on addresses, AS numbers, password and hops."},
		{"bgp-family-missing", "bgp", Error, "The session with a router is up, and carries no routes of a VIP's family.",
			"A route is announced, and no session that is up carries it.", "Turn the family on at the router (`address-family ipv6`, `channel ipv6`), and add it to `families`."},
		{"bgp-vip-in-subnet", "bgp", Warning, "A VIP of mode bgp lies in a subnet of this host. Its neighbours do not ask a router for the way, but the segment, and every server that has the VIP answers.",
			"The subnets of the interfaces.", "Choose an address outside of all the servers' subnets, or `mode = \"vrrp\"`."},
		{"bgp-no-way-back", "bgp", Warning, "The host has no default route, so that answers to clients of other networks have no way.",
			"The routes, IPv4.", "Give the host a default route through its routers, or routes to the clients."},
	}
}

// checkBGP looks at what the routers can know of the VIPs.
func checkBGP(_ context.Context, p *patient) ([]Finding, error) {
	cfg, err := p.cfg()
	if err != nil {
		return nil, errNoConfig
	}
	if cfg.BGP == nil {
		return nil, nil
	}
	links, err := p.links()
	if err != nil {
		return nil, err
	}
	list := checkRouted(cfg, links)
	s, err := p.status()
	if err != nil {
		return list, nil // the check of the agent says so
	}
	return append(list, checkSessions(s)...), nil
}

func checkRouted(cfg *config.Config, links []Link) []Finding {
	var list []Finding
	four := false
	for _, v := range cfg.VIPs {
		for _, a := range v.Addresses {
			if v.Mode != config.ModeBGP {
				continue
			}
			four = four || vrrp.FamilyOf(a) == vrrp.IPv4
			i := slices.IndexFunc(links, func(l Link) bool { return !l.Loopback && l.subnet(a) >= 0 })
			if i >= 0 {
				list = append(list, found("bgp-vip-in-subnet", v.Name, fmt.Sprintf("%s is in a subnet of %s", a, links[i].Name), "choose an address outside of it, or mode = \"vrrp\""))
			}
		}
	}
	if four && !slices.ContainsFunc(links, func(l Link) bool { return l.Default }) {
		list = append(list, found("bgp-no-way-back", "routes", "there is no IPv4 default route", "ip route add default via ROUTER; and in the network configuration of the host"))
	}
	return list
}

func checkSessions(s control.Status) []Finding {
	var list []Finding
	carried := false
	for _, x := range s.Sessions {
		if x.State == "Established" {
			carried = carried || x.Routes > 0
			continue
		}
		why := x.Problem
		if why == "" {
			why = "no more is known yet"
		}
		list = append(list, found("bgp-session-down", x.Peer, fmt.Sprintf("AS %d, %s: %s", x.AS, x.State, why), "see vipd history, and the router's own log"))
	}
	if len(list) > 0 || carried {
		return list
	}
	for _, r := range s.Routers {
		if r.Mode == "bgp" && r.State == "Active" && len(r.Addresses) > 0 {
			f := vrrp.IPv4
			if a, err := netip.ParseAddr(r.Addresses[0]); err == nil {
				f = vrrp.FamilyOf(a)
			}
			list = append(list, found("bgp-family-missing", r.VIP, fmt.Sprintf("no session carries %s routes", f), "turn that family on at the router, and add it to families"))
		}
	}
	return list
}
