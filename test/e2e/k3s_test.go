package e2e

import (
	"context"
	"errors"
	"time"
)

// k3sScenarios are what happens to K3s on the node that holds the VIP, or elsewhere.
func k3sScenarios() []scenario {
	return []scenario{
		{
			name: "systemctl stop k3s",
			fault: func(x *trial) {
				x.on(x.first, "systemctl", "stop", "k3s.service")
				x.ranks(x.first, "down")
				x.moved()
			},
			limits: limits{resets: 2, gap: 100 * time.Millisecond, moves: 1},
		},
		{
			name: "systemctl stop k3s, without vipd-handover.service", times: 2,
			fault: stopUnannounced,
			// K3s answers nothing from its SIGTERM on, and closes its port 60 to 250 ms
			// later: what it accepts until the VIP has moved is reset, the rest refused.
			limits: limits{failed: anyNumber, gap: 300 * time.Millisecond, moves: 1},
		},
		{
			name: "systemctl restart k3s",
			fault: func(x *trial) {
				x.on(x.first, "systemctl", "restart", "k3s.service")
				x.moved()
				x.ranks(x.first, "ready")
			},
			limits: limits{resets: 2, gap: 100 * time.Millisecond, moves: 1},
			also:   "the node is ready again, and not drained",
		},
		{
			name: "systemctl restart k3s, on each server after the other",
			fault: func(x *trial) {
				for _, n := range x.nodes {
					x.on(n, "systemctl", "restart", "k3s.service")
					x.ranks(n, "ready")
				}
			},
			limits: limits{resets: 4, gap: 100 * time.Millisecond, moves: anyNumber},
			also:   "nobody is drained at the end",
		},
		{
			name: "systemctl restart k3s, on a Backup",
			fault: func(x *trial) {
				x.on(x.backup(), "systemctl", "restart", "k3s.service")
				x.ranks(x.backup(), "ready")
				x.stays(x.first, 500*time.Millisecond)
			},
			limits: limits{gap: 100 * time.Millisecond},
		},
		{
			name: "systemctl restart k3s, after vipd drain", fault: restartDrained,
			limits: limits{resets: 2, gap: 100 * time.Millisecond, moves: 1},
			also:   "the node stays drained until vipd resume",
		},
		{
			name: "k3s does not start again", fault: failToStart,
			limits: limits{resets: 2, gap: 100 * time.Millisecond, moves: 1},
			also:   "the node ranks as down until it is mended",
		},
		{
			name: "kill -9 of k3s",
			fault: func(x *trial) {
				x.killK3s(x.first)
				x.moved()
				x.ranks(x.first, "ready")
			},
			limits: limits{failed: anyNumber, gap: 500 * time.Millisecond, moves: 1},
			also:   "systemd starts it again, and the node is ready",
		},
		{
			name: "k3s hangs",
			fault: func(x *trial) {
				x.must(x.first.setAPI(x.Context(), "hang"))
				x.ranks(x.first, "down")
				x.moved()
			},
			limits: limits{failed: anyNumber, gap: 3 * time.Second, moves: 1},
		},
		{
			name: "k3s is not ready: 500",
			fault: func(x *trial) {
				x.must(x.first.setAPI(x.Context(), "unready"))
				x.ranks(x.first, "down")
				x.moved()
			},
			limits: limits{resets: 2, gap: 100 * time.Millisecond, moves: 1},
		},
		{
			name: "the datastore is lost on one server",
			fault: func(x *trial) {
				x.must(x.first.setAPI(x.Context(), "etcd-lost"))
				x.stays(x.first, 7*time.Second)
				x.ranks(x.first, "degraded")
				x.moved()
			},
			limits: limits{resets: 2, gap: 100 * time.Millisecond, moves: 1},
			also:   "not within 7s",
		},
		{
			name: "the datastore is lost on all servers",
			fault: func(x *trial) {
				x.each(func(ctx context.Context, n *node) error { return n.setAPI(ctx, "etcd-lost") })
				for _, n := range x.nodes {
					x.ranks(n, "degraded")
				}
				x.stays(x.first, time.Second)
				x.each(func(ctx context.Context, n *node) error { return n.setAPI(ctx, "ready") })
				for _, n := range x.nodes {
					x.ranks(n, "ready")
				}
			},
			limits: limits{resets: 2, gap: 100 * time.Millisecond, moves: anyNumber},
			also:   "the VIP stays until the first server is ready again",
		},
	}
}

// stopUnannounced stops K3s where nothing tells the agent before systemd does.
func stopUnannounced(x *trial) {
	x.on(x.first, "systemctl", "mask", "--runtime", "--now", "vipd-handover.service")
	defer x.on(x.first, "systemctl", "unmask", "--runtime", "vipd-handover.service")
	x.stays(x.first, 500*time.Millisecond)
	x.on(x.first, "systemctl", "stop", "k3s.service")
	x.ranks(x.first, "down")
	x.moved()
}

// restartDrained checks that a restart of K3s leaves the operator's drain as it is.
func restartDrained(x *trial) {
	x.on(x.first, "vipd", "drain", "--wait")
	now := x.moved()
	x.on(x.first, "systemctl", "restart", "k3s.service")
	x.until("K3s to be ready", func(ctx context.Context) error {
		st, err := x.first.status(ctx)
		if err != nil {
			return err
		}
		if st.Health.Grade != "ready" {
			return errors.New(st.Health.Cause)
		}
		return nil
	})
	x.stays(now, time.Second)
	st, err := x.first.status(x.Context())
	x.must(err)
	if !st.Drained || st.Routers[0].Grade != "down" {
		x.Errorf("after the restart: drained: %t, it ranks as %s", st.Drained, st.Routers[0].Grade)
	}
	x.on(x.first, "vipd", "resume")
	x.ranks(x.first, "ready")
}

// failToStart restarts K3s with a flag that ends it, and takes the flag away.
func failToStart(x *trial) {
	x.must(x.first.setFlags("--start-scale=no-number"))
	defer func() { x.must(x.first.setFlags("")) }()
	if _, err := x.first.Systemctl(x.Context(), "restart", "k3s.service"); err == nil {
		x.Fatal("K3s has started with a bad flag")
	}
	now := x.moved()
	x.ranks(x.first, "down")
	x.stays(now, time.Second)
	x.must(x.first.setFlags(""))
	x.ranks(x.first, "ready") // systemd tries again by itself
	x.stays(now, 500*time.Millisecond)
}

// setFlags gives K3s more flags, from its next start on.
func (n *node) setFlags(flags string) error {
	return n.WriteFile("/etc/default/k3s", []byte("K3S_FLAGS="+flags+"\n"), 0o644)
}

// killK3s kills K3s without a warning.
func (x *trial) killK3s(n *node) {
	x.Helper()
	x.on(n, "systemctl", "kill", "--signal=KILL", "--kill-whom=main", "k3s.service")
}
