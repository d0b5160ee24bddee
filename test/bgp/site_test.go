package bgp

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vipd/vipd/agent/control"
	"github.com/vipd/vipd/test/client/probe"
	"github.com/vipd/vipd/test/cluster"
	"github.com/vipd/vipd/test/lab"
	"github.com/vipd/vipd/vrrp"
)

const (
	patience   = 20 * time.Second
	routerAS   = 64600
	serverAS   = 64512
	interval   = 5 * time.Millisecond
	routerAddr = "198.51.100.2"
	routerV6   = "2001:db8::2"
	secondAddr = "198.51.100.3"
	nearAddr   = "203.0.113.1" // the router, seen from beyond
	beyondAddr = "203.0.113.2" // where the client is
)

// site is three servers on one segment, a router there, and a client beyond it.
type site struct {
	*cluster.Cluster
	t      *testing.T
	router *lab.Node
	speaks router
	second *lab.Node // nil: there is one router
	also   router    // the second, or one beyond the first; nil: none
	how    setup
	dir    string
}

// setup is what the tests vary.
type setup struct {
	family     vrrp.Family // of the VIP; 0: IPv4
	session    vrrp.Family // of the session; 0: that of the VIP
	unnumbered bool        // the session is between link-local addresses
	internal   bool
	password   string
	gtsm       bool
	bfd        time.Duration
	flood      int  // how many IPv6 routes BIRD announces to the servers
	both       bool // families, over one session
	second     bool // a second router, which the traffic takes
	beyond     bool // the router that is spoken to is one hop beyond the first
	spread     bool
	defaults   bool   // nothing else is configured; with spread
	more       string // lines of [[bgp.peer]]
	vip        string // lines of [[vip]]
	routerAS   int    // what the servers believe; 0: the truth
	servers    int    // 0: 3
}

// router is a program that speaks BGP.
type router interface {
	String() string
	start()
	kill()
	reset(x *cluster.Server) // the session with it
	knows() attributes
}

// attributes are what a router has been told of the VIP's best route.
type attributes struct {
	path               string // AS numbers
	hop                string
	med                int
	preference         int // LOCAL_PREF; 0: an external peer's, which sends none
	communities, large string
}

func (h setup) as() int {
	if h.internal {
		return routerAS
	}
	return serverAS
}

func (h setup) address() netip.Addr {
	if h.family == vrrp.IPv6 {
		return netip.MustParseAddr("2001:db8:a::100")
	}
	return netip.MustParseAddr("203.0.113.100")
}

// prefix is that of the VIP's route.
func (h setup) prefix() string { return fmt.Sprintf("%v/%d", h.address(), h.address().BitLen()) }

// families are those whose routes the router takes.
func (h setup) families() []vrrp.Family {
	switch {
	case h.both:
		return []vrrp.Family{vrrp.IPv4, vrrp.IPv6}
	case h.family == vrrp.IPv6:
		return []vrrp.Family{vrrp.IPv6}
	}
	return []vrrp.Family{vrrp.IPv4}
}

// addresses are the VIP's.
func (h setup) addresses() string {
	var list []string
	for _, f := range h.families() {
		list = append(list, fmt.Sprintf("%q", setup{family: f}.address()))
	}
	return "[" + strings.Join(list, ", ") + "]"
}

// over is the family of the session.
func (h setup) over() vrrp.Family {
	if h.session != 0 {
		return h.session
	}
	if h.family != 0 {
		return h.family
	}
	return vrrp.IPv4
}

func (h setup) routerAddress() string {
	if h.beyond {
		return beyondAddr
	}
	if h.unnumbered {
		return linkLocal(0).WithZone("eth0").String()
	}
	if h.over() == vrrp.IPv6 {
		return routerV6
	}
	return routerAddr
}

// server is a server's end of the session.
func (h setup) server(s *cluster.Server) netip.Addr {
	if h.unnumbered {
		return linkLocal(s.Number)
	}
	if h.over() == vrrp.IPv6 {
		return s.Addr6
	}
	return s.Addr
}

// linkLocal is the address of a server, or (0) of the router, in an unnumbered session.
func linkLocal(n int) netip.Addr { return netip.MustParseAddr(fmt.Sprintf("fe80::b:%x", n)) }

// config is a server's vipd.toml.
func (h setup) config(s *cluster.Server) string {
	as := h.routerAS
	if as == 0 {
		as = routerAS
	}
	text := s.CheckConfig() + fmt.Sprintf("[[vip]]\nname = \"k3s\"\nmode = \"bgp\"\naddresses = %s\n", h.addresses())
	if h.defaults {
		return text + h.vip + fmt.Sprintf("[bgp]\nlocal_as = %d\n[[bgp.peer]]\naddress = %q\nas = %d\n", h.as(), h.routerAddress(), as)
	}
	text += fmt.Sprintf("spread = %v\n", h.spread)
	if !h.spread {
		text += fmt.Sprintf("priority = %d\n", s.Priority())
	}
	text += h.vip
	text += fmt.Sprintf("[bgp]\nlocal_as = %d\nrouter_id = %q\ndrain_delay = \"1s\"\n[[bgp.peer]]\naddress = %q\nas = %d\nconnect_retry = \"200ms\"\n",
		h.as(), s.Addr, h.routerAddress(), as)
	if h.password != "" {
		text += fmt.Sprintf("password_file = %q\n", filepath.Join(filepath.Dir(s.ConfigPath()), "password"))
	}
	if h.gtsm {
		text += "ttl_security = 1\n"
	}
	if h.bfd > 0 {
		text += fmt.Sprintf("bfd = %q\n", h.bfd)
	}
	text += h.more
	if h.second {
		text += fmt.Sprintf("[[bgp.peer]]\naddress = %q\nas = %d\nconnect_retry = \"200ms\"\n", secondAddr, as)
	}
	return text
}

// newSite makes a site in which nothing runs yet.
func newSite(t *testing.T, kind string, h setup) *site {
	t.Helper()
	l := lab.NewTest(t, tools(kind)...)
	n := h.servers
	if n == 0 {
		n = 3
	}
	dir := t.TempDir()
	c, err := cluster.New(l, cluster.Options{Binaries: binaries(t), Dir: dir, Servers: n, Config: h.config, Log: t.Output(), Launcher: cluster.RealTime()})
	must(t, err)
	t.Cleanup(func() { must(t, c.Close()) })
	r, err := l.Add("router", netip.MustParsePrefix(routerAddr+"/24"), netip.MustParsePrefix(routerV6+"/64"))
	must(t, err)
	s := &site{Cluster: c, t: t, router: r, how: h, dir: dir}
	s.wire()
	s.speaks = newRouter(s, kind, place{node: r, v4: routerAddr, v6: routerV6})
	switch {
	case h.second:
		s.second, err = l.Add("second", netip.MustParsePrefix(secondAddr+"/24"))
		must(t, err)
		s.detour()
		s.also = newRouter(s, kind, place{node: s.second, v4: secondAddr})
	case h.beyond:
		s.on(s.Client, "ip route add 198.51.100.0/24 via "+nearAddr) // FRR resolves no next hop by the default route
		s.also = newRouter(s, kind, place{node: s.Client, v4: beyondAddr, beyond: true})
	}
	return s
}

// detour has the traffic take the second router.
func (s *site) detour() {
	s.on(s.second, "sysctl -qw net.ipv4.ip_forward=1 net.ipv4.fib_multipath_hash_policy=1")
	s.on(s.second, "ip link add down1 type veth peer name up1 netns "+filepath.Base(s.Client.Netns()))
	s.on(s.second, "ip link set down1 up")
	s.on(s.second, "ip addr add 203.0.113.17/28 dev down1")
	s.on(s.Client, "ip link set up1 up")
	s.on(s.Client, "ip addr add 203.0.113.18/28 dev up1")
	s.on(s.Client, "ip route replace default via 203.0.113.17")
	for _, x := range s.Servers {
		s.on(x.Node, "ip route replace default via "+secondAddr)
	}
}

// wire puts the client behind the router.
func (s *site) wire() {
	s.on(s.router, "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.fib_multipath_hash_policy=1 net.ipv6.fib_multipath_hash_policy=1")
	s.on(s.router, "ip link add down0 type veth peer name up0 netns "+filepath.Base(s.Client.Netns()))
	s.on(s.router, "ip link set down0 up")
	s.on(s.router, "ip addr add 203.0.113.1/28 dev down0")
	s.on(s.router, "ip addr add 2001:db8:f::1/64 dev down0 nodad")
	s.on(s.Client, "ip link set eth0 down")
	s.on(s.Client, "ip addr flush dev eth0")
	s.on(s.Client, "ip link set up0 up")
	s.on(s.Client, "ip addr add 203.0.113.2/28 dev up0")
	s.on(s.Client, "ip addr add 2001:db8:f::2/64 dev up0 nodad")
	s.on(s.Client, "ip route add default via 203.0.113.1")
	s.on(s.Client, "ip -6 route add default via 2001:db8:f::1")
	if s.how.unnumbered {
		s.unnumber(s.router, 0)
	}
	for _, x := range s.Servers {
		if s.how.unnumbered {
			s.unnumber(x.Node, x.Number)
		}
		s.on(x.Node, "ip route add default via "+routerAddr)
		s.on(x.Node, "ip -6 route add default via "+routerV6)
		s.usable(x.Node)
	}
	s.usable(s.router)
}

// unnumber gives a node the link-local address that the other end expects.
func (s *site) unnumber(n *lab.Node, number int) {
	s.on(n, "ip -6 addr flush dev eth0 scope link")
	s.on(n, fmt.Sprintf("ip -6 addr add %v/64 dev eth0 nodad", linkLocal(number)))
}

// usable waits until a node can look for neighbours in IPv6.
func (s *site) usable(n *lab.Node) {
	s.t.Helper()
	s.until(n.Name+" to have done with duplicate address detection", func() error {
		if out := s.on(n, "ip -6 addr show tentative"); out != "" {
			return fmt.Errorf("tentative are %s", out)
		}
		return nil
	})
}

func (s *site) on(n *lab.Node, command string) string {
	s.t.Helper()
	args := strings.Fields(command)
	out, err := n.Run(args[0], args[1:]...)
	must(s.t, err)
	return out
}

// begin starts everything and waits until the router has been told the routes of all servers,
// and its kernel leads to those that are used.
func begin(t *testing.T, kind string, h setup) *site {
	t.Helper()
	s := newSite(t, kind, h)
	s.speaks.start()
	if s.also != nil {
		s.also.start()
	}
	for _, x := range s.Servers {
		s.password(x)
		must(t, x.StartAPI("ready"))
		must(t, x.StartAgent())
	}
	switch {
	case h.beyond: // the first knows of no route
	case h.spread:
		s.leads(s.Servers...)
	default:
		for _, x := range s.Servers { // who is next has to be known when the first one fails
			s.announces(x)
		}
		s.leads(s.Servers[0])
	}
	return s
}

// announces waits until a server has announced the VIP's routes.
func (s *site) announces(x *cluster.Server) {
	s.t.Helper()
	s.until(x.Name+" to announce", func() error {
		st, err := x.Status(s.t.Context())
		if err != nil || len(st.Sessions) == 0 || st.Sessions[0].Routes < len(s.how.families()) {
			return fmt.Errorf("its sessions are %+v: %w", st.Sessions, err)
		}
		return nil
	})
}

func (s *site) password(x *cluster.Server) {
	if s.how.password != "" {
		writeFile(s.t, filepath.Join(filepath.Dir(x.ConfigPath()), "password"), s.how.password)
	}
}

// hops are the servers that a router's kernel sends what is for an address to.
func (s *site) hops(at *lab.Node, to netip.Addr) []string {
	out, err := at.Run("ip", "-j", "-"+familyName(to), "route", "show", fmt.Sprintf("%v/%d", to, to.BitLen()))
	must(s.t, err)
	type hop struct {
		Gateway string
		Via     struct{ Host string } // of the other family
	}
	var routes []struct {
		hop
		Nexthops []hop
	}
	if strings.TrimSpace(out) != "" {
		must(s.t, json.Unmarshal([]byte(out), &routes))
	}
	var names []string
	for _, r := range routes {
		for _, g := range append(r.Nexthops, r.hop) {
			by := g.Gateway + g.Via.Host
			if by == nearAddr {
				names = append(names, "the first router")
			}
			for _, x := range s.Servers {
				if by == x.Addr.String() || by == x.Addr6.String() || by == linkLocal(x.Number).String() {
					names = append(names, x.Name)
				}
			}
		}
	}
	slices.Sort(names)
	return names
}

func familyName(a netip.Addr) string {
	if a.Is4() {
		return "4"
	}
	return "6"
}

// leads waits until the router's kernel sends to just these servers.
func (s *site) leads(to ...*cluster.Server) {
	s.t.Helper()
	s.leadsFrom(s.router, s.how.address(), to...)
}

// leadsFrom likewise, of some router and some address of the VIP.
func (s *site) leadsFrom(at *lab.Node, address netip.Addr, to ...*cluster.Server) {
	s.t.Helper()
	want := []string{}
	for _, x := range to {
		want = append(want, x.Name)
	}
	s.until(fmt.Sprintf("the route of %s to lead to %v", at.Name, want), func() error {
		if got := s.hops(at, address); !slices.Equal(got, want) {
			return fmt.Errorf("it leads to %v", got)
		}
		return nil
	})
}

func (s *site) until(what string, check func() error) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	must(s.t, cluster.Until(ctx, what, check))
}

// watch starts a client beyond the router, and waits for its first answer.
func (s *site) watch() *probe.Process {
	s.t.Helper()
	p, err := probe.Start(s.t.Context(), s.Client, binaries(s.t).Client, probe.Config{
		Address: netip.AddrPortFrom(s.how.address(), 6443).String(), ServerName: cluster.VIP4.String(), // which the certificate names
		CAFile: filepath.Join(s.dir, "ca", "server-ca.crt"), Interval: interval, Idle: true,
	})
	must(s.t, err)
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	must(s.t, p.Await(ctx, ""))
	return p
}

func (s *site) report(p *probe.Process) probe.Report {
	s.t.Helper()
	r, err := p.Stop()
	must(s.t, err)
	s.t.Logf("the client saw %v, longest gap %v, noise %v, nodes %v", r.Outcomes, r.LongestGap.Length(), r.Noise, r.Nodes)
	return r
}

// session returns how a server's session with the router fares.
func (s *site) session(x *cluster.Server) control.Session {
	s.t.Helper()
	st, err := x.Status(s.t.Context())
	must(s.t, err)
	for _, got := range st.Sessions {
		if got.Peer == s.how.routerAddress() {
			return got
		}
	}
	s.t.Fatalf("%s has no session with %s: %+v", x.Name, s.how.routerAddress(), st.Sessions)
	return control.Session{}
}

// complains waits until a session's problem has some words in it.
func (s *site) complains(x *cluster.Server, words string) {
	s.t.Helper()
	s.until("the session to complain", func() error {
		st, err := x.Status(s.t.Context())
		if err != nil || len(st.Sessions) == 0 {
			return fmt.Errorf("no session yet: %w", err)
		}
		if p := st.Sessions[0].Problem; !strings.Contains(p, words) {
			return fmt.Errorf("its problem is %q", p)
		}
		return nil
	})
}
