package doctor

import (
	"net/netip"
	"strings"

	"github.com/vipd/vipd/vrrp"
)

// probePacket is the advertisement that is followed through the rules.
type probePacket struct {
	family  vrrp.Family
	from    []netip.Prefix // who may have sent it, as far as that is known
	dst     netip.Addr
	link    string // that it comes in by, or goes out by
	out     bool
	unicast bool
}

// tri is what is known of a match: rules may ask what their text does not tell.
type tri int

const (
	no tri = iota
	unknown
	yes
)

func truth(b bool) tri {
	if b {
		return yes
	}
	return no
}

func (t tri) not() tri { return yes - t }

// rule is one of a chain, as judged for a packet.
type rule struct {
	text    string
	match   tri
	verdict string // accept, drop, return, jump, goto; "" goes on
	target  string
}

// chain is a list of rules. Only those with a hook are entered by packets.
type chain struct {
	name   string
	hook   string // input, output, prerouting, ...
	policy string // accept, drop
	rules  []rule
}

// table has the chains that may jump to each other.
type table struct {
	name   string // with its family, as in "inet filter"
	chains map[string]*chain
	order  []string
}

// drops tells whether the packet ends in the chains of the hook, and where. What may
// accept is taken to accept, and what may drop to let pass.
func (t *table) drops(hook string) (where string, dropped bool) {
	for _, name := range t.order {
		c := t.chains[name]
		if c.hook != hook {
			continue
		}
		verdict, by := t.walk(c, 0)
		if verdict == "" && c.policy == "drop" {
			verdict, by = "drop", "policy drop of chain "+c.name
		}
		if verdict == "drop" {
			return by, true
		}
	}
	return "", false
}

// ofIptables tells whether the table is one that iptables made in nftables.
func (t *table) ofIptables() bool {
	for name := range t.chains {
		if name == "INPUT" || name == "OUTPUT" || name == "PREROUTING" {
			return true
		}
	}
	return false
}

// ofFirewalld tells whether firewalld made the table, or by iptables chains of it.
func (t *table) ofFirewalld() bool {
	_, zones := t.chains["INPUT_ZONES"]
	return zones || strings.HasSuffix(t.name, " firewalld")
}

// ofUfw tells whether ufw made chains of the table.
func (t *table) ofUfw() bool {
	for name := range t.chains {
		if strings.HasPrefix(name, "ufw-") || strings.HasPrefix(name, "ufw6-") {
			return true
		}
	}
	return false
}

// maxDepth is how deep the kernel lets chains jump.
const maxDepth = 16

func (t *table) walk(c *chain, depth int) (verdict, by string) {
	if depth > maxDepth {
		return "accept", ""
	}
	comes := yes // the packet, to the rule
	for _, r := range c.rules {
		match := min(r.match, comes)
		if r.match == no || match == unknown && r.verdict == "drop" {
			continue
		}
		switch r.verdict {
		case "accept":
			return "accept", ""
		case "drop":
			return "drop", r.text
		case "return":
			if match == yes {
				return "", ""
			}
			comes = unknown
		case "jump", "goto":
			next, ok := t.chains[r.target]
			if !ok {
				continue
			}
			verdict, by = t.walk(next, depth+1)
			if verdict == "accept" || verdict == "drop" && match == yes {
				return verdict, by
			}
			if r.verdict == "goto" && match == yes {
				return "", ""
			}
			if r.verdict == "goto" {
				comes = unknown
			}
		}
	}
	return "", ""
}

// source judges who a rule wants the packet to be from, an address or a network.
func (p probePacket) source(s string) tri {
	asked, err := netip.ParsePrefix(s)
	if a, e := netip.ParseAddr(s); e == nil {
		asked, err = netip.PrefixFrom(a, a.BitLen()), nil
	}
	if err != nil || len(p.from) == 0 {
		return unknown
	}
	some, all := false, true
	for _, from := range p.from {
		some = some || asked.Overlaps(from)
		all = all && asked.Overlaps(from) && asked.Bits() <= from.Bits()
	}
	if all {
		return yes
	}
	return min(truth(some), unknown)
}

// isVRRP reads the ways in which rules name the protocol.
func isVRRP(s string) bool {
	switch strings.ToLower(s) {
	case "112", "vrrp", "carp":
		return true
	}
	return false
}
