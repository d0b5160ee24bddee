package doctor

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/vipd/vipd/vrrp"
)

func incoming(f vrrp.Family) probePacket {
	return place{family: f, link: healthy().eth0()}.packets()[0]
}

// nftTable wraps the rules of an input chain, and those of another chain, as nft prints them.
func nftTable(family, policy, rules string) string {
	return `{"nftables":[{"chain":{"family":"` + family + `","table":"t","name":"input","hook":"input","policy":"` + policy + `"}},
{"chain":{"family":"` + family + `","table":"t","name":"other"}},
{"rule":{"family":"` + family + `","table":"t","chain":"other","handle":9,"expr":[{"match":{"op":"==","left":{"meta":{"key":"l4proto"}},"right":112}},{"accept":null}]}},
{"rule":{"family":"` + family + `","table":"t","chain":"input","handle":1,"expr":[` + rules + `]}}]}`
}

func TestNft(t *testing.T) {
	match := func(left, right string) string {
		return `{"match":{"op":"==","left":` + left + `,"right":` + right + `}},`
	}
	const (
		l4proto, ifname = `{"meta":{"key":"l4proto"}}`, `{"meta":{"key":"iifname"}}`
		saddr, daddr    = `{"payload":{"protocol":"ip","field":"saddr"}}`, `{"payload":{"protocol":"ip","field":"daddr"}}`
	)
	for name, tt := range map[string]struct {
		family, policy, rules string
		drops                 bool
	}{
		"policy":                {"inet", "drop", `{"counter":{"packets":1,"bytes":2}}`, true},
		"policy accepts":        {"inet", "accept", `{"counter":null}`, false},
		"another family":        {"ip6", "drop", `{"counter":null}`, false},
		"protocol by number":    {"inet", "drop", match(l4proto, "112") + `{"accept":null}`, false},
		"protocol by name":      {"inet", "drop", match(l4proto, `"vrrp"`) + `{"accept":null}`, false},
		"protocol in a set":     {"inet", "drop", match(l4proto, `{"set":[6,17,"vrrp"]}`) + `{"accept":null}`, false},
		"protocol in a range":   {"inet", "drop", match(l4proto, `{"range":[100,120]}`) + `{"accept":null}`, false},
		"another protocol":      {"inet", "drop", match(l4proto, `"tcp"`) + `{"accept":null}`, true},
		"not another protocol":  {"inet", "accept", `{"match":{"op":"!=","left":` + l4proto + `,"right":{"set":["tcp","udp"]}}},{"drop":null}`, true},
		"group":                 {"ip", "accept", match(daddr, `"224.0.0.18"`) + `{"drop":null}`, true},
		"range of groups":       {"ip", "accept", match(daddr, `{"prefix":{"addr":"224.0.0.0","len":4}}`) + `{"reject":null}`, true},
		"another group":         {"ip", "accept", match(daddr, `"224.0.0.5"`) + `{"drop":null}`, false},
		"this interface":        {"inet", "accept", match(ifname, `"eth*"`) + `{"drop":null}`, true},
		"another interface":     {"inet", "accept", match(ifname, `"eth1"`) + `{"drop":null}`, false},
		"named set of friends":  {"inet", "drop", match(saddr, `"@servers"`) + `{"accept":null}`, false},
		"named set of enemies":  {"inet", "accept", match(saddr, `"@bad"`) + `{"drop":null}`, false},
		"from here":             {"inet", "drop", match(saddr, `{"set":["203.0.113.1",{"prefix":{"addr":"198.51.100.0","len":24}}]}`) + `{"accept":null}`, false},
		"from one of them":      {"inet", "drop", match(saddr, `"198.51.100.12"`) + `{"accept":null}`, false},
		"from elsewhere":        {"inet", "drop", match(saddr, `{"prefix":{"addr":"192.0.2.0","len":24}}`) + `{"accept":null}`, true},
		"from everywhere else":  {"inet", "accept", `{"match":{"op":"!=","left":` + saddr + `,"right":{"prefix":{"addr":"192.0.2.0","len":24}}}},{"drop":null}`, true},
		"established alone":     {"inet", "drop", match(`{"ct":{"key":"state"}}`, `["established","related"]`) + `{"accept":null}`, true},
		"what was translated":   {"inet", "drop", `{"match":{"op":"in","left":{"ct":{"key":"status"}},"right":"dnat"}},{"accept":null}`, true}, // of firewalld
		"translated either way": {"inet", "drop", match(`{"ct":{"key":"status"}}`, `{"set":["snat","dnat"]}`) + `{"accept":null}`, true},
		"another status":        {"inet", "drop", match(`{"ct":{"key":"status"}}`, `"confirmed"`) + `{"accept":null}`, false},
		"map of states":         {"inet", "drop", `{"vmap":{"key":{"ct":{"key":"state"}},"data":{"set":[["established",{"accept":null}],["invalid",{"drop":null}]]}}}`, true},
		"map of protocols":      {"inet", "drop", `{"vmap":{"key":` + l4proto + `,"data":{"set":[["vrrp",{"jump":{"target":"other"}}]]}}}`, false},
		"jump":                  {"inet", "drop", `{"jump":{"target":"other"}}`, false},
		"return, perhaps": {"inet", "accept", match(`{"fib":{"result":"type"}}`, `"multicast"`) + `{"return":null}]}},
{"rule":{"family":"inet","table":"t","chain":"input","handle":2,"expr":[{"drop":null}`, false},
		"jump into the same chain": {"inet", "drop", `{"jump":{"target":"input"}}`, false}, // nft has none; it must end
		"of another protocol":      {"inet", "accept", match(`{"payload":{"protocol":"udp","field":"dport"}}`, "53") + `{"drop":null}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			tables, err := readNft([]byte(nftTable(tt.family, tt.policy, tt.rules)), incoming(vrrp.IPv4))
			if err != nil {
				t.Fatal(err)
			}
			dropped := false
			for _, table := range tables {
				_, now := table.drops("input")
				dropped = dropped || now
			}
			if dropped != tt.drops {
				t.Errorf("dropped: %v", dropped)
			}
		})
	}
}

const savedRules = `# Generated by iptables-save
*filter
:INPUT DROP [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:ufw-before-input - [0:0]
-A INPUT -i lo -j ACCEPT
-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A INPUT -j ufw-before-input
-A ufw-before-input ! -p tcp -j RETURN
-A ufw-before-input -p tcp -m tcp --dport 22 -j ACCEPT
`

func TestIptables(t *testing.T) {
	for name, tt := range map[string]struct {
		more   string
		family vrrp.Family
		drops  bool
	}{
		"policy":           {"", vrrp.IPv4, true},
		"protocol":         {"-A INPUT -p vrrp -j ACCEPT\n", vrrp.IPv4, false},
		"number and group": {"-A INPUT -d 224.0.0.18/32 -i eth+ -p 112 -m comment --comment \"the election\" -j ACCEPT\n", vrrp.IPv4, false},
		"another group":    {"-A INPUT -d 224.0.0.5/32 -p 112 -j ACCEPT\n", vrrp.IPv4, true},
		"from a set":       {"-A INPUT -p 112 -m set --match-set servers src -j ACCEPT\n", vrrp.IPv4, false},
		"IPv6":             {"-A INPUT -d ff02::12/128 -p vrrp -j ACCEPT\n", vrrp.IPv6, false},
		"from here":        {"-A INPUT -s 198.51.0.0/16 -p vrrp -j ACCEPT\n", vrrp.IPv4, false},
		"from a peer":      {"-A INPUT -s 198.51.100.12/32 -p vrrp -j ACCEPT\n", vrrp.IPv4, false},
		"from elsewhere":   {"-A INPUT -s 192.0.2.0/24 -p vrrp -j ACCEPT\n", vrrp.IPv4, true},
		"not from there":   {"-A INPUT ! -s 192.0.2.0/24 -p vrrp -j ACCEPT\n", vrrp.IPv4, false},
		"from a link":      {"-A INPUT -s fe80::/10 -p vrrp -j ACCEPT\n", vrrp.IPv6, false},
		"from no link":     {"-A INPUT -s 2001:db8::/64 -p vrrp -j ACCEPT\n", vrrp.IPv6, true},
		"to many":          {"-A INPUT -m addrtype --dst-type MULTICAST -j ACCEPT\n", vrrp.IPv4, false},
		"to this host":     {"-A INPUT -m addrtype --dst-type LOCAL -j ACCEPT\n", vrrp.IPv4, true},
		"not eth0":         {"-A INPUT ! -i eth0 -p vrrp -j ACCEPT\n", vrrp.IPv4, true},
	} {
		tables := readIptables([]byte(savedRules+tt.more+"COMMIT\n"), incoming(tt.family))
		if len(tables) != 1 {
			t.Fatalf("%s: %d tables", name, len(tables))
		}
		if where, dropped := tables[0].drops("input"); dropped != tt.drops {
			t.Errorf("%s: dropped: %v, %s", name, dropped, where)
		}
		if _, dropped := tables[0].drops("output"); dropped {
			t.Errorf("%s: dropped on the way out", name)
		}
	}
}

// The remedy speaks the language of whoever made the rules.
func TestFirewallRemedy(t *testing.T) {
	at := place{link: healthy().eth0()}
	const older = " (before ufw 0.36.2: see /usr/share/doc/vipd/examples/ufw.txt)"
	for name, tt := range map[string]struct {
		table  table
		packet probePacket
		want   string
	}{
		"firewalld":             {table{name: "inet firewalld"}, incoming(vrrp.IPv4), "firewall-cmd --permanent --add-service=vipd --zone=$(firewall-cmd --get-zone-of-interface=eth0) && firewall-cmd --reload"},
		"firewalld by iptables": {withChain("INPUT_ZONES"), incoming(vrrp.IPv4), "firewall-cmd --permanent --add-service=vipd --zone=$(firewall-cmd --get-zone-of-interface=eth0) && firewall-cmd --reload"},
		"iptables":              {table{name: "iptables filter"}, incoming(vrrp.IPv4), "iptables -t filter -I INPUT -p 112 -j ACCEPT, and save that"},
		"nft":                   {table{name: "inet t"}, incoming(vrrp.IPv4), "nft insert rule inet t in meta l4proto 112 accept, and put it into /etc/nftables.conf (see /usr/share/doc/vipd/examples/vipd.nft)"},
		"ufw":                   {withChain("ufw-user-input"), incoming(vrrp.IPv4), "ufw allow proto vrrp from 198.51.100.0/24" + older},
		"ufw, IPv6":             {withChain("ufw6-user-input"), incoming(vrrp.IPv6), "ufw allow proto vrrp from fe80::/10" + older},
		"ufw, out":              {withChain("ufw-user-output"), probePacket{family: vrrp.IPv4, out: true}, "ufw allow out proto vrrp from any to any" + older},
	} {
		at.family = tt.packet.family
		if got := at.firewallRemedy(tt.packet, &tt.table, "input", "rule 3 of chain in"); got != tt.want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func withChain(name string) table {
	return table{name: "iptables filter", chains: map[string]*chain{name: {}}}
}

// With peers each has to be reached, and what comes from them be let in.
func TestUnicastPackets(t *testing.T) {
	f := healthy()
	at := place{family: vrrp.IPv4, addrs: []netip.Addr{theVIP}, link: f.eth0()}
	at.vip.Peers = []netip.Addr{netip.MustParseAddr("198.51.100.11"), peerAddr} // itself too
	got := at.packets()
	if len(got) != 2 || got[0].out || len(got[0].from) != 1 || got[0].from[0].Addr() != peerAddr || got[0].dst.String() != "198.51.100.11" || !got[1].out || got[1].dst != peerAddr {
		t.Errorf("%+v", got)
	}
}

// Rules that iptables put into nftables are judged once, by what iptables-save says.
func TestIptablesInNftables(t *testing.T) {
	texts := firewallTexts{nft: []byte(strings.ReplaceAll(dropAll, "input", "INPUT")), ip: []byte(savedRules + "-A INPUT -p 112 -j ACCEPT\n")}
	at := place{family: vrrp.IPv4, addrs: []netip.Addr{theVIP}, link: healthy().eth0()}
	if found, err := texts.follow(at, incoming(vrrp.IPv4)); err != nil || len(found) > 0 {
		t.Errorf("%+v, %v", found, err)
	}
}

func FuzzRules(f *testing.F) {
	f.Add([]byte(dropAll), true)
	f.Add([]byte(savedRules), false)
	f.Fuzz(func(_ *testing.T, text []byte, nft bool) {
		if !nft {
			for _, table := range readIptables(text, incoming(vrrp.IPv6)) {
				table.drops("input")
			}
			return
		}
		tables, err := readNft(text, incoming(vrrp.IPv4))
		if err != nil {
			return
		}
		for _, table := range tables {
			table.drops("input")
		}
	})
}
