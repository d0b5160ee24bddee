package config

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vipd/vipd/vrrp"
)

// commonBGP is a file whose peers share what [bgp] has.
const commonBGP = `
[[vip]]
mode = "bgp"
addresses = ["192.0.2.100"]
[bgp]
local_as = 64512
as = 64600
port = 1179
password_file = "/etc/vipd/keys/router"
ttl_security = 1
hold_time = "30s"
keepalive = "5s"
connect_retry = "2s"
bfd = "300ms"
families = ["ipv4", "ipv6"]
extended_next_hop = true
communities = ["64512:100"]
large_communities = ["64512:1:100"]
local_preference = 200
med = 7
worse_by = "med"
worse_step = 500
[[bgp.peer]]
address = "203.0.113.1"
[[bgp.peer]]
address = "203.0.113.2"
`

// TestBGPForAll: a peer has what [bgp] says, but for what it says itself.
func TestBGPForAll(t *testing.T) {
	c := parse(t, commonBGP+`as = 64601
password_credential = "router"
multihop = 3
hold_time = "15s"
bfd = ""
families = ["ipv4"]
communities = ["64512:200"]
large_communities = []
worse_by = "as-path"
`)
	common := BGPPeer{
		Address: netip.MustParseAddr("203.0.113.1"), AS: 64600, Port: 1179, Password: Key{File: "/etc/vipd/keys/router"}, TTLSecurity: 1,
		HoldTime: 30 * time.Second, Keepalive: 5 * time.Second, ConnectRetry: 2 * time.Second, BFD: 300 * time.Millisecond,
		Families: []vrrp.Family{vrrp.IPv4, vrrp.IPv6}, ExtendedNextHop: true,
		Communities: []uint32{64512<<16 | 100}, LargeCommunities: [][3]uint32{{64512, 1, 100}},
		LocalPreference: 200, MED: 7, WorseBy: WorseByMED, WorseStep: 500,
	}
	own := common
	own.Address, own.AS, own.Password = netip.MustParseAddr("203.0.113.2"), 64601, Key{Credential: "router"}
	own.Multihop, own.TTLSecurity, own.HoldTime, own.BFD = 3, 0, 15*time.Second, 0
	own.Families, own.Communities, own.LargeCommunities = []vrrp.Family{vrrp.IPv4}, []uint32{64512<<16 | 200}, nil
	own.WorseBy, own.WorseStep = WorseByPath, 4
	if diff := cmp.Diff([]BGPPeer{common, own}, c.BGP.Peers, addrs, cmp.AllowUnexported(BGPPeer{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestBGPPairs: the choice of a peer replaces that of [bgp] where the two exclude each other.
func TestBGPPairs(t *testing.T) {
	with := func(common, own string) BGPPeer {
		text := strings.Replace(minimalBGP, "local_as = 64512\n", "local_as = 64512\n"+common+"\n", 1) + own
		return parse(t, text).BGP.Peers[0]
	}
	if p := with(`password_credential = "all"`, `password_file = "/one"`); p.Password != (Key{File: "/one"}) {
		t.Errorf("password_file: %+v", p.Password)
	}
	if p := with(`password_file = "/all"`, `password_file = ""`); p.Password != (Key{}) {
		t.Errorf("no password: %+v", p.Password)
	}
	if p := with("multihop = 2", "ttl_security = 1"); p.Multihop != 0 || p.TTLSecurity != 1 {
		t.Errorf("ttl_security: %+v", p)
	}
	if p := with("ttl_security = 1", "multihop = 2"); p.Multihop != 2 || p.TTLSecurity != 0 {
		t.Errorf("multihop: %+v", p)
	}
	if p := with(`source = "eth1"`, ""); p.Source.IsValid() || p.SourceInterface != "eth1" {
		t.Errorf("source of all: %+v", p)
	}
	if p := with(`source = "eth1"`, `source = "203.0.113.11"`); p.Source != netip.MustParseAddr("203.0.113.11") || p.SourceInterface != "" {
		t.Errorf("source: %+v", p)
	}
	if p := with(`source = "203.0.113.11"`, `source = "lo"`); p.Source.IsValid() || p.SourceInterface != "lo" {
		t.Errorf("source by its interface: %+v", p)
	}
	if p := with("as = 1\nlocal_preference = 200", ""); p.AS != 64600 || p.LocalPreference != 200 {
		t.Errorf("as of its own, local_preference for others: %+v", p)
	}
}

// TestBGPForAllRefusals: a mistake is reported where it stands, and once.
func TestBGPForAllRefusals(t *testing.T) {
	for _, c := range []struct{ old, new, want string }{
		{"as = 64600\n", "", "vipd.toml:22: bgp.peer.as: missing: write that of the router\nvipd.toml:24: bgp.peer.as: missing: write that of the router"},
		{"port = 1179", "port = 0", "vipd.toml:8: bgp.port: 0 is out of range: choose 1 to 65535"},
		{"port = 1179", `hosts = ["k3s1"]`, "vipd.toml:8: bgp.hosts: unknown key: only [[bgp.peer]] takes it"},
		{"port = 1179", `password_credential = "x"`, "vipd.toml:8: bgp.password_credential: excludes password_file: keep one of the two"},
		{"port = 1179", "multihop = 2", "vipd.toml:10: bgp.ttl_security: excludes multihop: keep one of the two\nvipd.toml:14: bgp.bfd: is for neighbours, and multihop for others: remove one of the two"},
		{`"203.0.113.2"`, "\"203.0.113.2\"\nmultihop = 2", `vipd.toml:27: bgp.peer.multihop: is for others than neighbours, and bfd in [bgp] for those alone: add bfd = "" here`},
		{`keepalive = "5s"`, `keepalive = "20s"`, "vipd.toml:12: bgp.keepalive: 20s is more than a third of hold_time, 30s: choose less, or leave it out"},
		{`"203.0.113.2"`, "\"203.0.113.2\"\nhold_time = \"9s\"", "vipd.toml:27: bgp.peer.hold_time: 9s is less than three times the keepalive in [bgp], 5s: choose more, or add a keepalive here"},
		{`"203.0.113.2"`, "\"203.0.113.2\"\nkeepalive = \"11s\"", "vipd.toml:27: bgp.peer.keepalive: 11s is more than a third of hold_time, 30s: choose less, or leave it out"},
		{"port = 1179", `source = "2001:db8::11"`, "vipd.toml:8: bgp.source: 2001:db8::11 is IPv6, and that of peer 203.0.113.1 is not: write one of the same family, or the interface that has both\nvipd.toml:8: bgp.source: 2001:db8::11 is IPv6, and that of peer 203.0.113.2 is not: write one of the same family, or the interface that has both"},
		{"port = 1179", `source = "203.0.113"`, `vipd.toml:8: bgp.source: "203.0.113" is not an IP address: write one such as "203.0.113.11"`},
		{`worse_by = "med"`, `worse_by = "local-preference"`, `vipd.toml:21: bgp.worse_by: "local-preference" is not sent to external peers: choose "as-path" or "med"`},
		{`worse_by = "med"`, `worse_by = "as-path"`, "vipd.toml:22: bgp.worse_step: 500 is out of range: the AS is prepended 1 to 10 times for a step"},
	} {
		in := strings.Replace(commonBGP, c.old, c.new, 1)
		if _, err := Parse("vipd.toml", []byte(in), Host{Name: "k3s1"}); err == nil || err.Error() != c.want {
			t.Errorf("%s\ngives: %v\nwant:  %s", c.new, err, c.want)
		}
	}
}
