package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/vipd/vipd/agent/control"
	"github.com/vipd/vipd/test/client/probe"
	"github.com/vipd/vipd/test/cluster"
	"github.com/vipd/vipd/test/lab"
	"github.com/vipd/vipd/test/machine"
	"github.com/vipd/vipd/test/standin/pki"
)

// site is three servers and a client on one segment. The client is the gateway too.
type site struct {
	lab    *lab.Lab
	nodes  []*node
	client *lab.Node
	bin    cluster.Binaries
	dir    string
}

// The client opens a connection each clientInterval, and gives each clientTimeout.
const (
	clientInterval = 2 * time.Millisecond
	clientTimeout  = time.Second
)

// patience is how long the site may take to get back to normal.
const patience = 40 * time.Second

// newSite makes a site whose machines are off. What it needs on disk is in memory,
// in contain's own /run.
func newSite(t *testing.T) *site {
	t.Helper()
	archive := machine.Require(t)
	dir, err := os.MkdirTemp("/run", "vipd-e2e-")
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) }) // after the machines, and it is in memory
	s := &site{lab: lab.NewTest(t), dir: dir}
	s.bin, err = cluster.BuildAround(filepath.Join(dir, "bin"))
	must(t, err)
	root := filepath.Join(dir, "shared")
	must(t, machine.Unpack(t.Context(), archive, root))
	for i := 1; i <= 3; i++ {
		s.nodes = append(s.nodes, s.newNode(t, i, root))
	}
	s.client, err = s.lab.Add("client", netip.MustParsePrefix("198.51.100.1/24"), netip.MustParsePrefix("2001:db8::1/64"))
	must(t, err)
	return s
}

// boot boots all machines.
func (s *site) boot(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, n := range s.nodes {
		g.Go(func() error { return n.powerOn(ctx) })
	}
	return g.Wait()
}

// installK3s puts the stand-in where K3s would be, with the same authorities on all
// servers, and starts it.
func (s *site) installK3s(ctx context.Context) error {
	if err := pki.Ensure(pki.Config{DataDir: s.path("k3s"), CADir: s.path("ca")}); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	for _, n := range s.nodes {
		g.Go(func() error { return s.installK3sOn(ctx, n) })
	}
	return g.Wait()
}

func (s *site) installK3sOn(ctx context.Context, n *node) error {
	if err := s.copyK3s(n); err != nil {
		return err
	}
	if err := n.CopyIn("testdata/k3s.service", "/etc/systemd/system/k3s.service"); err != nil {
		return err
	}
	_, err := n.Systemctl(ctx, "enable", "--now", "k3s.service")
	return err
}

// copyK3s copies the stand-in, and the authorities.
func (s *site) copyK3s(n *node) error {
	for _, name := range []string{"server-ca.crt", "server-ca.key", "client-ca.crt", "client-ca.key"} {
		if err := n.CopyIn(filepath.Join(s.path("ca"), name), filepath.Join(pki.TLSDir("/var/lib/rancher/k3s"), name)); err != nil {
			return err
		}
	}
	return n.CopyIn(s.bin.Standin, "/usr/local/bin/k3s")
}

func (s *site) path(name string) string { return filepath.Join(s.dir, name) }

// watch starts a client that asks a VIP all the time.
func (s *site) watch(ctx context.Context, vip netip.Addr, interval time.Duration) (*probe.Process, error) {
	return s.ask(ctx, probe.Config{Address: netip.AddrPortFrom(vip, 6443).String(), Interval: interval, Idle: true})
}

// ask starts a client with what is the same for all, and waits for its first answer.
func (s *site) ask(ctx context.Context, cfg probe.Config) (*probe.Process, error) {
	cfg.CAFile, cfg.DialTimeout, cfg.Timeout = filepath.Join(s.path("ca"), "server-ca.crt"), clientTimeout, clientTimeout
	p, err := probe.Start(ctx, s.client, s.bin.Client, cfg)
	if err != nil {
		return nil, err
	}
	return p, p.Await(ctx, "")
}

// normal waits until all is as after the installation: three ready servers, one of
// which holds the VIP, and no failed unit.
func (s *site) normal(ctx context.Context) error {
	err := await(ctx, "the site to be normal", func() error { return s.isNormal(ctx, (*node).status) })
	if err != nil {
		return err
	}
	for _, n := range s.nodes {
		failed, err := n.Systemctl(ctx, "list-units", "--failed", "--plain", "--no-legend")
		if err != nil || failed != "" {
			return fmt.Errorf("%s has failed units: %s: %w", n.name, failed, err)
		}
	}
	// What operators read says the same.
	return s.isNormal(ctx, (*node).printedStatus)
}

func (s *site) isNormal(ctx context.Context, status func(*node, context.Context) (control.Status, error)) error {
	all := make(map[string]control.Status)
	for _, n := range s.nodes {
		st, err := status(n, ctx)
		if err != nil {
			return err
		}
		if st.Drained || st.Health.Grade != "ready" {
			return fmt.Errorf("%s is %s, drained: %t", n.name, st.Health.Grade, st.Drained)
		}
		all[n.name] = st
	}
	return cluster.Settled(all)
}

// holder returns the node that holds the VIP.
func (s *site) holder(ctx context.Context) (*node, error) {
	for _, n := range s.nodes {
		if !n.Runs() {
			continue
		}
		if st, err := n.status(ctx); err == nil && len(st.Routers) > 0 && st.Routers[0].Holding {
			return n, nil
		}
	}
	return nil, errors.New("nobody holds the VIP")
}

// restore starts whatever a scenario has ended, and waits until all is normal.
func (s *site) restore(ctx context.Context) error {
	g, each := errgroup.WithContext(ctx)
	for _, n := range s.nodes {
		g.Go(func() error { return n.restore(each) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return s.normal(ctx)
}

// await waits for a condition: see [cluster.Until].
func await(ctx context.Context, what string, check func() error) error {
	return cluster.UntilEvery(ctx, 20*time.Millisecond, what, check)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
