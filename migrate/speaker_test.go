package migrate

import (
	"strings"
	"testing"
)

// What single settings of BGP become, and what is said of them.
func TestBGPSettings(t *testing.T) {
	const one = "203.0.113.1:64600"
	for name, tt := range map[string]struct {
		env       []string
		file, not string // of vipd.toml
		said      string
	}{
		"defaults":        {[]string{"bgp_peeraddress", "203.0.113.1"}, "# kube-vip's default\nlocal_as = 65000\n\n[[bgp.peer]]\naddress = \"203.0.113.1\"\nas = 65000\n", "multihop", ""},
		"no AS":           {[]string{"bgp_peers", one, "bgp_as", "s3cr3t"}, "local_as = 65000", "", "bgp_as: is no AS number"},
		"an empty AS":     {[]string{"bgp_peers", one, "bgp_as", "64512", "bgp_as", ""}, "local_as = 64512", "", ""},
		"the last counts": {[]string{"bgp_peers", one, "bgp_as", "1", "bgp_as", "64512"}, "local_as = 64512", "", ""},
		"off at last":     {[]string{"bgp_peers", one, "bgp_enable", "false"}, "vrid = 51", "bgp", "bgp_peers: it has no effect: bgp_enable is not"},
		"a peer with all": {[]string{"bgp_peeraddress", "203.0.113.1", "bgp_peeras", "64600", "bgp_peerpass", "s3cr3t", "bgp_multihop", "true"},
			"as = 64600\npassword_file = \"/etc/vipd/keys/bgp-203.0.113.1\"\n# as kube-vip's: the most hops there may be to it\nmultihop = 50\n", "", "write that of 203.0.113.1 into /etc/vipd/keys/bgp-203.0.113.1"},
		"a peer without":    {[]string{"bgp_peers", one, "bgp_peerpass", "s3cr3t"}, "", "password_file", "bgp_peerpass: has no effect without bgp_peeraddress"},
		"IPv6 in brackets":  {[]string{"bgp_peeraddress", "[2001:db8::1]"}, "address = \"2001:db8::1\"\nas = 65000\nfamilies = [\"ipv4\"]\n", "", "it needs the family for this neighbour"},
		"router id":         {[]string{"bgp_peers", one, "bgp_routerid", "203.0.113.11"}, "router_id = \"203.0.113.11\"", "", "bgp_routerid: it is this server's own"},
		"router id in IPv6": {[]string{"bgp_peers", one, "bgp_routerid", "2001:db8::11"}, "", "router_id", "is no IPv4 address: left out"},
		"no router id":      {[]string{"bgp_peers", one, "bgp_routerid", "s3cr3t"}, "", "router_id", "is no address that a server can have"},
		"a short hold time": {[]string{"bgp_peers", one, "bgp_hold_time", "2"}, "", "hold_time", "it became vipd's default, 3s"},
		"vipd's hold time":  {[]string{"bgp_peers", one, "bgp_hold_time", "3", "bgp_keepalive_interval", "1"}, "", "hold_time", ""},
		"the usual timers":  {[]string{"bgp_peers", one, "bgp_hold_time", "30", "bgp_keepalive_interval", "10"}, "hold_time = \"30s\"", "keepalive =", ""},
		"a long keepalive":  {[]string{"bgp_peers", one, "bgp_keepalive_interval", "10"}, "", "keepalive", "10s is more than a third of the hold time: left out, it is 1s"},
		"no seconds":        {[]string{"bgp_peers", one, "bgp_hold_time", "s3cr3t"}, "", "hold_time", "is no number of seconds"},
		"a source":          {[]string{"bgp_peers", one, "bgp_sourceip", "203.0.113.11"}, "source = \"203.0.113.11\"", "", "bgp_sourceip: it is this server's own"},
		"a source's link":   {[]string{"bgp_peers", one, "bgp_sourceif", "eth1"}, "source = \"eth1\"", "", ""},
		"no link":           {[]string{"bgp_peers", one, "bgp_sourceif", "s3cr3t/"}, "", "source", "bgp_sourceif: vipd connects from the address that the kernel chooses"},
		"a foreign family": {[]string{"bgp_peers", one + ",[2001:db8::1]:64600"}, "address = \"203.0.113.1\"", "2001:db8::1",
			"2001:db8::1: left out of the routers: the VIP has no IPv6 address"},
		"MP-BGP": {[]string{"bgp_peers", "[2001:db8::1]:64600", "mpbgp_nexthop", "fixed", "mpbgp_ipv4", "203.0.113.11", "mpbgp_ipv6", "s3cr3t"},
			"families = [\"ipv4\"]\nnext_hop_ipv4 = \"203.0.113.11\"\n", "next_hop_ipv6", "mpbgp_ipv6: is no IPv6 address"},
		"MP-BGP by itself": {[]string{"bgp_peers", "[2001:db8::1]:64600", "mpbgp_nexthop", "auto_sourceif", "mpbgp_ipv4", "203.0.113.11"}, "families = [\"ipv4\"]\n", "next_hop", ""},
	} {
		t.Run(name, func(t *testing.T) {
			env := append([]string{"address", "203.0.113.100", "bgp_enable", "true"}, tt.env...)
			plan, err := fromKubeVip("kube-vip.yaml", []byte(container(env...)))
			if err != nil {
				t.Fatal(err)
			}
			if plan.VIPs[0].NeedsVRID() {
				plan.VIPs[0].Choose(51, 0, "")
			}
			text, err := plan.Render()
			if err != nil {
				t.Fatal(err)
			}
			file, said := string(text), saidOf(plan)
			if !strings.Contains(file, tt.file) || tt.not != "" && strings.Contains(file, tt.not) {
				t.Errorf("it became\n%s", file)
			}
			if !strings.Contains(said, tt.said) || tt.said == "" && said != "" || strings.Contains(file+said, "s3cr3t") {
				t.Errorf("it says %q, want %q", said, tt.said)
			}
		})
	}
}

// What a Secret or the pod's own status holds is not in the file.
func TestBGPElsewhere(t *testing.T) {
	text := container("address", "203.0.113.100", "bgp_enable", "true", "bgp_peeraddress", "203.0.113.1")
	for _, name := range []string{"bgp_peerpass", "bgp_peers", "bgp_as", "bgp_sourceip", "vip_interface"} {
		text += "    - name: " + name + "\n      valueFrom: {secretKeyRef: {name: bgp, key: " + name + "}}\n"
	}
	plan, err := fromKubeVip("kube-vip.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	file, err := plan.Render()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(file), `password_file = "/etc/vipd/keys/bgp-203.0.113.1"`) {
		t.Errorf("it became\n%s", file)
	}
	said := saidOf(plan)
	for _, want := range []string{"vip_interface, bgp_as, bgp_peers: its value is not in this file", "bgp_sourceip: vipd does that by itself"} {
		if !strings.Contains(said, want) {
			t.Errorf("no %q in\n%s", want, said)
		}
	}
}

// A flag that takes a word takes the next, even if it is a flag.
func TestFlagsThatLostTheirPlace(t *testing.T) {
	for _, args := range []string{"--address, --peerPass=s3cr3t", "--port, --peerPass=s3cr3t", "--interface, --peerPass=s3cr3t", "--peerPass, --s3cr3t"} {
		text := "image: kube-vip\nargs: [" + args + "]\nenv: [{name: address, value: 203.0.113.100}]\n"
		plan, err := fromKubeVip("kube-vip.yaml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if said := saidOf(plan); said == "" || strings.Contains(said, "s3cr3t") {
			t.Errorf("%s: %q", args, said)
		}
	}
}
