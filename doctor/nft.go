package doctor

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/vipd/vipd/vrrp"
)

// nftObject is an element of what nft -j list ruleset prints.
type nftObject struct {
	Chain *struct {
		Family, Table, Name, Hook, Policy string
	}
	Rule *struct {
		Family, Table, Chain string
		Handle               int
		Expr                 []map[string]json.RawMessage
	}
}

// readNft makes the tables of a ruleset that a packet meets.
func readNft(text []byte, p probePacket) ([]*table, error) {
	var doc struct{ Nftables []nftObject }
	if err := json.Unmarshal(text, &doc); err != nil {
		return nil, fmt.Errorf("understand nft -j list ruleset: %w", err)
	}
	var list []*table
	byName := make(map[string]*table)
	for _, o := range doc.Nftables {
		switch {
		case o.Chain != nil && concerns(o.Chain.Family, p.family):
			name := o.Chain.Family + " " + o.Chain.Table
			t, ok := byName[name]
			if !ok {
				t = &table{name: name, chains: make(map[string]*chain)}
				byName[name] = t
				list = append(list, t)
			}
			t.chains[o.Chain.Name] = &chain{name: o.Chain.Name, hook: o.Chain.Hook, policy: o.Chain.Policy}
			t.order = append(t.order, o.Chain.Name)
		case o.Rule != nil:
			t, ok := byName[o.Rule.Family+" "+o.Rule.Table]
			if !ok {
				continue
			}
			if c, ok := t.chains[o.Rule.Chain]; ok {
				c.rules = append(c.rules, nftRules(fmt.Sprintf("rule %d of chain %s", o.Rule.Handle, c.name), o.Rule.Expr, p)...)
			}
		}
	}
	return list, nil
}

// concerns tells whether a table's family sees packets of f.
func concerns(table string, f vrrp.Family) bool {
	switch table {
	case "inet":
		return true
	case "ip":
		return f == vrrp.IPv4
	case "ip6":
		return f == vrrp.IPv6
	}
	return false
}

// nftRules judges a rule. A verdict map becomes a rule for each of its verdicts.
func nftRules(text string, exprs []map[string]json.RawMessage, p probePacket) []rule {
	match := yes
	for _, e := range exprs {
		for kind, body := range e {
			switch kind {
			case "match":
				match = min(match, nftMatch(body, p))
			case "accept", "drop", "return":
				return []rule{{text, match, kind, ""}}
			case "reject":
				return []rule{{text, match, "drop", ""}}
			case "jump", "goto":
				return []rule{{text, match, kind, target(body)}}
			case "vmap":
				return nftMap(text, match, body, p)
			case "xt":
				match = min(match, unknown)
			}
		}
	}
	return nil
}

func target(body json.RawMessage) string {
	var to struct{ Target string }
	_ = json.Unmarshal(body, &to) // what is not understood leads nowhere
	return to.Target
}

func nftMap(text string, match tri, body json.RawMessage, p probePacket) []rule {
	var m struct {
		Key  json.RawMessage
		Data struct{ Set [][2]json.RawMessage }
	}
	if json.Unmarshal(body, &m) != nil {
		return nil // a map by name: what is in it may change
	}
	var list []rule
	for _, pair := range m.Data.Set {
		var verdict map[string]json.RawMessage
		if json.Unmarshal(pair[1], &verdict) != nil {
			continue
		}
		for kind, where := range verdict {
			r := rule{text, min(match, compare(m.Key, pair[0], p)), kind, ""}
			if kind == "jump" || kind == "goto" {
				r.target = target(where)
			}
			list = append(list, r)
		}
	}
	return list
}

func nftMatch(body json.RawMessage, p probePacket) tri {
	var m struct {
		Op          string
		Left, Right json.RawMessage
	}
	if json.Unmarshal(body, &m) != nil {
		return unknown
	}
	switch m.Op {
	case "==", "in":
		return compare(m.Left, m.Right, p)
	case "!=":
		return compare(m.Left, m.Right, p).not()
	}
	return unknown
}

// compare holds what a rule asks of a packet against what it wants.
func compare(left, right json.RawMessage, p probePacket) tri {
	var l struct {
		Meta    *struct{ Key string }
		CT      *struct{ Key string }
		Payload *struct{ Protocol, Field string }
	}
	if json.Unmarshal(left, &l) != nil {
		return unknown
	}
	switch {
	case l.Meta != nil:
		return p.meta(l.Meta.Key, right)
	case l.CT != nil && l.CT.Key == "state":
		return p.state(right)
	case l.CT != nil && l.CT.Key == "status":
		return status(right)
	case l.Payload != nil:
		return p.payload(l.Payload.Protocol, l.Payload.Field, right)
	}
	return unknown
}

func (p probePacket) meta(key string, right json.RawMessage) tri {
	switch key {
	case "l4proto":
		return any1(right, func(s string) tri { return truth(isVRRP(s)) })
	case "iif", "iifname":
		return any1(right, func(s string) tri { return p.interfaceIs(s, !p.out) })
	case "oif", "oifname":
		return any1(right, func(s string) tri { return p.interfaceIs(s, p.out) })
	case "nfproto", "protocol":
		return any1(right, func(s string) tri {
			return truth((s == "ip" || s == "ipv4") == (p.family == vrrp.IPv4))
		})
	case "pkttype":
		return any1(right, func(s string) tri {
			if p.out {
				return unknown
			}
			return truth((s == "multicast") == !p.unicast && (s == "host") == p.unicast)
		})
	}
	return unknown
}

func (p probePacket) interfaceIs(name string, direction bool) tri {
	if !direction {
		return no
	}
	if prefix, wild := strings.CutSuffix(name, "*"); wild {
		return truth(strings.HasPrefix(p.link, prefix))
	}
	return truth(name == p.link)
}

// state: multicast is always new to connection tracking; a unicast packet counts as an
// answer for as long as this server sends too.
func (p probePacket) state(right json.RawMessage) tri {
	return any1(right, func(s string) tri {
		switch s {
		case "new":
			return yes
		case "established":
			if p.unicast {
				return unknown
			}
		}
		return no
	})
}

// status: nobody translates the addresses of an advertisement, and nothing else is asked of
// its connection that the text of a rule tells.
func status(right json.RawMessage) tri {
	return any1(right, func(s string) tri {
		if s == "dnat" || s == "snat" {
			return no
		}
		return unknown
	})
}

func (p probePacket) payload(protocol, field string, right json.RawMessage) tri {
	switch protocol {
	case "ip", "ip6":
	case "ether":
		return unknown
	default:
		return no // tcp, udp, icmp, ...: a rule for another protocol
	}
	if (protocol == "ip") != (p.family == vrrp.IPv4) {
		return no
	}
	switch field {
	case "protocol", "nexthdr":
		return any1(right, func(s string) tri { return truth(isVRRP(s)) })
	case "saddr":
		return any1(right, p.source)
	case "daddr":
		return any1(right, p.destination)
	}
	return unknown
}

func (p probePacket) destination(s string) tri {
	if prefix, err := netip.ParsePrefix(s); err == nil {
		if p.unicast && !p.dst.IsValid() {
			return unknown
		}
		return truth(prefix.Contains(p.dst))
	}
	a, err := netip.ParseAddr(s)
	if err != nil || !p.dst.IsValid() {
		return unknown
	}
	return truth(a == p.dst)
}

// any1 asks each value of the right side: one, a list, or a set. A set by name, or what
// is written in another way, is not known.
func any1(right json.RawMessage, is func(string) tri) tri {
	var v any
	d := json.NewDecoder(strings.NewReader(string(right)))
	d.UseNumber()
	if d.Decode(&v) != nil {
		return unknown
	}
	return anyOf(v, is)
}

func anyOf(v any, is func(string) tri) tri {
	switch v := v.(type) {
	case string:
		if strings.HasPrefix(v, "@") {
			return unknown
		}
		return is(v)
	case json.Number:
		return is(v.String())
	case []any:
		best := no
		for _, x := range v {
			best = max(best, anyOf(x, is))
		}
		return best
	case map[string]any:
		return anyObject(v, is)
	}
	return unknown
}

func anyObject(v map[string]any, is func(string) tri) tri {
	if set, ok := v["set"]; ok {
		return anyOf(set, is)
	}
	if elem, ok := v["elem"].(map[string]any); ok {
		return anyOf(elem["val"], is)
	}
	if prefix, ok := v["prefix"].(map[string]any); ok {
		return is(fmt.Sprintf("%v/%v", prefix["addr"], prefix["len"]))
	}
	if r, ok := v["range"].([]any); ok && len(r) == 2 {
		return inRange(fmt.Sprint(r[0]), fmt.Sprint(r[1]), is)
	}
	return unknown
}

// inRange knows ranges of protocol numbers.
func inRange(from, to string, is func(string) tri) tri {
	low, err := strconv.Atoi(from)
	if err != nil {
		return unknown
	}
	high, err := strconv.Atoi(to)
	if err != nil {
		return unknown
	}
	best := no
	for n := low; n <= high && n < 256; n++ {
		best = max(best, is(strconv.Itoa(n)))
	}
	return best
}
