package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vipd/vipd/test/cluster"
	"github.com/vipd/vipd/test/lab"
)

// The neighbours of a server on which vipd init runs.
const (
	// neighbourhood is the vipd.toml of another server: a group to join, and two that are
	// strangers to it, of which one has IPv6 alone.
	neighbourhood = `[[check]]
type = "none"

[[vip]]
name = "k3s"
addresses = ["198.51.100.100", "2001:db8::100"]
vrid = 51

[[vip]]
name = "stranger"
addresses = ["198.51.100.200", "2001:db8::200"]
vrid = 77

[[vip]]
name = "stranger6"
addresses = ["2001:db8::201"]
vrid = 88
`
	taken4, taken6 = "198.51.100.150", "2001:db8::150"
)

// neighbours are a server with an agent that is Active everywhere, one that has none, one
// whose firewall lets no advertisement in, and a host that has addresses.
func neighbours(t *testing.T) *cluster.Cluster {
	t.Helper()
	l := lab.NewTest(t, "nft")
	program := filepath.Join(t.TempDir(), "vipd")
	must(t, os.WriteFile(program, fmt.Appendf(nil, "#!/bin/sh\n%s=1 exec %s \"$@\"\n", asVipd, os.Args[0]), 0o755))
	c, err := cluster.New(l, cluster.Options{
		Binaries: cluster.Binaries{Vipd: program}, Dir: t.TempDir(), Servers: 3, Log: t.Output(),
		Config: func(*cluster.Server) string { return neighbourhood },
	})
	must(t, err)
	t.Cleanup(func() { must(t, c.Close()) })
	for _, a := range []string{taken4 + "/24", taken6 + "/64"} {
		must(t, c.Client.AddAddr(netip.MustParsePrefix(a)))
	}
	for _, rule := range []string{"add table inet filter", "add chain inet filter input { type filter hook input priority 0; }", "add rule inet filter input meta l4proto 112 drop"} {
		_, err := c.Servers[2].Node.Run("nft", rule)
		must(t, err)
	}
	must(t, c.Servers[0].StartAgent())
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	must(t, c.Settled(ctx))
	return c
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// macOf returns the hardware address of a node.
func macOf(t *testing.T, n *lab.Node) string {
	t.Helper()
	link, err := n.Netlink().LinkByName(lab.Interface)
	must(t, err)
	return link.Attrs().HardwareAddr.String()
}

func TestInitAmongNeighbours(t *testing.T) {
	c := neighbours(t)
	holder, fresh, deaf := c.Servers[0], c.Servers[1], c.Servers[2]
	client, active := macOf(t, c.Client), macOf(t, holder.Node)
	const joins = "advertises the addresses with it: this server joins\nvrid = 51\n"
	for _, tt := range []struct {
		name string
		on   *cluster.Server
		args string
		want string // among what a file has
		fail string // or among what it says
	}{
		{"a free address", fresh, "--address 198.51.100.10", "# here on eth0, whose subnet holds it, and where nobody else answered for it; each server finds its own interface\n" +
			"addresses = [\"198.51.100.10\"]\n# nobody on eth0 was heard to use it (others heard: 2); all servers need the same\nvrid = 10\n", ""},
		{"free ones of both families", fresh, "--address 198.51.100.10 --address 2001:db8::10", "# here on eth0, whose subnets hold them, and where nobody else answered for them; each", ""},
		{"a VRID in use", fresh, "--address 198.51.100.77", "\nvrid = 78\n", ""},
		{"a VRID in use in IPv6 alone", fresh, "--address 198.51.100.88 --address 2001:db8::10", "\nvrid = 89\n", ""},
		{"a VRID in use in the other family alone", fresh, "--address 198.51.100.88", "\nvrid = 88\n", ""},

		{"a host has it", fresh, "--address " + taken4, "", taken4 + " is taken: " + client + " on eth0 answers for it; take a free address, or "},
		{"a host has it in IPv6", fresh, "--address " + taken6, "", taken6 + " is taken: " + client + " on eth0 answers for it; "},
		{"a host has one of them", fresh, "--address 198.51.100.10 --address " + taken6, "", taken6 + " is taken: " + client},
		{"a host has it, with a VRID", fresh, "--vrid 9 --address " + taken4, "", taken4 + " is taken: " + client},
		{"a host has it, with an interface", fresh, "--interface eth0 --address " + taken4, "", taken4 + " is taken: " + client},

		{"a group in both families", fresh, "--address 2001:db8::100 --address 198.51.100.100", "# 198.51.100.11 " + joins, ""},
		{"a group in one of them", fresh, "--address 198.51.100.100", "# 198.51.100.11 " + joins, ""},
		{"a group, by its VRID", fresh, "--vrid 51 --address 198.51.100.100", "# 198.51.100.11 " + joins, ""},
		{"a group, by another VRID", fresh, "--vrid 52 --address 198.51.100.100", "", "198.51.100.11 advertises the addresses with VRID 51: leave --vrid out"},
		{"a group and a free one", fresh, "--address 198.51.100.100 --address 2001:db8::10", "",
			"198.51.100.11 advertises 198.51.100.100 with VRID 51, but fe80::"},
		{"a group without one of its addresses", fresh, "--address 198.51.100.100 --address 198.51.100.10", "", "198.51.100.11 advertises 198.51.100.100 with VRID 51 as one virtual router"},
		{"a group that is not heard", deaf, "--address 198.51.100.100", "", "198.51.100.100 is taken: " + active + " on eth0 answers for it; "},
		{"on the Active itself", holder, "--address 198.51.100.100", "# the agent of this server has the addresses with it\nvrid = 51\n", ""},

		{"a VRID that is free", fresh, "--vrid 9 --address 198.51.100.10", "# as asked for; nobody on eth0 was heard to use it (others heard: 2)\nvrid = 9\n", ""},
		{"a VRID that is taken", fresh, "--vrid 77 --address 198.51.100.10", "", "VRID 77 is in use: 198.51.100.11 advertises 198.51.100.200 with it on eth0; leave --vrid out for a free one (such as 10)"},
		{"a VRID that is taken in IPv6", fresh, "--vrid 88 --address 198.51.100.10 --address 2001:db8::10", "", "VRID 88 is in use: fe80::"},

		{"its own address", fresh, "--address 198.51.100.12", "", "198.51.100.12 is this host's own address, on eth0"},
		{"its own in IPv6, with a VRID", fresh, "--vrid 9 --address 2001:db8::12", "", "2001:db8::12 is this host's own address, on eth0"},
		{"the network", fresh, "--address 198.51.100.0", "", "198.51.100.0 is the address of the subnet 198.51.100.0/24 itself"},
		{"the broadcast address", fresh, "--address 198.51.100.255", "", "198.51.100.255 is the broadcast address of the subnet 198.51.100.0/24"},
		{"a multicast address", fresh, "--address 224.0.0.18", "", "224.0.0.18 is a multicast address, which cannot be a virtual IP"},
		{"a subnet that is not here", fresh, "--address 198.51.100.10 --address 2001:db8:1::10", "", "no interface has a subnet that holds 2001:db8:1::10"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			out, err := tt.on.Vipd(append([]string{"init", "--output", "-"}, strings.Fields(tt.args)...)...)
			t.Logf("after %v:\n%s", time.Since(began), out)
			if (err != nil) != (tt.fail != "") || !strings.Contains(out, tt.want+tt.fail) {
				t.Errorf("got %v, %s\nwant %s", err, out, tt.want+tt.fail)
			}
		})
	}
}

// What it finds of K3s is in the file, and told of.
func TestInitFindsK3s(t *testing.T) {
	c := neighbours(t)
	const units = "/run/systemd/system" // of this package alone: see test/apart
	must(t, os.MkdirAll(units, 0o755))
	t.Cleanup(func() { must(t, os.RemoveAll(units)) })
	file := filepath.Join(t.TempDir(), "config.yaml")
	must(t, os.WriteFile(file, []byte("https-listen-port: 443\ntls-san:\n- 198.51.100.10\n"), 0o600))
	must(t, os.WriteFile(units+"/k3s-lab.service", []byte("[Service]\nExecStart=/usr/local/bin/k3s \\\n    server \\\n\t'--data-dir' \\\n\t'/srv/k3s' \\\n\t'--config' \\\n\t'"+file+"'\n"), 0o644))
	out, err := c.Servers[1].Vipd("init", "--address", "198.51.100.10", "--address", "2001:db8::10")
	must(t, err)
	for _, want := range []string{
		"\n  [[check]]\n  type = \"k3s\"\n  # https-listen-port in " + file + "\n  url = \"https://127.0.0.1:443\"\n" +
			"  # data-dir in k3s-lab.service\n  data_dir = \"/srv/k3s\"\n  # the unit that runs k3s server\n  unit = \"k3s-lab.service\"\n",
		"note: K3s was not told to name 2001:db8::10 in its certificate (--tls-san)",
		"systemctl start k3s-lab\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("it says %s\nwant %s", out, want)
		}
	}
	if out, err := c.Servers[1].Vipd("check"); err != nil {
		t.Errorf("check refuses it: %s", out)
	}
	manifest := filepath.Join(t.TempDir(), "kube-vip.yaml")
	must(t, os.WriteFile(manifest, []byte(kubeVipYAML), 0o600))
	out, err = c.Servers[1].Vipd("init", "--from-kube-vip", manifest, "--vrid", "51", "--output", "-")
	want := "\n[[check]]\ntype = \"k3s\"\nurl = \"https://127.0.0.1:443\"\ndata_dir = \"/srv/k3s\"\nunit = \"k3s-lab.service\"\n"
	if err != nil || !strings.Contains(strings.ReplaceAll(out, "  ", " "), want) {
		t.Errorf("a translation is %s, %v\nwant %s", out, err, want)
	}
}
