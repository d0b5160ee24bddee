package doctor

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/vipd/vipd/vrrp"
)

// sysctl returns a setting of an interface; 0 if it cannot be read, as where there is
// no IPv6.
func (p *patient) sysctl(proto, name, key string) int {
	b, err := p.Files.Read("/proc/sys/net/" + proto + "/conf/" + name + "/" + key)
	if err != nil {
		return 0
	}
	n, _ := strconv.Atoi(strings.TrimSpace(string(b)))
	return n
}

// effective is what the kernel goes by: the higher of the two.
func (p *patient) effective(l *Link, key string) int {
	return max(p.sysctl("ipv4", "all", key), p.sysctl("ipv4", l.Name, key))
}

func checkSysctls(_ context.Context, p *patient) ([]Finding, error) {
	places, err := p.places()
	if err != nil {
		return nil, err
	}
	links, err := p.links()
	if err != nil {
		return nil, err
	}
	var list []Finding
	seen := make(map[string]bool)
	for _, at := range places {
		if at.link == nil || at.family != vrrp.IPv4 || seen[at.link.Name] {
			continue
		}
		seen[at.link.Name] = true
		list = append(list, p.checkSysctl(at, links)...)
	}
	return list, nil
}

func (p *patient) checkSysctl(at place, links []Link) []Finding {
	l := at.link
	var list []Finding
	if p.effective(l, "rp_filter") == 1 && defaultElsewhere(l, links) {
		list = append(list, found("rp-filter-strict", l.Name, "rp_filter is strict, and the default route leads through another interface",
			fmt.Sprintf("sysctl -w net.ipv4.conf.%s.rp_filter=2, and the same in /etc/sysctl.d/90-vipd.conf", l.Name)))
	}
	if v := p.effective(l, "arp_ignore"); v == 2 || v == 8 {
		list = append(list, found("arp-ignore", l.Name, fmt.Sprintf("arp_ignore is %d: nobody is told where %s is", v, at.addrs[0]),
			fmt.Sprintf("sysctl -w net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.%s.arp_ignore=1, and the same in /etc/sysctl.d/90-vipd.conf", l.Name)))
	}
	if twin := sameSubnet(at, links); twin != "" {
		list = append(list, p.checkTwin(l, twin)...)
	}
	return list
}

// checkTwin looks at what matters where two interfaces are in one subnet.
func (p *patient) checkTwin(l *Link, twin string) []Finding {
	var list []Finding
	if p.effective(l, "arp_filter") == 1 {
		list = append(list, found("arp-filter", l.Name, fmt.Sprintf("arp_filter is 1, and %s is in the same subnet", twin),
			fmt.Sprintf("sysctl -w net.ipv4.conf.all.arp_filter=0 net.ipv4.conf.%s.arp_filter=0, and the same in /etc/sysctl.d/90-vipd.conf", l.Name)))
	}
	if p.effective(l, "arp_announce") == 0 {
		list = append(list, found("arp-announce", l.Name, fmt.Sprintf("arp_announce is 0, and %s is in the same subnet", twin),
			fmt.Sprintf("sysctl -w net.ipv4.conf.%s.arp_announce=2, and the same in /etc/sysctl.d/90-vipd.conf", l.Name)))
	}
	return list
}

func defaultElsewhere(l *Link, links []Link) bool {
	for _, o := range links {
		if o.Default {
			return !l.Default
		}
	}
	return false
}

// sameSubnet names another interface that has an address in the subnet of the VIP.
func sameSubnet(at place, links []Link) string {
	for _, o := range links {
		if o.Name != at.link.Name && !o.Loopback && o.Up && o.subnet(at.addrs[0]) >= 0 {
			return o.Name
		}
	}
	return ""
}
