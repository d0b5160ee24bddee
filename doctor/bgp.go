package doctor

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

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
			"The families that each session which is up has agreed on, against those of its `families` that VIPs are announced in.",
			"Turn the family on at the router (FRR: `address-family ipv6 unicast`, `neighbor activate`; BIRD: a channel `ipv6`), or take it out of `families`."},
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
	return append(list, checkSessions(cfg.BGP, s)...), nil
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

func checkSessions(cfg *config.BGP, s control.Status) []Finding {
	var list []Finding
	for _, x := range s.Sessions {
		if x.State != "Established" {
			why := cmp.Or(x.Problem, "no more is known yet")
			list = append(list, found("bgp-session-down", x.Peer, fmt.Sprintf("AS %d, %s: %s", x.AS, x.State, why), "see vipd history, and the router's own log"))
			continue
		}
		list = append(list, checkFamilies(cfg, s.Routers, x)...)
	}
	return list
}

// checkFamilies looks for VIPs that a session which is up tells nothing of, although it is
// configured to. An agent of an older release does not say what was agreed on.
func checkFamilies(cfg *config.BGP, routers []control.Router, x control.Session) []Finding {
	var list []Finding
	var due []string
	for _, f := range familiesOf(cfg, x) {
		vips := announced(routers, f)
		if len(vips) == 0 || len(x.Families) == 0 || slices.Contains(x.Families, f.String()) {
			due = append(due, vips...)
			continue
		}
		list = append(list, found("bgp-family-missing", x.Peer, fmt.Sprintf("the session is up and carries no %v routes: the router does not hear of %s", f, strings.Join(vips, ", ")),
			fmt.Sprintf("turn %[1]v on at the router (FRR: address-family %[2]s unicast, neighbor activate; BIRD: a channel %[2]s)", f, strings.ToLower(f.String()))))
	}
	if x.Routes == 0 && len(due) > 0 || x.Routes < len(due) && x.Problem != "" {
		why := cmp.Or(x.Problem, "no more is known")
		list = append(list, found("bgp-family-missing", x.Peer, fmt.Sprintf("the session is up and carries %d routes of %d (%s): %s", x.Routes, len(due), strings.Join(due, ", "), why),
			"give this host an address of that family on the interface to the router, or the peer next_hop_ipv4 or next_hop_ipv6"))
	}
	return list
}

// familiesOf are what is configured for a session.
func familiesOf(cfg *config.BGP, x control.Session) []vrrp.Family {
	for _, p := range cfg.Peers {
		if p.Address.String() == x.Peer {
			return p.Families
		}
	}
	return nil
}

// announced are the addresses of a family that this host announces.
func announced(routers []control.Router, f vrrp.Family) []string {
	var list []string
	for _, r := range routers {
		if r.Mode == "bgp" && r.State == "Active" && r.Family == f.String() {
			list = append(list, r.Addresses...)
		}
	}
	return list
}
