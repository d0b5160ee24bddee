package conformance

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vipd/vipd/agent/control"
	"github.com/vipd/vipd/test/client/probe"
	"github.com/vipd/vipd/test/cluster"
	"github.com/vipd/vipd/test/lab"
)

// binaries are built once, by TestMain.
var binaries cluster.Binaries

func TestMain(m *testing.M) {
	os.Exit(func() int {
		if os.Getenv("VIPD_CONTAINED") == "" {
			return m.Run() // the tests say why they skip
		}
		dir, err := os.MkdirTemp("", "vipd-conformance-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		if binaries, err = cluster.Build(filepath.Join(dir, "bin")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return m.Run()
	}())
}

// start runs a cluster whose first server holds the VIP.
func start(t *testing.T, servers int, config func(*cluster.Server) string) *cluster.Cluster {
	t.Helper()
	c := prepare(t, servers, config)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := c.Start(ctx); err != nil {
		t.Fatal(err)
	}
	until(t, "the first server to hold the VIP", func() error { return is(c.Servers[0], "Active") })
	if err := c.Settled(ctx); err != nil {
		t.Fatal(err)
	}
	return c
}

// prepare makes a cluster in which nothing runs yet.
func prepare(t *testing.T, servers int, config func(*cluster.Server) string) *cluster.Cluster {
	t.Helper()
	l := lab.NewTest(t)
	c, err := cluster.New(l, cluster.Options{Binaries: binaries, Dir: t.TempDir(), Servers: servers, Config: config, Log: t.Output(), Launcher: cluster.RealTime()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// until waits for a condition, for up to 20 s.
func until(t *testing.T, what string, check func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := cluster.Until(ctx, what, check); err != nil {
		t.Fatal(err)
	}
}

// stays checks that a condition holds for as long as d.
func stays(t *testing.T, d time.Duration, what string, check func() error) {
	t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); {
		if err := check(); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		select {
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func status(s *cluster.Server) (control.Status, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	return s.Status(ctx)
}

// is checks the state of a server's first virtual router, and that it holds the
// addresses if and only if it is Active.
func is(s *cluster.Server, state string) error {
	st, err := status(s)
	if err != nil {
		return err
	}
	r := st.Routers[0]
	if r.State != state || r.Holding != (state == "Active") {
		return fmt.Errorf("%s is %s, holding %t: %s %v", s.Name, r.State, r.Holding, r.Cause, r.Problems)
	}
	return nil
}

// has checks whether a VIP is on a server's interface.
func has(s *cluster.Server, want bool) error {
	addrs, err := s.Node.Addrs()
	if err != nil {
		return err
	}
	if slices.Contains(addrs, cluster.VIP4) != want {
		return fmt.Errorf("%s has %v", s.Name, addrs)
	}
	return nil
}

// says checks that some problem in a server's status holds the words.
func says(s *cluster.Server, words string) error {
	st, err := status(s)
	if err != nil {
		return err
	}
	all := slices.Concat(st.Problems, st.Routers[0].Problems)
	for _, p := range all {
		if strings.Contains(p, words) {
			return nil
		}
	}
	return fmt.Errorf("%s says %q, nothing of %q", s.Name, all, words)
}

// graded waits until every server's API server is judged so.
func graded(t *testing.T, c *cluster.Cluster, grade string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	must(t, c.Graded(ctx, grade))
}

// watch starts a client and waits for its first answer.
func watch(t *testing.T, c *cluster.Cluster) *probe.Process {
	t.Helper()
	p, err := c.Probe(t.Context(), cluster.VIP4, 4*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	await(t, p, "")
	return p
}

func await(t *testing.T, p *probe.Process, node string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := p.Await(ctx, node); err != nil {
		t.Fatal(err)
	}
}

func report(t *testing.T, p *probe.Process) probe.Report {
	t.Helper()
	r, err := p.Stop()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("client: %v, longest gap %v (noise %v), changes %+v, idle %+v", r.Outcomes, r.LongestGap.Length(), r.Noise, r.Changes, r.Drops)
	return r
}

// lost counts the connections that were refused, timed out or were left without an answer.
func lost(r probe.Report) int {
	return r.Outcomes[probe.Refused] + r.Outcomes[probe.Timeout] + r.Outcomes[probe.Unanswered] + r.Outcomes[probe.Unreachable]
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var errNotYet = errors.New("not yet")

// transitions counts the changes of state of a server's virtual routers.
func transitions(t *testing.T, s *cluster.Server) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	events, err := s.Agent().History(ctx)
	must(t, err)
	n := 0
	for _, e := range events {
		if e.Kind == control.KindTransition {
			n++
		}
	}
	return n
}

// kill ends an agent without a word.
func kill(t *testing.T, s *cluster.Server) {
	t.Helper()
	must(t, s.SignalAgent(syscall.SIGKILL))
	_ = s.AwaitAgent(t.Context()) // killed: that is its error
}

// moved counts the changes of state in a cluster. Two agents that rise at the same
// moment may change places once, so a test counts from when that is over.
func moved(t *testing.T, c *cluster.Cluster) int {
	t.Helper()
	n := 0
	for _, s := range c.Servers {
		n += transitions(t, s)
	}
	return n
}
