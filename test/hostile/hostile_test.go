package hostile

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vipd/vipd/agent/control"
	"github.com/vipd/vipd/test/client/probe"
	"github.com/vipd/vipd/test/cluster"
	"github.com/vipd/vipd/test/lab"
)

// binaries are built once, by TestMain, and so is the agent of a synchronised host.
var binaries, synchronised cluster.Binaries

func TestMain(m *testing.M) {
	os.Exit(func() int {
		if os.Getenv("VIPD_CONTAINED") == "" {
			return m.Run() // the tests say why they skip
		}
		dir, err := os.MkdirTemp("", "vipd-hostile-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		if err := build(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return m.Run()
	}())
}

func build(dir string) (err error) {
	// Another user has to be able to run them.
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	if binaries, err = cluster.Build(dir); err != nil {
		return err
	}
	synchronised = binaries
	synchronised.Vipd, err = cluster.BuildOne(dir, "test/hostile/synced")
	return err
}

// start runs a cluster whose first server holds the VIPs.
func start(t *testing.T, servers int, b cluster.Binaries, config func(*cluster.Server) string) *cluster.Cluster {
	t.Helper()
	return startIn(t, t.TempDir(), servers, b, config)
}

func startIn(t *testing.T, dir string, servers int, b cluster.Binaries, config func(*cluster.Server) string) *cluster.Cluster {
	t.Helper()
	l := lab.NewTest(t)
	c, err := cluster.New(l, cluster.Options{Binaries: b, Dir: dir, Servers: servers, Config: config, Log: t.Output(), Launcher: cluster.RealTime()})
	must(t, err)
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	must(t, c.Start(ctx))
	until(t, "the first server to hold the VIPs", func() error { return is(c.Servers[0], "Active") })
	return c
}

// plain is a VIP in both families.
func plain(s *cluster.Server) string {
	return s.CheckConfig() + fmt.Sprintf("[[vip]]\nname = \"k3s\"\naddresses = [%q, %q]\nvrid = 51\npriority = %d\n",
		cluster.VIP4, cluster.VIP6, s.Priority())
}

// errNotYet is that of a condition that may come about.
var errNotYet = errors.New("not yet")

// secret is the key of all servers, with the id 1.
var secret = []byte(strings.Repeat("k", 32))

// secured is plain with authentication enforced.
func secured(t *testing.T, antiReplay string) func(*cluster.Server) string {
	t.Helper()
	key := filepath.Join(t.TempDir(), "key")
	must(t, os.WriteFile(key, secret, 0o600))
	return func(s *cluster.Server) string {
		return plain(s) + fmt.Sprintf("[auth]\nmode = \"enforce\"\nanti_replay = %q\nkeys = [{ id = 1, file = %q }]\n", antiReplay, key)
	}
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

// every calls f at an interval for a while.
func every(t *testing.T, interval, d time.Duration, f func()) {
	t.Helper()
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for end := time.After(d); ; {
		select {
		case <-tick.C:
			f()
		case <-end:
			return
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		}
	}
}

// stays checks that a condition holds for a while.
func stays(t *testing.T, d time.Duration, check func() error) {
	t.Helper()
	every(t, 20*time.Millisecond, d, func() { must(t, check()) })
}

func status(s *cluster.Server) (control.Status, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	return s.Status(ctx)
}

// is checks the state of all virtual routers of a server, and that they hold the
// addresses if and only if they are Active.
func is(s *cluster.Server, state string) error {
	st, err := status(s)
	if err != nil {
		return err
	}
	for _, r := range st.Routers {
		if r.State != state || r.Holding != (state == "Active") {
			return fmt.Errorf("%s is %s in %s, holding %t: %s %v", s.Name, r.State, r.Family, r.Holding, r.Cause, r.Problems)
		}
	}
	return nil
}

// says checks that a problem of a virtual router holds the words.
func says(s *cluster.Server, family, words string) error {
	st, err := status(s)
	if err != nil {
		return err
	}
	var all []string
	for _, r := range st.Routers {
		if r.Family == family {
			all = append(all, r.Problems...)
		}
	}
	if !slices.ContainsFunc(all, func(p string) bool { return strings.Contains(p, words) }) {
		return fmt.Errorf("%s says %q of %s, nothing of %q", s.Name, all, family, words)
	}
	return nil
}

// counters returns those of a server's virtual router in a family.
func counters(t *testing.T, s *cluster.Server, family string) map[string]uint64 {
	t.Helper()
	st, err := status(s)
	must(t, err)
	for _, r := range st.Routers {
		if r.Family == family {
			return r.Counters
		}
	}
	t.Fatalf("%s has no virtual router in %s", s.Name, family)
	return nil
}

func history(t *testing.T, s *cluster.Server) []control.Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	events, err := s.Agent().History(ctx)
	must(t, err)
	return events
}

// transitions counts the changes of state of a server's virtual routers.
func transitions(t *testing.T, s *cluster.Server) int {
	t.Helper()
	n := 0
	for _, e := range history(t, s) {
		if e.Kind == control.KindTransition {
			n++
		}
	}
	return n
}

// unmoved notes how often the servers changed their state; the function that it
// returns wants them not to have done so since.
func unmoved(t *testing.T, c *cluster.Cluster) func() {
	t.Helper()
	before := make(map[string]int)
	for _, s := range c.Servers {
		before[s.Name] = transitions(t, s)
	}
	return func() {
		t.Helper()
		for _, s := range c.Servers {
			if n := transitions(t, s) - before[s.Name]; n != 0 {
				t.Errorf("%s changed its state %d times", s.Name, n)
			}
		}
	}
}

// watch starts a client for the VIP and waits for its first answer.
func watch(t *testing.T, c *cluster.Cluster) *probe.Process {
	t.Helper()
	p, err := c.Probe(t.Context(), cluster.VIP4, 5*time.Millisecond)
	must(t, err)
	await(t, p, "")
	return p
}

func await(t *testing.T, p *probe.Process, node string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	must(t, p.Await(ctx, node))
}

func report(t *testing.T, p *probe.Process) probe.Report {
	t.Helper()
	r, err := p.Stop()
	must(t, err)
	t.Logf("client: %v, longest gap %v (noise %v), changes %+v, idle %+v", r.Outcomes, r.LongestGap.Length(), r.Noise, r.Changes, r.Drops)
	return r
}

// untouched ends the client, which must not have noticed anything.
func untouched(t *testing.T, p *probe.Process) {
	t.Helper()
	r := report(t, p)
	if r.Attempts != r.Outcomes[probe.OK] || len(r.Changes) != 1 || len(r.Drops) != 0 {
		t.Errorf("the client noticed: %v, moves %+v, idle connection %+v", r.Outcomes, r.Changes, r.Drops)
	}
}

// recovered ends the client, whose last failure must have begun no later than this
// after a time.
func recovered(t *testing.T, p *probe.Process, from time.Time, within time.Duration) {
	t.Helper()
	r := report(t, p)
	var last time.Duration
	for _, f := range r.Failures {
		last = max(last, f.Start)
	}
	took := r.Began.Add(last).Sub(from)
	t.Logf("the last connection that failed began %v after the attack", took)
	if took > within+r.Noise {
		t.Errorf("that is more than %v", within)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
