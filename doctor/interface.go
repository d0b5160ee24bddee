package doctor

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"github.com/vipd/vipd/vrrp"
)

// minMTU6 is the smallest that IPv6 works with (RFC 8200, section 5).
const minMTU6 = 1280

func checkInterfaces(_ context.Context, p *patient) ([]Finding, error) {
	places, err := p.places()
	if err != nil {
		return nil, err
	}
	var list []Finding
	for _, at := range places {
		list = append(list, p.checkPlace(at)...)
	}
	return list, nil
}

func (p *patient) checkPlace(at place) []Finding {
	l := at.link
	switch {
	case l == nil && at.vip.Interface != "":
		return []Finding{found("interface-missing", at.String(), at.why, "mend interface in "+p.ConfigPath+": see ip -brief address")}
	case l == nil && len(at.several) > 1:
		return []Finding{found("interface-missing", at.String(), at.why, fmt.Sprintf("choose one: interface = %q in %s", at.several[0], p.ConfigPath))}
	case l == nil && len(at.dead) > 0:
		name := at.dead[0]
		return []Finding{found("interface-down", name, fmt.Sprintf("%s has no carrier, and %s", name, at.why),
			"look at its cable, switch port or bond; without a carrier the network manager may take its addresses off")}
	case l == nil:
		return []Finding{found("interface-missing", at.String(), at.why,
			"mend the address of the host, or name the interface in "+p.ConfigPath+": see ip -brief address")}
	case !l.Up:
		return []Finding{found("interface-down", l.Name, l.Name+" is down", "ip link set dev "+l.Name+" up")}
	}
	var list []Finding
	if !l.Carrier {
		list = append(list, found("interface-down", l.Name, l.Name+" has no carrier", "look at its cable, switch port or bond"))
	}
	if at.family == vrrp.IPv6 {
		list = append(list, p.checkIPv6(l)...)
	}
	if len(list) > 0 {
		return list
	}
	return checkOwnAddress(at)
}

func (p *patient) checkIPv6(l *Link) []Finding {
	var list []Finding
	if l.MTU < minMTU6 {
		list = append(list, found("mtu-too-small", l.Name, fmt.Sprintf("the MTU is %d, and IPv6 wants %d", l.MTU, minMTU6),
			fmt.Sprintf("ip link set dev %s mtu 1500", l.Name)))
	} else if p.sysctl("ipv6", l.Name, "disable_ipv6") == 1 {
		list = append(list, found("ipv6-disabled", l.Name, "IPv6 is turned off", fmt.Sprintf("sysctl -w net.ipv6.conf.%s.disable_ipv6=0", l.Name)))
	}
	return list
}

// checkOwnAddress wants an address to send from, and one in the subnet of each VIP.
func checkOwnAddress(at place) []Finding {
	l := at.link
	own := slices.ContainsFunc(l.Addrs, func(a netip.Prefix) bool {
		return vrrp.FamilyOf(a.Addr()) == at.family && !slices.Contains(at.addrs, a.Addr()) &&
			(at.family == vrrp.IPv4 || a.Addr().IsLinkLocalUnicast())
	})
	if !own {
		what := "no IPv4 address of its own"
		if at.family == vrrp.IPv6 {
			what = "no link-local IPv6 address"
		}
		return []Finding{found("interface-no-address", l.Name, l.Name+" has "+what, "give it one in the network configuration of the host")}
	}
	var list []Finding
	for _, a := range at.addrs {
		if l.subnet(a) < 0 {
			list = append(list, found("interface-no-address", l.Name, fmt.Sprintf("no address of %s is in the subnet of %s", l.Name, a),
				fmt.Sprintf("give %s an address in that subnet, or choose a VIP in its own", l.Name)))
		}
	}
	return list
}
