package bgp

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/vipd/vipd/test/cluster"
	"github.com/vipd/vipd/test/lab"
	"github.com/vipd/vipd/vrrp"
)

// frrDir is where the distribution has FRR's daemons.
const frrDir = "/usr/lib/frr"

func tools(kind string) []string {
	if kind == "FRR" {
		return []string{"ip", frrDir + "/bgpd", frrDir + "/zebra"}
	}
	return []string{"ip", "bird"}
}

// each runs a test with each kind of router.
func each(t *testing.T, f func(t *testing.T, kind string)) {
	for _, kind := range []string{"BIRD", "FRR"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			f(t, kind)
		})
	}
}

// place is where a router is.
type place struct {
	node   *lab.Node
	v4, v6 string
	beyond bool // another router is between it and the servers
}

func (p place) address(h setup) string {
	if h.unnumbered {
		return linkLocal(0).String()
	}
	if h.over() == vrrp.IPv6 {
		return p.v6
	}
	return p.v4
}

func newRouter(s *site, kind string, at place) router {
	dir, err := os.MkdirTemp("", "vipd-router-") // daemons drop to users of their own
	must(s.t, err)
	s.t.Cleanup(func() { must(s.t, os.RemoveAll(dir)) })
	must(s.t, os.Chmod(dir, 0o777))
	if kind == "FRR" {
		return &frr{site: s, dir: dir, at: at}
	}
	return &bird{site: s, dir: dir, at: at}
}

// bird is BIRD 2.
type bird struct {
	site *site
	at   place
	dir  string
	run  *process
}

func (b *bird) String() string { return "BIRD" }

func (b *bird) config() string {
	s, h := b.site, b.site.how
	extended := ""
	if h.over() == vrrp.IPv6 && h.family != vrrp.IPv6 {
		extended = "extended next hop on;"
	}
	text := fmt.Sprintf(`router id %s;
log stderr all;
protocol device { scan time 1; }
`, b.at.v4)
	for _, f := range h.families() {
		text += fmt.Sprintf("protocol kernel { %s { import none; export where source = RTS_BGP; }; merge paths on; }\n", channel(f))
	}
	if b.at.beyond {
		text += fmt.Sprintf("protocol static { ipv4; route 198.51.100.0/24 via %s; }\n", nearAddr)
	}
	export := "none"
	if h.flood > 0 {
		export = "where source = RTS_STATIC"
		text += "protocol static { ipv6;\n"
		for i := range h.flood {
			text += fmt.Sprintf(" route 2001:db8:%x:%x::/64 blackhole;\n", 0x1000+i>>16, i&0xffff)
		}
		text += "}\n"
	}
	if h.bfd > 0 {
		ms := h.bfd.Milliseconds()
		text += fmt.Sprintf("protocol bfd { accept direct; interface \"eth0\" { min rx interval %d ms; min tx interval %d ms; multiplier 3; }; }\n", ms, ms)
	}
	for _, x := range s.Servers {
		distance := "direct"
		if b.at.beyond {
			distance = "multihop 2"
		}
		text += fmt.Sprintf("protocol bgp %s {\n local %s as %d;\n neighbor %s as %d;\n passive;\n %s;\n error wait time 1, 2;\n",
			x.Name, b.at.address(h), routerAS, h.server(x), h.as(), distance)
		for _, f := range h.families() {
			text += fmt.Sprintf(" %s { import all; export %s; %s };\n", channel(f), export, extended)
		}
		if h.password != "" {
			text += fmt.Sprintf(" password %q;\n", strings.TrimSpace(h.password))
		}
		if h.unnumbered {
			text += " interface \"eth0\";\n"
		}
		if h.gtsm {
			text += " ttl security yes;\n"
		}
		if h.bfd > 0 {
			text += " bfd on;\n"
		}
		text += "}\n"
	}
	return text
}

func (b *bird) start() {
	file := filepath.Join(b.dir, "bird.conf")
	writeFile(b.site.t, file, b.config())
	b.run = launch(b.site.t, b.at.node, exec.Command("bird", "-f", "-c", file, "-s", filepath.Join(b.dir, "ctl"), "-P", filepath.Join(b.dir, "pid")))
}

func (b *bird) kill() { b.run.kill() }

func (b *bird) reset(x *cluster.Server) {
	b.site.on(b.at.node, "birdc -s "+filepath.Join(b.dir, "ctl")+" restart "+x.Name)
}

func (b *bird) knows() (a attributes) {
	out, err := b.at.node.Run("birdc", "-s", filepath.Join(b.dir, "ctl"), "show", "route", "all", b.site.how.prefix())
	if err != nil {
		return attributes{}
	}
	for line := range strings.Lines(out) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		switch value = strings.TrimSpace(value); key {
		case "BGP.as_path":
			a.path = value
		case "BGP.next_hop":
			a.hop = value
		case "BGP.med":
			a.med, _ = strconv.Atoi(value)
		case "BGP.local_pref":
			if b.site.how.internal { // BIRD gives others one of its own
				a.preference, _ = strconv.Atoi(value)
			}
		case "BGP.community":
			a.communities = strings.NewReplacer("(", "", ")", "", ",", ":").Replace(value)
		case "BGP.large_community":
			a.large = strings.NewReplacer("(", "", ")", "", ", ", ":").Replace(value)
		}
	}
	return a
}

// channel is BIRD's name of a family.
func channel(f vrrp.Family) string {
	if f == vrrp.IPv6 {
		return "ipv6"
	}
	return "ipv4"
}

// frr is FRR's bgpd, and zebra, which it needs.
type frr struct {
	site  *site
	at    place
	dir   string
	zebra *process
	bgpd  *process
	bfdd  *process // nil: without BFD
}

func (f *frr) String() string { return "FRR" }

func (f *frr) config() string {
	s, h := f.site, f.site.how
	text := fmt.Sprintf("router bgp %d\n bgp router-id %s\n no bgp ebgp-requires-policy\n no bgp network import-check\n no bgp default ipv4-unicast\n", routerAS, f.at.v4)
	var family string
	for _, x := range s.Servers {
		n := fmt.Sprintf(" neighbor %s ", h.server(x))
		text += n + fmt.Sprintf("remote-as %d\n", h.as()) + n + "passive\n"
		if h.password != "" {
			text += n + "password " + strings.TrimSpace(h.password) + "\n"
		}
		if h.unnumbered {
			text += n + "interface eth0\n"
		}
		if f.at.beyond {
			text += n + "ebgp-multihop 2\n"
		}
		if h.gtsm {
			text += n + "ttl-security hops 1\n"
		}
		if h.bfd > 0 {
			text += n + fmt.Sprintf("bfd 3 %d %d\n", h.bfd.Milliseconds(), h.bfd.Milliseconds())
		}
		if h.over() == vrrp.IPv6 && h.family != vrrp.IPv6 {
			text += n + "capability extended-nexthop\n"
		}
		family += " " + n + "activate\n"
	}
	for _, name := range h.families() {
		text += " address-family " + channel(name) + " unicast\n" + family + "  maximum-paths 8\n  maximum-paths ibgp 8\n exit-address-family\n"
	}
	return text
}

func (f *frr) start() {
	conf, empty, zserv := filepath.Join(f.dir, "bgpd.conf"), filepath.Join(f.dir, "zebra.conf"), filepath.Join(f.dir, "zserv")
	writeFile(f.site.t, conf, f.config())
	must(f.site.t, os.Chmod(conf, 0o644))
	writeFile(f.site.t, empty, "")
	must(f.site.t, os.Chmod(empty, 0o644))
	_ = os.Remove(zserv) // of the last run
	f.zebra = f.daemon("zebra", empty, zserv)
	f.site.until("zebra", func() error {
		_, err := os.Stat(zserv)
		return err
	})
	if f.site.how.bfd > 0 {
		f.bfdd = f.daemon("bfdd", empty, zserv)
	}
	f.bgpd = f.daemon("bgpd", conf, zserv)
}

func (f *frr) daemon(name, conf, zserv string) *process {
	more := []string{}
	if name == "bfdd" {
		more = append(more, "--bfdctl", filepath.Join(f.dir, "bfdd.sock"))
	}
	return launch(f.site.t, f.at.node, exec.Command(filepath.Join(frrDir, name), append(more, "--config_file", conf, "--socket", zserv,
		"--pid_file", filepath.Join(f.dir, name+".pid"), "--vty_socket", f.dir, "--vty_port", "0", "--log", "stdout", "--log-level", "warn")...))
}

func (f *frr) reset(x *cluster.Server) {
	_, err := f.at.node.Run("vtysh", "--vty_socket", f.dir, "-c", fmt.Sprintf("clear bgp %s", f.site.how.server(x)))
	must(f.site.t, err)
}

func (f *frr) knows() attributes {
	type words struct{ String string }
	var route struct {
		Paths []struct {
			ASPath         words
			Metric         int
			LocPrf         int
			Community      words
			LargeCommunity words
			Nexthops       []struct{ IP string }
		}
	}
	out, err := f.at.node.Run("vtysh", "--vty_socket", f.dir, "-c", fmt.Sprintf("show bgp %s unicast %s json", channel(f.site.how.families()[0]), f.site.how.prefix()))
	if err != nil || json.Unmarshal([]byte(out), &route) != nil || len(route.Paths) == 0 {
		return attributes{}
	}
	p := route.Paths[0]
	a := attributes{path: p.ASPath.String, med: p.Metric, communities: p.Community.String, large: p.LargeCommunity.String}
	if f.site.how.internal {
		a.preference = p.LocPrf
	}
	a.path = strings.TrimPrefix(a.path, "Local")
	a.communities = strings.NewReplacer("graceful-shutdown", "65535:0", "gracefulShutdown", "65535:0").Replace(a.communities)
	for _, h := range p.Nexthops {
		a.hop = h.IP
	}
	return a
}

// lastWord is what a server said as it ended its session.
func (f *frr) lastWord(x *cluster.Server) string {
	out, err := f.at.node.Run("vtysh", "--vty_socket", f.dir, "-c", fmt.Sprintf("show bgp neighbors %v json", f.site.how.server(x)))
	must(f.site.t, err)
	var all map[string]struct{ LastShutdownDescription string }
	must(f.site.t, json.Unmarshal([]byte(out), &all))
	return all[f.site.how.server(x).String()].LastShutdownDescription
}

func (f *frr) kill() {
	f.bgpd.kill()
	if f.bfdd != nil {
		f.bfdd.kill()
	}
	f.zebra.kill()
}
