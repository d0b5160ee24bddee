package main

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vipd/vipd/test/cluster"
)

// firstVRID is that of the first VIP; those of the others follow.
const firstVRID = 51

// variant is a kind of cluster.
type variant struct {
	many    bool // 32 VIPs, not one
	ipv6    bool
	mixed   bool // each VIP in both families
	unicast bool
	auth    bool
}

// variants returns all there are. Those at i and 15-i differ in everything.
func variants() []variant {
	var all []variant
	for i := range 16 {
		all = append(all, variant{many: i&1 != 0, ipv6: i&2 != 0, unicast: i&4 != 0, auth: i&8 != 0})
	}
	return all
}

// choose returns the variants in which the fault of this number is played.
func choose(how string, number int, possible func(variant) bool) []variant {
	var out []variant
	for i, v := range variants() {
		covers := i == number%8 || i == 15-number%8
		wanted := how == "all" || how == "cover" && covers || strings.Contains(v.String(), how)
		if wanted && (possible == nil || possible(v)) {
			out = append(out, v)
		}
	}
	if len(out) == 0 && how == "cover" {
		return choose(how, number+1, possible)
	}
	return out
}

// String is the variant's name: ipv6-unicast-auth-32.
func (v variant) String() string {
	name := "ipv4"
	if v.ipv6 {
		name = "ipv6"
	}
	if v.mixed {
		name = "mixed"
	}
	if v.unicast {
		name += "-unicast"
	} else {
		name += "-multicast"
	}
	if v.auth {
		name += "-auth"
	} else {
		name += "-plain"
	}
	return fmt.Sprintf("%s-%d", name, len(v.vips()))
}

// vips returns the addresses, the one that clients ask first.
func (v variant) vips() []netip.Addr { return slices.Concat(v.byVIP()...) }

// byVIP returns the addresses of each virtual IP.
func (v variant) byVIP() [][]netip.Addr {
	first, n := cluster.VIP4, 1
	if v.ipv6 {
		first = cluster.VIP6
	}
	if v.many {
		n = 32
	}
	var all [][]netip.Addr
	if v.mixed {
		for a, b := cluster.VIP4, cluster.VIP6; 2*len(all) < n; a, b = a.Next(), b.Next() {
			all = append(all, []netip.Addr{a, b})
		}
		return all
	}
	for a := first; len(all) < n; a = a.Next() {
		all = append(all, []netip.Addr{a})
	}
	return all
}

func keyFile(s *cluster.Server) string { return filepath.Join(filepath.Dir(s.ConfigPath()), "key") }

// writeKeys gives the servers the key that they share.
func (v variant) writeKeys(servers []*cluster.Server) error {
	for _, s := range servers {
		if err := os.WriteFile(keyFile(s), []byte(strings.Repeat("k", 32)), 0o600); err != nil {
			return fmt.Errorf("%s: write its key: %w", s.Name, err)
		}
	}
	return nil
}

// config is the vipd.toml of a server; interval is that of its advertisements.
func (v variant) config(s *cluster.Server, interval string) string {
	var b strings.Builder
	b.WriteString(s.CheckConfig())
	if v.auth {
		// The clock of a machine that runs tests may agree with nobody's.
		fmt.Fprintf(&b, "[auth]\nanti_replay = \"monotonic\"\nkeys = [{ id = 1, file = %q }]\n", keyFile(s))
	}
	for i, all := range v.byVIP() {
		fmt.Fprintf(&b, "[[vip]]\nname = \"vip%d\"\naddresses = [%s]\nvrid = %d\npriority = %d\nadvert_interval = %q\n", i, quoted(all), firstVRID+i, s.Priority(), interval)
		if v.unicast {
			fmt.Fprintf(&b, "peers = [%s]\n", v.peers())
		}
	}
	return b.String()
}

func quoted(all []netip.Addr) string {
	var out []string
	for _, a := range all {
		out = append(out, fmt.Sprintf("%q", a))
	}
	return strings.Join(out, ", ")
}

func (v variant) peers() string {
	if v.ipv6 {
		return `"2001:db8::11", "2001:db8::12", "2001:db8::13"`
	}
	return `"198.51.100.11", "198.51.100.12", "198.51.100.13"`
}
