package config

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vipd/vipd/vrrp"
)

const minimalBGP = `
[[vip]]
mode = "bgp"
addresses = ["192.0.2.100"]
[bgp]
local_as = 64512
[[bgp.peer]]
address = "203.0.113.1"
as = 64600
`

func TestBGPDefaults(t *testing.T) {
	c := parse(t, minimalBGP)
	v := c.VIPs[0]
	if v.Mode != ModeBGP || !v.Spread || v.Interface != "lo" || v.WhenDown != LastResort {
		t.Errorf("%+v", v)
	}
	want := &BGP{LocalAS: 64512, DrainDelay: 2 * time.Second, Peers: []BGPPeer{{
		Address: netip.MustParseAddr("203.0.113.1"), AS: 64600, Port: 179, HoldTime: 3 * time.Second, ConnectRetry: time.Second,
		Families: []vrrp.Family{vrrp.IPv4}, LocalPreference: 100, WorseBy: WorseByPath, WorseStep: 4,
	}}}
	if diff := cmp.Diff(want, c.BGP, addrs, cmp.AllowUnexported(BGPPeer{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestBGPOneFile: each rack has its own AS and routers in the same file.
func TestBGPOneFile(t *testing.T) {
	const text = `
[[vip]]
mode = "bgp"
addresses = ["192.0.2.100", "2001:db8::100"]
spread = false
priority_by_host = { k3s1 = 250, k3s2 = 240 }
[bgp]
local_as = 64512
local_as_by_host = { k3s2 = 64602 }
[[bgp.peer]]
address = "203.0.113.1"
as = 64512
hosts = ["k3s1"]
[[bgp.peer]]
address = "fe80::1%eth0"
as = 64600
families = ["ipv4", "ipv6"]
extended_next_hop = true
communities = ["64512:100"]
large_communities = ["4200000000:1:2"]
hosts = ["k3s2.example.com"]
`
	c := parse(t, text) // as k3s2
	if b := c.BGP; b.LocalAS != 64602 || len(b.Peers) != 1 || b.Peers[0].Address.Zone() != "eth0" || c.VIPs[0].Priority != 240 {
		t.Errorf("%+v", b)
	}
	p := c.BGP.Peers[0]
	if len(p.Communities) != 1 || p.Communities[0] != 64512<<16|100 || p.LargeCommunities[0] != [3]uint32{4200000000, 1, 2} {
		t.Errorf("%+v", p)
	}
	if _, err := Parse("vipd.toml", []byte(text), Host{Name: "k3s9"}); err == nil || !strings.Contains(err.Error(), `none is for this host, which calls itself "k3s9"`) {
		t.Errorf("a host without peers: %v", err)
	}
}

// TestBGPOtherRacks: a peer of other hosts is judged by their AS, not by that of this one.
func TestBGPOtherRacks(t *testing.T) {
	const text = `
[[vip]]
mode = "bgp"
addresses = ["192.0.2.100"]
[bgp]
local_as = 64512
local_as_by_host = { k3s1 = 64601, k3s2 = 64602 }
[[bgp.peer]]
address = "203.0.113.1"
as = 64601
local_preference = 200
hosts = ["k3s1.example.com"]
[[bgp.peer]]
address = "203.0.113.2"
as = 64602
hosts = ["k3s2"]
`
	for _, host := range []string{"k3s1", "k3s2"} {
		if _, err := Parse("vipd.toml", []byte(text), Host{Name: host}); err != nil {
			t.Errorf("as %s: %v", host, err)
		}
		const want = "bgp.peer.local_preference: is not sent to external peers: remove it"
		if _, err := Parse("vipd.toml", []byte(strings.Replace(text, "as = 64601\n", "as = 64999\n", 1)), Host{Name: host}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("as %s, a mistake in the peer of k3s1: %v", host, err)
		}
	}
}

func TestBGPRefusals(t *testing.T) {
	with := func(old, new string) string { return strings.Replace(minimalBGP, old, new, 1) }
	for _, c := range []struct{ in, want string }{
		{with(`mode = "bgp"`, `mode = "bgp"`+"\nvrid = 5"), `vip.vrid: does not belong to mode "bgp": remove it`},
		{with(`mode = "bgp"`, `mode = "ospf"`), `vip.mode: "ospf" is not known: choose "vrrp" or "bgp"`},
		{with(`mode = "bgp"`, `mode = "bgp"`+"\npriority = 250"), `vip.priority: has no effect while all nodes announce alike: add spread = false, or remove it`},
		{with("[bgp]", "spread = false\n[bgp]"), `vip.spread: false needs priorities that differ, for routers share the traffic among equal ones: add priority_by_host`},
		{minimal + "spread = true", `vip.spread: does not belong to mode "vrrp", where one node holds the VIP: remove it`},
		{minimal + "[bgp]\nlocal_as = 1", `bgp: has no effect: no [[vip]] has mode = "bgp"`},
		{strings.Split(minimalBGP, "[bgp]")[0], `vip.mode: needs a table [bgp], with local_as and a [[bgp.peer]] for each router`},
		{with("local_as = 64512", ""), `bgp.local_as: missing: write the AS number of this node, such as 64512`},
		{with("local_as = 64512", "local_as = 4294967296"), `bgp.local_as: 4294967296 is out of range: choose 1 to 4294967295`},
		{with("as = 64600", ""), `bgp.peer.as: missing: write that of the router`},
		{minimalBGP + "families = [\"ipv6\"]", `bgp.peer: none takes IPv4, of which "k3s" has addresses: add "ipv4" to families of one`},
		{with("203.0.113.1", "192.0.2.100"), `bgp.peer: 192.0.2.100 is an address of "k3s": write the router's own address`},
		{with("203.0.113.1", "fe80::1"), `bgp.peer.address: fe80::1 is link-local: name the interface, as in "fe80::1%eth0"`},
		{minimalBGP + `hold_time = "1s"`, `bgp.peer.hold_time: 1s is out of range: choose 3s to 18h12m15s`},
		{minimalBGP + `keepalive = "2s"`, `bgp.peer.keepalive: 2s is more than a third of hold_time, 3s: choose less, or leave it out`},
		{minimalBGP + "multihop = 3\nbfd = \"300ms\"", `bgp.peer.bfd: is for neighbours, and multihop for others: remove one of the two`},
		{minimalBGP + `bfd = "10ms"`, `bgp.peer.bfd: 10ms is out of range: choose 50ms to 10s`},
		{minimalBGP + "multihop = 3\nttl_security = 2", `bgp.peer.ttl_security: excludes multihop: keep one of the two`},
		{minimalBGP + `communities = ["70000:1"]`, `bgp.peer.communities: "70000:1" is not a community: write two numbers up to 65535, such as "64512:100"`},
		{minimalBGP + `worse_by = "local-preference"`, `bgp.peer.worse_by: "local-preference" is not sent to external peers: choose "as-path" or "med"`},
		{with("as = 64600", "as = 64512\nworse_by = \"as-path\""), `bgp.peer.worse_by: "as-path" would have internal peers take the route for a loop: choose "local-preference" or "med"`},
		{with("[bgp]", "spread = false\npriority = 200\n[bgp]") + "worse_by = \"med\"\nworse_step = 154", `bgp.peer: worse_step of 203.0.113.1, 154, is less than what MED tells priorities apart by with spread = false: choose 155 or more`},
		{minimalBGP + `keepalive = "500ms"`, `bgp.peer.keepalive: 500ms is out of range: choose 1s to 1h`},
		{minimalBGP + `worse_step = 11`, `bgp.peer.worse_step: 11 is out of range: the AS is prepended 1 to 10 times for a step`},
		{minimalBGP + `password_file = "secret"`, `bgp.peer.password_file: is not an absolute path`},
		{minimalBGP + "[[bgp.peer]]\naddress = \"203.0.113.1\"\nas = 1", `bgp.peer.address: 203.0.113.1 is the address of another [[bgp.peer]] too: remove one`},
	} {
		if _, err := Parse("vipd.toml", []byte(c.in), Host{Name: "k3s1"}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v\nis not: %s\nin %s", err, c.want, c.in)
		}
	}
}

func TestReadPassword(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := BGPPeer{Password: Key{File: file}}
	if b, err := p.ReadPassword(); err != nil || string(b) != "secret" {
		t.Errorf("%q, %v", b, err)
	}
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := p.ReadPassword(); err == nil {
		t.Error("everybody may read it")
	}
}
