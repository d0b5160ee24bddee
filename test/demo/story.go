package main

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/vipd/vipd/test/cluster"
)

// step is something that happens to the cluster.
type step struct {
	title  string                          // in the timeline
	label  string                          // in the table
	act    func(ctx context.Context) error // does it, and waits where there is something to wait for
	holder *cluster.Server                 // who must have the VIP in the end
	limit  time.Duration                   // a longer outage is a fault: far more than it takes on a slow machine
	// wander allows the VIP to visit another server on its way: where two may rise,
	// the better one is only 10 ms ahead, and a busy machine can make it late.
	wander bool
}

// judge says what is wrong with an outcome, if anything.
func (s step) judge(o outcome) string {
	last := o.from
	if n := len(o.way); n > 0 {
		last = o.way[n-1].node
	}
	direct := 1
	if o.from == s.holder.Name {
		direct = 0
	}
	switch {
	case last != s.holder.Name:
		return "the VIP went on to " + last
	case !s.wander && len(o.way) != direct:
		return "the VIP took a detour"
	case o.outage() > s.limit:
		return "the outage was longer than " + brief(s.limit)
	}
	return ""
}

func (d *demo) story() []step {
	n1, n2, n3 := d.cluster.Servers[0], d.cluster.Servers[1], d.cluster.Servers[2]
	return []step{
		{
			title: "node1's API server is killed (SIGKILL)", label: "API server killed",
			act:    func(context.Context) error { return n1.SignalAPI(syscall.SIGKILL) },
			holder: n2, limit: 2 * time.Second, wander: true,
		},
		{
			title: "node1's API server is started again", label: "API server back",
			act:    func(context.Context) error { return n1.StartAPI("ready") },
			holder: n1, limit: time.Second,
		},
		{
			title: "node1 is drained for maintenance (vipd drain --wait)", label: "vipd drain",
			act:    func(context.Context) error { return d.command(n1, "drain", "--wait") },
			holder: n2, limit: time.Second, wander: true,
		},
		{
			title: "node2's API server hangs (SIGSTOP) while node1 is still drained", label: "API server hangs",
			act:    func(context.Context) error { return n2.SignalAPI(syscall.SIGSTOP) },
			holder: n3, limit: 6 * time.Second,
		},
		{
			title: "node1 is resumed (vipd resume), node2's API server goes on (SIGCONT)", label: "vipd resume",
			act: func(context.Context) error {
				if err := n2.SignalAPI(syscall.SIGCONT); err != nil {
					return err
				}
				return d.command(n1, "resume")
			},
			holder: n1, limit: time.Second,
		},
		{
			title: "node1 is gone: cable out, all its processes dead", label: "node lost",
			act:    func(context.Context) error { return n1.Die() },
			holder: n2, limit: 4 * time.Second, wander: true,
		},
		{
			title: "node1 comes back", label: "node back",
			act: func(context.Context) error {
				if err := d.lab.Plug(n1.Node); err != nil {
					return err
				}
				if err := n1.StartAPI("ready"); err != nil {
					return err
				}
				return n1.RestartAgent()
			},
			holder: n1, limit: time.Second,
		},
		{
			title: "vipd on node1 is stopped (SIGTERM, as systemctl stop does)", label: "vipd stopped",
			act: func(ctx context.Context) error {
				if err := n1.SignalAgent(syscall.SIGTERM); err != nil {
					return err
				}
				return n1.AwaitAgent(ctx)
			},
			holder: n2, limit: time.Second, wander: true,
		},
		{
			title: "vipd on node1 is started again", label: "vipd started",
			act:    func(context.Context) error { return n1.RestartAgent() },
			holder: n1, limit: time.Second,
		},
		{
			title: "The datastore is lost: no API server is ready, all still answer", label: "datastore lost everywhere",
			act:    func(ctx context.Context) error { return d.everywhere(ctx, "etcd-lost", "degraded") },
			holder: n1, limit: time.Second,
		},
		{
			title: "The datastore is back", label: "datastore back",
			act:    func(ctx context.Context) error { return d.everywhere(ctx, "ready", "ready") },
			holder: n1, limit: time.Second, wander: true,
		},
	}
}

// command runs a vipd command on a server and prints what it says.
func (d *demo) command(s *cluster.Server, args ...string) error {
	out, err := s.Vipd(args...)
	if err != nil {
		return err
	}
	d.out.fact(fmt.Sprintf("vipd on %s: %s", s.Name, strings.TrimSpace(out)))
	return nil
}

// everywhere puts all API servers into a mode, and waits until each agent has
// come to the grade that it means.
func (d *demo) everywhere(ctx context.Context, mode, grade string) error {
	for _, s := range d.cluster.Servers {
		if err := s.SetAPI(ctx, mode); err != nil {
			return err
		}
	}
	for _, s := range d.cluster.Servers {
		err := cluster.Until(ctx, s.Name+" to be "+grade, func() error {
			st, err := s.Status(ctx)
			if err == nil && st.Health.Grade != grade {
				err = fmt.Errorf("it is %s: %s", st.Health.Grade, st.Health.Cause)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	d.out.fact("vipd on each node: API server " + grade)
	return nil
}
