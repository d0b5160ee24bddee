package conformance

import (
	"context"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/vipd/vipd/test/cluster"
)

// A planned move loses no connection: none is refused, times out or is left
// without an answer (C64), and an idle one is reset, not left to hang (C72).
func TestC64C72PlannedMoves(t *testing.T) {
	for name, move := range map[string]func(*testing.T, *cluster.Cluster, *cluster.Server) *cluster.Server{
		"graceful stop": func(t *testing.T, c *cluster.Cluster, h *cluster.Server) *cluster.Server {
			must(t, h.SignalAgent(syscall.SIGTERM))
			return c.Servers[1]
		},
		"drain": func(t *testing.T, c *cluster.Cluster, h *cluster.Server) *cluster.Server {
			out, err := h.Vipd("drain", "--wait")
			must(t, err)
			if out != "drained: this node holds no VIP\n" {
				t.Errorf("drain --wait printed %q", out)
			}
			return c.Servers[1]
		},
		"fall to degraded": func(t *testing.T, c *cluster.Cluster, h *cluster.Server) *cluster.Server {
			must(t, h.SetAPI(t.Context(), "etcd-lost"))
			return c.Servers[1]
		},
		"unready": func(t *testing.T, c *cluster.Cluster, h *cluster.Server) *cluster.Server {
			must(t, h.SetAPI(t.Context(), "unready"))
			return c.Servers[1]
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := start(t, 3, nil)
			p := watch(t, c)
			to := move(t, c, c.Servers[0])
			await(t, p, to.Name)
			until(t, "the old holder to let go", func() error { return has(c.Servers[0], false) })
			checkMove(t, report(t, p), to.Name)
		})
	}
}

func TestReturnWithPreemption(t *testing.T) {
	c := start(t, 3, nil)
	_, err := c.Servers[0].Vipd("drain", "--wait")
	must(t, err)
	until(t, "the second to hold", func() error { return is(c.Servers[1], "Active") })
	p := watch(t, c)
	_, err = c.Servers[0].Vipd("resume")
	must(t, err)
	await(t, p, "node1")
	until(t, "the second to let go", func() error { return has(c.Servers[1], false) })
	checkMove(t, report(t, p), "node1")
}

func TestC66AnEtcdElectionMovesNothing(t *testing.T) {
	c := start(t, 3, nil)
	p := watch(t, c)
	for _, s := range c.Servers {
		must(t, s.SetAPI(t.Context(), "etcd-lost"))
	}
	stays(t, 5*time.Second, "the holder", func() error { return is(c.Servers[0], "Active") })
	for _, s := range c.Servers {
		must(t, s.SetAPI(t.Context(), "ready"))
	}
	stays(t, 4*time.Second, "the holder", func() error { return is(c.Servers[0], "Active") })
	if r := report(t, p); lost(r) != 0 || len(r.Changes) != 1 {
		t.Errorf("lost %d, changes %v", lost(r), r.Changes)
	}
}

// All servers lose the datastore for long: all are degraded, and nothing moves.
func TestC61CommonCauseMovesNothing(t *testing.T) {
	c := start(t, 3, nil)
	moves := moved(t, c)
	for _, s := range c.Servers {
		must(t, s.SetAPI(t.Context(), "etcd-lost"))
	}
	graded(t, c, "degraded")
	stays(t, 2*time.Second, "the holder", func() error { return is(c.Servers[0], "Active") })
	if n := moved(t, c) - moves; n > 0 {
		t.Errorf("%d changes of state", n)
	}
}

func TestC70Restart(t *testing.T) {
	c := start(t, 3, nil)
	p := watch(t, c)
	h := c.Servers[0]
	must(t, h.SignalAgent(syscall.SIGUSR1))
	must(t, h.AwaitAgent(t.Context()))
	must(t, has(h, true))
	must(t, h.RestartAgent())
	until(t, "the restarted agent to go on", func() error { return is(h, "Active") })
	stays(t, time.Second, "the holder", func() error { return is(h, "Active") })
	if r := report(t, p); r.Failed != 0 || len(r.Changes) != 1 || len(r.Drops) != 0 {
		t.Errorf("failed %d, changes %v, idle %v", r.Failed, r.Changes, r.Drops)
	}

	// Too late: others have taken over, and the address is no longer its own.
	must(t, h.SignalAgent(syscall.SIGUSR1))
	must(t, h.AwaitAgent(t.Context()))
	until(t, "the second to take over", func() error { return is(c.Servers[1], "Active") })
	must(t, h.RestartAgent())
	until(t, "the first to be Backup", func() error { return is(h, "Backup") })
	must(t, has(h, false))
}

// A drain outlives the agent.
func TestDrainSurvivesARestart(t *testing.T) {
	c := start(t, 2, nil)
	h := c.Servers[0]
	_, err := h.Vipd("drain", "--wait")
	must(t, err)
	must(t, h.SignalAgent(syscall.SIGTERM))
	must(t, h.AwaitAgent(t.Context()))
	must(t, h.RestartAgent())
	until(t, "the agent to be there again", func() error { return is(h, "Backup") })
	stays(t, 3*time.Second, "the drained node", func() error { return is(h, "Backup") })
	_, err = h.Vipd("resume")
	must(t, err)
	until(t, "it to take the VIP back", func() error { return is(h, "Active") })
}

// SIGHUP applies a new file; VIPs that did not change do not notice, and a bad
// file changes nothing.
func TestReload(t *testing.T) {
	c := start(t, 2, nil)
	h := c.Servers[0]
	before := transitions(t, h)
	must(t, h.Reconfigure(cluster.DefaultConfig(h)+"\n[[vip]]\nname = \"more\"\naddresses = [\"198.51.100.101\"]\nvrid = 52\n"))
	must(t, h.SignalAgent(syscall.SIGHUP))
	until(t, "the second VIP", func() error {
		st, err := status(h)
		if err != nil {
			return err
		}
		if len(st.Routers) != 2 || st.Routers[1].State != "Active" {
			return errNotYet
		}
		return nil
	})
	must(t, is(h, "Active"))
	must(t, h.Reconfigure("vrid = \"what\""))
	if out, err := h.Vipd("reload"); err == nil {
		t.Errorf("a bad file was accepted: %s", out)
	}
	must(t, h.Reconfigure(cluster.DefaultConfig(h)))
	_, err := h.Vipd("reload")
	must(t, err)
	until(t, "the second VIP to go", func() error {
		st, err := status(h)
		if err != nil {
			return err
		}
		if len(st.Routers) != 1 {
			return errNotYet
		}
		return nil
	})
	must(t, is(h, "Active"))
	if n := transitions(t, h) - before; n != 3 { // the second VIP's: Backup, Active, and Initialize at its end
		t.Errorf("%d changes of state, want 3", n)
	}
}

// Two families in one VIP are two virtual routers, and both are served.
func TestTwoFamilies(t *testing.T) {
	c := start(t, 2, func(s *cluster.Server) string {
		return s.CheckConfig() + "[[vip]]\nname = \"k3s\"\naddresses = [\"198.51.100.100\", \"2001:db8::100\"]\nvrid = 51\n" +
			fmt.Sprintf("priority = %d\n", s.Priority())
	})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	p, err := c.Probe(t.Context(), cluster.VIP6, 10*time.Millisecond)
	must(t, err)
	must(t, p.Await(ctx, ""))
	h, err := c.Holder(ctx)
	must(t, err)
	must(t, h.SignalAgent(syscall.SIGTERM))
	for _, s := range c.Servers {
		if s != h {
			await(t, p, s.Name)
		}
	}
	if r := report(t, p); lost(r) != 0 {
		t.Errorf("lost %d connections over IPv6: %v", lost(r), r.Outcomes)
	}
}
