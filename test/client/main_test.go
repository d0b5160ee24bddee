package main

import (
	"context"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"

	"github.com/vipd/vipd/test/client/probe"
	"github.com/vipd/vipd/test/lab"
	"github.com/vipd/vipd/test/standin/apiserver"
	"github.com/vipd/vipd/test/standin/pki"
)

// asProgram in the environment makes the test binary the program.
const asProgram = "CLIENT_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// here starts commands where the test runs.
type here struct{}

func (here) Start(cmd *exec.Cmd) error { return cmd.Start() }

func start(t *testing.T, where probe.Starter, cfg probe.Config) *probe.Process {
	t.Helper()
	t.Setenv(asProgram, "1")
	// Under the race detector a program otherwise idles for a second at its end.
	t.Setenv("GORACE", "atexit_sleep_ms=0")
	p, err := probe.Start(t.Context(), where, os.Args[0], cfg)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func await(t *testing.T, p *probe.Process, node string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := p.Await(ctx, node); err != nil {
		t.Fatal(err)
	}
}

func stop(t *testing.T, p *probe.Process) probe.Report {
	t.Helper()
	r, err := p.Stop()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func serve(t *testing.T, opts apiserver.Options) *apiserver.Server {
	t.Helper()
	opts.Mode = apiserver.Mode{Kind: apiserver.Ready}
	s := apiserver.New(opts)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s
}

func identity(t *testing.T, sans ...string) (pki.Identity, string) {
	t.Helper()
	dir := t.TempDir()
	if err := pki.Ensure(pki.Config{DataDir: dir, SANs: sans}); err != nil {
		t.Fatal(err)
	}
	id, err := pki.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return id, filepath.Join(pki.TLSDir(dir), "server-ca.crt")
}

func TestProgramReports(t *testing.T) {
	id, ca := identity(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	again := func() (net.Listener, error) { return net.Listen("tcp", l.Addr().String()) }
	s := serve(t, apiserver.Options{Name: "node1", Identity: id, Listen: func() (net.Listener, error) { return l, nil }})
	p := start(t, here{}, probe.Config{Address: l.Addr().String(), CAFile: ca, Interval: 5 * time.Millisecond})
	await(t, p, "node1")
	if err := s.SetMode(t.Context(), apiserver.Mode{Kind: apiserver.Stop}); err != nil {
		t.Fatal(err)
	}
	awaitMode(t, s, apiserver.Refused)
	serve(t, apiserver.Options{Name: "node2", Identity: id, Listen: again})
	await(t, p, "node2")
	r := stop(t, p)
	if r.Outcomes[probe.Reset] == 0 || r.Nodes["node1"] == 0 || r.Nodes["node2"] == 0 {
		t.Errorf("outcomes %v of nodes %v, want answers of both and resets", r.Outcomes, r.Nodes)
	}
	if g := r.LongestGap; g.Length() < 60*time.Millisecond || g.Before != "node1" || g.After != "node2" {
		t.Errorf("longest gap %+v, want one of 60 ms and more between the nodes", g)
	}
	if c := r.Changes[len(r.Changes)-1]; len(r.Changes) != 2 || c.Outage != r.LongestGap.Length() {
		t.Errorf("changes %+v, want one with the longest gap", r.Changes)
	}
}

func awaitMode(t *testing.T, s *apiserver.Server, kind apiserver.Kind) {
	t.Helper()
	deadline := time.After(5 * time.Second)
	for s.Mode().Kind != kind {
		select {
		case <-deadline:
			t.Fatalf("mode %s after 5 s, want %s", s.Mode(), kind)
		case <-time.After(time.Millisecond):
		}
	}
}

func TestProgramSaysWhyItCannot(t *testing.T) {
	p := start(t, here{}, probe.Config{Address: "nowhere"})
	if err := p.Await(t.Context(), ""); err == nil || !strings.Contains(err.Error(), "missing port") {
		t.Errorf("await: %v", err)
	}
	if _, err := p.Stop(); err == nil || !strings.Contains(err.Error(), "missing port") {
		t.Errorf("stop: %v", err)
	}
}

// A client in one node sees the address move between two others.
func TestSeesAnAddressMove(t *testing.T) {
	l := lab.NewTest(t, "ip")
	vip := netip.MustParsePrefix("203.0.113.9/32")
	id, ca := identity(t, vip.Addr().String())
	nodes := map[string]*lab.Node{}
	for name, addr := range map[string]string{"a": "198.51.100.1/24", "b": "198.51.100.2/24", "client": "198.51.100.3/24"} {
		n, err := l.Add(name, netip.MustParsePrefix(addr))
		if err != nil {
			t.Fatal(err)
		}
		nodes[name] = n
	}
	for _, name := range []string{"a", "b"} {
		n := nodes[name]
		serve(t, apiserver.Options{Name: name, Identity: id, Listen: func() (l net.Listener, err error) {
			err = n.Do(func() error { l, err = net.Listen("tcp", ":6443"); return err })
			return l, err
		}})
	}
	route := func(verb, via string) {
		t.Helper()
		if _, err := nodes["client"].Run("ip", "route", verb, vip.String(), "via", via); err != nil {
			t.Fatal(err)
		}
	}
	if err := nodes["a"].AddAddr(vip); err != nil {
		t.Fatal(err)
	}
	route("add", "198.51.100.1")

	p := start(t, nodes["client"], probe.Config{Address: "203.0.113.9:6443", CAFile: ca})
	await(t, p, "a")
	del(t, nodes["a"], vip)
	if err := nodes["b"].AddAddr(vip); err != nil {
		t.Fatal(err)
	}
	route("replace", "198.51.100.2")
	await(t, p, "b")
	r := stop(t, p)

	var tos []string
	for _, c := range r.Changes {
		tos = append(tos, c.To)
	}
	if diff := cmp.Diff([]string{"a", "b"}, tos); diff != "" {
		t.Errorf("nodes that answered (-want +got):\n%s", diff)
	}
	if r.Nodes["a"] == 0 || r.Nodes["b"] == 0 || r.Changes[len(r.Changes)-1].Outage <= 0 {
		t.Errorf("got %+v", r)
	}
}

func del(t *testing.T, n *lab.Node, a netip.Prefix) {
	t.Helper()
	link, err := n.Netlink().LinkByName(lab.Interface)
	if err != nil {
		t.Fatal(err)
	}
	addr, err := netlink.ParseAddr(a.String())
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Netlink().AddrDel(link, addr); err != nil {
		t.Fatal(err)
	}
}
