package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/vipd/vipd/test/client/probe"
	"github.com/vipd/vipd/test/cluster"
	"github.com/vipd/vipd/test/lab"
)

// routed is the VIP of the servers that announce it as a route.
var routed = netip.MustParseAddr("203.0.113.100")

// inFlight is how many handshakes may be under way at a change of routes, which then go to
// another server than they began with; where the machine is busy, as many more as begin
// while the client stands still.
const inFlight = 6

// bgpSite is a site whose gateway is a router that speaks BGP, with a client beyond it. On the
// router itself a connection whose port its kernel chose takes the way of one hash, and what
// that kernel answers without the connection (a RST) that of another (Linux 6.18): a server
// then keeps connections whose end another one has been told.
type bgpSite struct {
	*site
	t      *testing.T
	router *lab.Node
}

// TestBGP installs vipd in mode bgp on three machines behind BIRD, and has systemd do what
// it does to agents.
func TestBGP(t *testing.T) {
	lab.Require(t, "bird")
	s := &bgpSite{site: newSite(t), t: t}
	s.beyond()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	must(t, s.boot(ctx))
	must(t, s.installK3s(ctx))
	s.startBIRD()
	file, err := current.file()
	must(t, err)
	for _, n := range s.nodes {
		must(t, n.CopyIn(file, "/home/admin/vipd.deb"))
		s.admin(n, "sudo apt-get install -y ./vipd.deb",
			"sudo vipd init --mode bgp --address 203.0.113.100 --local-as 64512 --peer 198.51.100.1@64600", "sudo systemctl enable --now vipd")
	}
	s.leads(s.nodes...)
	first, others := s.nodes[0], s.nodes[1:]

	t.Run("API server killed", func(t *testing.T) {
		s.on(first, "systemctl", "kill", "--signal=KILL", "k3s.service")
		s.leads(others...)
		s.on(first, "systemctl", "start", "k3s.service")
		s.leads(s.nodes...)
	})
	t.Run("drain and resume", func(t *testing.T) {
		p := s.asks(t)
		s.on(first, "vipd", "drain", "--wait")
		s.leads(others...)
		s.on(first, "vipd", "resume")
		s.leads(s.nodes...)
		s.judge(t, p, 2)
	})
	t.Run("restart", func(t *testing.T) {
		judge := s.still(t)
		began := time.Now()
		for _, n := range s.nodes {
			s.on(n, "systemctl", "restart", "vipd.service")
		}
		s.awaitRestarted(began)
		judge()
	})
	t.Run("the same package once more", func(t *testing.T) {
		judge := s.still(t)
		began := time.Now()
		for _, n := range s.nodes {
			s.admin(n, "sudo apt-get install -y --reinstall ./vipd.deb")
		}
		s.awaitRestarted(began)
		judge()
	})
	t.Run("restart, with BFD", func(t *testing.T) {
		for _, n := range s.nodes {
			s.on(n, "sh", "-euc", `echo 'bfd = "300ms"' >>/etc/vipd/vipd.toml; systemctl reload vipd.service`)
		}
		s.leads(s.nodes...)
		s.awaitBFD()
		judge := s.still(t)
		began := time.Now()
		for _, n := range s.nodes {
			s.on(n, "systemctl", "restart", "vipd.service")
		}
		s.awaitRestarted(began)
		s.awaitBFD()
		judge()
	})
	t.Run("agent killed", func(t *testing.T) {
		s.on(first, "systemctl", "kill", "--signal=KILL", "vipd.service")
		s.leads(others...)
		s.leads(s.nodes...) // systemd starts it again
	})
	t.Run("stop of K3s", func(t *testing.T) {
		p := s.asks(t)
		s.on(first, "systemctl", "stop", "k3s.service")
		s.leads(others...)
		s.judge(t, p, 1)
		s.on(first, "systemctl", "start", "k3s.service")
		s.leads(s.nodes...)
	})
}

// beyond makes the site's client the router, and a node behind it the client.
func (s *bgpSite) beyond() {
	s.t.Helper()
	s.router = s.client
	var err error
	s.site.client, err = s.lab.Add("beyond")
	must(s.t, err)
	run := func(n *lab.Node, command string) {
		args := strings.Fields(command)
		_, err := n.Run(args[0], args[1:]...)
		must(s.t, err)
	}
	run(s.client, "ip link set eth0 down")
	run(s.router, "sysctl -qw net.ipv4.ip_forward=1 net.ipv4.fib_multipath_hash_policy=1") // by connection
	run(s.router, "ip link add down0 type veth peer name up0 netns "+filepath.Base(s.client.Netns()))
	run(s.router, "ip link set down0 up")
	run(s.router, "ip addr add 203.0.113.1/28 dev down0")
	run(s.client, "ip link set up0 up")
	run(s.client, "ip addr add 203.0.113.2/28 dev up0")
	run(s.client, "ip route add default via 203.0.113.1")
}

func (s *bgpSite) startBIRD() {
	s.t.Helper()
	text := "router id 198.51.100.1;\nlog stderr all;\nprotocol device { scan time 1; }\nprotocol bfd { accept direct; interface \"eth0\" { min rx interval 300 ms; min tx interval 300 ms; multiplier 3; }; }\n" +
		"protocol kernel { ipv4 { import none; export where source = RTS_BGP; }; merge paths on; }\n"
	for i, n := range s.nodes {
		text += fmt.Sprintf("protocol bgp %s { local 198.51.100.1 as 64600; neighbor 198.51.100.%d as 64512; passive; direct; bfd on; error wait time 1, 2; ipv4 { import all; export none; }; }\n", n.name, 11+i)
	}
	file := s.path("bird.conf")
	must(s.t, os.WriteFile(file, []byte(text), 0o600))
	cmd := exec.Command("bird", "-f", "-c", file, "-s", s.path("bird.ctl"))
	cmd.Stdout, cmd.Stderr = s.t.Output(), s.t.Output()
	must(s.t, s.router.Start(cmd))
	s.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // how it ended does not matter: the test ends it
	})
}

// admin has an administrator run lines on a node.
func (s *bgpSite) admin(n *node, lines ...string) {
	s.t.Helper()
	for _, l := range lines {
		out, err := n.admin(s.t.Context(), l)
		if err != nil {
			s.t.Fatalf("admin@%s$ %s\n%s: %v", n.name, l, out, err)
		}
	}
}

func (s *bgpSite) on(n *node, command ...string) string {
	s.t.Helper()
	out, err := n.Run(s.t.Context(), command...)
	must(s.t, err)
	return out
}

// leads waits until the router's kernel sends what is for the VIP to just these nodes.
func (s *bgpSite) leads(to ...*node) {
	s.t.Helper()
	var want []string
	for _, n := range to {
		want = append(want, n.name)
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	err := await(ctx, fmt.Sprintf("the route to lead to %v", want), func() error {
		got, err := s.hops()
		if err == nil && !slices.Equal(got, want) {
			err = fmt.Errorf("it leads to %v", got)
		}
		return err
	})
	if err != nil {
		for _, n := range s.nodes {
			s.t.Log(n.accounts(s.t.Context(), time.Now().Add(-time.Minute)))
		}
		s.t.Fatal(err)
	}
}

func (s *bgpSite) hops() ([]string, error) {
	out, err := s.router.Run("ip", "-j", "route", "show", routed.String())
	if err != nil || strings.TrimSpace(out) == "" {
		return nil, err
	}
	type hop struct{ Gateway string }
	var routes []struct {
		hop
		Nexthops []hop
	}
	if err := json.Unmarshal([]byte(out), &routes); err != nil {
		return nil, fmt.Errorf("read the routes: %w", err)
	}
	var names []string
	for _, r := range routes {
		for _, h := range append(r.Nexthops, r.hop) {
			for i, n := range s.nodes {
				if h.Gateway == fmt.Sprintf("198.51.100.%d", 11+i) {
					names = append(names, n.name)
				}
			}
		}
	}
	slices.Sort(names)
	return names, nil
}

// awaitBFD waits until the routers and the agents watch each other.
func (s *bgpSite) awaitBFD() {
	s.t.Helper()
	for _, n := range s.nodes {
		ctx, cancel := context.WithTimeout(s.t.Context(), patience)
		must(s.t, await(ctx, n.name+"'s BFD", func() error {
			st, err := n.status(ctx)
			if err != nil || len(st.Sessions) != 1 || st.Sessions[0].BFD != "up" {
				return fmt.Errorf("the sessions are %v: %w", st.Sessions, err)
			}
			return nil
		}))
		cancel()
	}
}

// still starts a client that asks the VIP all the time, and watches what leads it there:
// judge wants no connection to have failed, and neither the route nor an address of the VIP
// to have come or gone, however shortly.
func (s *bgpSite) still(t *testing.T) (judge func()) {
	t.Helper()
	var mu sync.Mutex
	var there int
	var changes []string
	changed := func(what string) {
		mu.Lock()
		defer mu.Unlock()
		changes = append(changes, what)
	}
	var ports []*lab.Node
	for _, n := range s.nodes {
		ports = append(ports, n.port)
	}
	addrs, err := lab.WatchAddrs(ports, func(a lab.Sighting) {
		switch {
		case a.Addr != routed:
		case a.There && there < len(s.nodes): // is there already; calls come one at a time
			there++
		default:
			changed(a.String())
		}
	})
	must(t, err)
	routes, done, ended := make(chan netlink.RouteUpdate, 64), make(chan struct{}), make(chan struct{})
	must(t, s.router.Do(func() error { return netlink.RouteSubscribe(routes, done) }))
	go func() {
		defer close(ended)
		for u := range routes {
			if u.Dst != nil && u.Dst.IP.Equal(routed.AsSlice()) {
				changed(fmt.Sprintf("the route is %v", u.Route))
			}
		}
	}()
	p := s.asks(t)
	return func() {
		t.Helper()
		s.judge(t, p, 0)
		close(done)
		<-ended
		must(t, addrs.Close())
		mu.Lock()
		defer mu.Unlock()
		if len(changes) > 0 || there != len(s.nodes) {
			t.Errorf("%d servers had the address; changed: %q", there, changes)
		}
	}
}

// asks starts a client that asks the VIP all the time.
func (s *bgpSite) asks(t *testing.T) *probe.Process {
	t.Helper()
	p, err := s.ask(t.Context(), probe.Config{
		Address: netip.AddrPortFrom(routed, 6443).String(), ServerName: cluster.VIP4.String(), // which the certificate names
		Interval: clientInterval,
	})
	must(t, err)
	return p
}

// judge wants no connection to have failed, and of resets no more than were in flight when
// the routes changed, so many times.
func (s *bgpSite) judge(t *testing.T, p *probe.Process, moves int) {
	t.Helper()
	<-time.After(aftermath) // what has begun comes to its end
	r, err := p.Stop()
	must(t, err)
	t.Logf("the client saw %v, longest gap %v, nodes %v", r.Outcomes, r.LongestGap.Length(), r.Nodes)
	if r.Failed > 0 || len(r.Failures) > moves*(inFlight+int(r.Noise/clientInterval)) {
		t.Errorf("failed: %+v", r.Failures)
	}
}

// awaitRestarted waits until each agent has gone on with its session, for longer than the hold time.
func (s *bgpSite) awaitRestarted(since time.Time) {
	s.t.Helper()
	for _, n := range s.nodes {
		ctx, cancel := context.WithTimeout(s.t.Context(), patience)
		must(s.t, await(ctx, n.name+"'s session to go on", func() error {
			out, err := n.Journal(ctx, since, "vipd.service")
			if err == nil && !strings.Contains(out, "session with 198.51.100.1, AS 64600, goes on") {
				err = fmt.Errorf("the journal says %s", out)
			}
			return err
		}))
		cancel()
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	must(s.t, await(ctx, "more than the hold time to pass", func() error {
		for _, n := range s.nodes {
			st, err := n.status(ctx)
			if err != nil || len(st.Sessions) != 1 || time.Since(st.Sessions[0].Since) < 4*time.Second {
				return fmt.Errorf("%s: %v: %w", n.name, st.Sessions, err)
			}
			if c := st.Sessions[0].Counters; c["established"] != 1 || c["dropped"] != 0 {
				s.t.Fatalf("%s: the session did not go on: %v", n.name, c)
			}
		}
		return nil
	}))
	s.leads(s.nodes...)
}
