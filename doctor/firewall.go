package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"slices"
	"strings"

	"github.com/vipd/vipd/vrrp"
)

// firewallTexts are the rules of the host as the tools print them.
type firewallTexts struct {
	nft, ip, ip6 []byte
}

func checkFirewall(ctx context.Context, p *patient) ([]Finding, error) {
	places, err := p.places()
	if err != nil {
		return nil, err
	}
	texts, err := p.firewallTexts(ctx)
	if err != nil {
		return nil, err
	}
	var list []Finding
	seen := make(map[string]bool)
	for _, at := range places {
		if at.link == nil {
			continue
		}
		for _, packet := range at.packets() {
			dropped, err := texts.follow(at, packet)
			if err != nil {
				return list, err
			}
			for _, f := range dropped {
				if key := f.Subject + f.Evidence; !seen[key] {
					seen[key] = true
					list = append(list, f)
				}
			}
		}
	}
	return list, nil
}

// firewallTexts runs the tools that are there.
func (p *patient) firewallTexts(ctx context.Context) (firewallTexts, error) {
	var t firewallTexts
	missing := 0
	for _, tool := range []struct {
		into *[]byte
		name string
		args []string
	}{
		{&t.nft, "nft", []string{"-j", "list", "ruleset"}},
		{&t.ip, "iptables-save", nil},
		{&t.ip6, "ip6tables-save", nil},
	} {
		out, err := p.Commands.Run(ctx, tool.name, tool.args...)
		switch {
		case errors.Is(err, exec.ErrNotFound):
			missing++
		case err != nil:
			return t, fmt.Errorf("read the rules of the firewall: %w", err)
		}
		*tool.into = out
	}
	if missing == 3 {
		return t, errors.New("cannot read the rules of the firewall: there is neither nft nor iptables-save")
	}
	return t, nil
}

// packets are the advertisements that have to pass.
func (at place) packets() []probePacket {
	if len(at.peers()) == 0 {
		group := at.family.Group()
		return []probePacket{{family: at.family, from: at.senders(), dst: group, link: at.link.Name}, {family: at.family, dst: group, link: at.link.Name, out: true}}
	}
	var own netip.Addr
	for _, a := range at.link.Addrs {
		if vrrp.FamilyOf(a.Addr()) == at.family && !at.has(a.Addr()) && !a.Addr().IsLinkLocalUnicast() {
			own = a.Addr()
			break
		}
	}
	list := []probePacket{{family: at.family, dst: own, link: at.link.Name, unicast: true}}
	for _, peer := range at.peers() {
		if peer != own {
			list[0].from = append(list[0].from, netip.PrefixFrom(peer, peer.BitLen()))
			list = append(list, probePacket{family: at.family, dst: peer, link: at.link.Name, out: true, unicast: true})
		}
	}
	return list
}

// follow follows a packet through all tables.
func (t firewallTexts) follow(at place, p probePacket) ([]Finding, error) {
	var tables []*table
	if len(t.nft) > 0 {
		list, err := readNft(t.nft, p)
		if err != nil {
			return nil, err
		}
		tables = list
	}
	if text := t.legacy(p.family); len(text) > 0 {
		// nft shows the rules of iptables-nft too, but not all that they ask.
		tables = slices.DeleteFunc(tables, (*table).ofIptables)
		tables = append(tables, readIptables(text, p)...)
	}
	hooks := []string{"prerouting", "input"}
	if p.out {
		hooks = []string{"output", "postrouting"}
	}
	var list []Finding
	for _, table := range tables {
		for _, hook := range hooks {
			if where, dropped := table.drops(hook); dropped {
				list = append(list, firewallFinding(at, p, table, hook, where))
			}
		}
	}
	return list, nil
}

func (t firewallTexts) legacy(f vrrp.Family) []byte {
	if f == vrrp.IPv6 {
		return t.ip6
	}
	return t.ip
}

func firewallFinding(at place, p probePacket, t *table, hook, where string) Finding {
	way := "come in"
	if p.out {
		way = "go out"
	}
	evidence := fmt.Sprintf("%s advertisements do not %s on %s: table %s, %s", at.family, way, p.link, t.name, where)
	return found("firewall-drops", at.String(), evidence, at.firewallRemedy(p, t, hook, where))
}

// firewallRemedy speaks to whoever made the rules.
func (at place) firewallRemedy(p probePacket, t *table, hook, where string) string {
	switch {
	case t.ofFirewalld():
		return "firewall-cmd --permanent --add-service=vipd --zone=$(firewall-cmd --get-zone-of-interface=" + p.link + ") && firewall-cmd --reload"
	case t.ofUfw():
		const older = " (before ufw 0.36.2: see /usr/share/doc/vipd/examples/ufw.txt)"
		if p.out {
			return "ufw allow out proto vrrp from any to any" + older
		}
		return "ufw allow proto vrrp from " + at.allowed(p) + older
	}
	if tool, name, ok := strings.Cut(t.name, " "); ok && strings.HasSuffix(tool, "tables") {
		return fmt.Sprintf("%s -t %s -I %s -p 112 -j ACCEPT, and save that", tool, name, strings.ToUpper(hook))
	}
	chain := where[strings.LastIndex(where, " ")+1:]
	return fmt.Sprintf("nft insert rule %s %s meta l4proto 112 accept, and put it into /etc/nftables.conf (see /usr/share/doc/vipd/examples/vipd.nft)", t.name, chain)
}

// senders are the networks that multicast advertisements come from.
func (at place) senders() []netip.Prefix {
	if at.family == vrrp.IPv6 {
		return []netip.Prefix{netip.MustParsePrefix("fe80::/10")}
	}
	return at.subnets()
}

// subnets are those of the interface, in the family.
func (at place) subnets() []netip.Prefix {
	var list []netip.Prefix
	for _, a := range at.link.Addrs {
		if vrrp.FamilyOf(a.Addr()) == at.family && !a.IsSingleIP() && !a.Addr().IsLinkLocalUnicast() && !slices.Contains(list, a.Masked()) {
			list = append(list, a.Masked())
		}
	}
	return list
}

// allowed is the network that a rule has to let advertisements come from.
func (at place) allowed(p probePacket) string {
	networks := at.senders()
	if p.unicast {
		networks = at.subnets()
	}
	if len(networks) != 1 {
		return "any"
	}
	return networks[0].String()
}
