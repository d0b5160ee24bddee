package doctor

import (
	"net/netip"
	"strings"

	"github.com/vipd/vipd/vrrp"
)

// readIptables makes the tables of what iptables-save or ip6tables-save printed.
func readIptables(text []byte, p probePacket) []*table {
	family := "iptables "
	if p.family == vrrp.IPv6 {
		family = "ip6tables "
	}
	var list []*table
	var t *table
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "*"):
			t = &table{name: family + line[1:], chains: make(map[string]*chain)}
			list = append(list, t)
		case t == nil:
		case strings.HasPrefix(line, ":"):
			name, rest, _ := strings.Cut(line[1:], " ")
			policy, _, _ := strings.Cut(rest, " ")
			c := &chain{name: name, policy: strings.ToLower(policy)}
			if policy != "-" {
				c.hook = strings.ToLower(name)
			}
			t.chains[name] = c
			t.order = append(t.order, name)
		case strings.HasPrefix(line, "-A "):
			fields := strings.Fields(line)
			if c, ok := t.chains[fields[1]]; ok {
				c.rules = append(c.rules, iptablesRule(line, fields[2:], p))
			}
		}
	}
	return list
}

// iptablesRule judges a rule. What it asks besides is not known.
func iptablesRule(text string, fields []string, p probePacket) rule {
	r := rule{text: text, match: yes}
	negated := false
	for i := 0; i < len(fields); i++ {
		value := ""
		if i+1 < len(fields) {
			value = fields[i+1]
		}
		m := yes
		switch f := fields[i]; f {
		case "!":
			negated = true
			continue
		case "-p", "--protocol":
			m, i = truth(isVRRP(value) || value == "all"), i+1
		case "-i", "-o":
			m, i = p.interfaceIs(strings.Replace(value, "+", "*", 1), (f == "-o") == p.out), i+1
		case "-s":
			m, i = p.source(value), i+1
		case "-d":
			m, i = p.iptablesDestination(value), i+1
		case "-j", "-g":
			r.jump(f, value)
			i++
		case "-m", "--comment":
			i++
		case "--ctstate", "--state":
			m, i = p.ctstate(value), i+1
		case "--dst-type":
			m, i = p.destinationType(value), i+1
		case "--pkt-type":
			m, i = truth(value == "multicast" && !p.unicast || value == "unicast" && p.unicast), i+1
		default:
			if strings.HasPrefix(f, "-") && r.verdict == "" {
				m = unknown
			}
		}
		if negated {
			m, negated = m.not(), false
		}
		r.match = min(r.match, m)
	}
	return r
}

func (r *rule) jump(how, to string) {
	switch to {
	case "ACCEPT":
		r.verdict = "accept"
	case "DROP", "REJECT":
		r.verdict = "drop"
	case "RETURN":
		r.verdict = "return"
	default:
		r.verdict, r.target = "jump", to
		if how == "-g" {
			r.verdict = "goto"
		}
	}
}

func (p probePacket) iptablesDestination(s string) tri {
	if prefix, err := netip.ParsePrefix(s); err == nil && prefix.IsSingleIP() {
		return p.destination(prefix.Addr().String())
	}
	return p.destination(s)
}

// destinationType knows the types of addrtype that an advertisement may have.
func (p probePacket) destinationType(s string) tri {
	switch s {
	case "MULTICAST":
		return truth(!p.unicast)
	case "LOCAL":
		return truth(p.unicast && !p.out)
	case "BROADCAST":
		return no
	}
	return unknown
}

func (p probePacket) ctstate(list string) tri {
	best := no
	for s := range strings.SplitSeq(list, ",") {
		switch {
		case s == "NEW":
			return yes
		case s == "ESTABLISHED" && p.unicast:
			best = unknown
		}
	}
	return best
}
