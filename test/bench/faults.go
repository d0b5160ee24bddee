package main

import (
	"context"
	"syscall"
	"time"

	"github.com/vipd/vipd/test/cluster"
)

// faults returns the faults in the order of the report.
func faults() []fault {
	return []fault{
		{name: "control (no fault)", inject: nothing, heal: nothingToHeal},
		{name: "node death", inject: die, heal: revive},
		{name: "API killed", inject: killAPI, heal: restartAPI},
		{name: "API hung", inject: stopAPI, heal: continueAPI},
		{name: "API unready", inject: mode("unready"), heal: ready},
		{name: "fall to degraded", inject: mode("etcd-lost"), heal: ready},
		{name: "graceful stop", inject: stopAgent, heal: startAgent},
		{name: "drain", inject: drain, heal: resume},
		{name: "return with preemption", prepare: away, inject: comeBack, heal: nothingToHeal},
		{name: "agent killed", inject: killAgent, heal: startAgent},
		{name: "partition healed", prepare: partition, inject: healPartition, heal: nothingToHeal},
	}
}

func nothing(context.Context, *cluster.Cluster, *cluster.Server) (*cluster.Server, error) {
	return nil, nil
}

func nothingToHeal(context.Context, *cluster.Cluster, *cluster.Server) error { return nil }

// next is the server that takes over from the holder: the next in priority.
func next(c *cluster.Cluster, holder *cluster.Server) *cluster.Server {
	for _, s := range c.Servers {
		if s != holder {
			return s
		}
	}
	return nil
}

func die(_ context.Context, c *cluster.Cluster, h *cluster.Server) (*cluster.Server, error) {
	return next(c, h), h.Die()
}

func revive(ctx context.Context, c *cluster.Cluster, h *cluster.Server) error {
	if err := h.Revive(); err != nil {
		return err
	}
	return c.Settled(ctx)
}

func killAPI(_ context.Context, c *cluster.Cluster, h *cluster.Server) (*cluster.Server, error) {
	return next(c, h), h.SignalAPI(syscall.SIGKILL)
}

func restartAPI(ctx context.Context, c *cluster.Cluster, h *cluster.Server) error {
	if err := h.StartAPI("ready"); err != nil {
		return err
	}
	return c.Settled(ctx)
}

func stopAPI(_ context.Context, c *cluster.Cluster, h *cluster.Server) (*cluster.Server, error) {
	return next(c, h), h.SignalAPI(syscall.SIGSTOP)
}

func continueAPI(ctx context.Context, c *cluster.Cluster, h *cluster.Server) error {
	if err := h.SignalAPI(syscall.SIGCONT); err != nil {
		return err
	}
	return c.Settled(ctx)
}

func mode(m string) func(context.Context, *cluster.Cluster, *cluster.Server) (*cluster.Server, error) {
	return func(ctx context.Context, c *cluster.Cluster, h *cluster.Server) (*cluster.Server, error) {
		return next(c, h), h.SetAPI(ctx, m)
	}
}

func ready(ctx context.Context, c *cluster.Cluster, h *cluster.Server) error {
	if err := h.SetAPI(ctx, "ready"); err != nil {
		return err
	}
	return c.Settled(ctx)
}

func stopAgent(_ context.Context, c *cluster.Cluster, h *cluster.Server) (*cluster.Server, error) {
	return next(c, h), h.SignalAgent(syscall.SIGTERM)
}

func killAgent(_ context.Context, c *cluster.Cluster, h *cluster.Server) (*cluster.Server, error) {
	return next(c, h), h.SignalAgent(syscall.SIGKILL)
}

func startAgent(ctx context.Context, c *cluster.Cluster, h *cluster.Server) error {
	_ = h.AwaitAgent(ctx) // it was told to end; how is of no interest
	if err := h.StartAgent(); err != nil {
		return err
	}
	return c.Settled(ctx)
}

func drain(_ context.Context, c *cluster.Cluster, h *cluster.Server) (*cluster.Server, error) {
	_, err := h.Vipd("drain", "--wait")
	return next(c, h), err
}

func resume(ctx context.Context, c *cluster.Cluster, h *cluster.Server) error {
	if _, err := h.Vipd("resume"); err != nil {
		return err
	}
	return c.Settled(ctx)
}

func away(ctx context.Context, c *cluster.Cluster, h *cluster.Server) (*cluster.Server, error) {
	if _, err := h.Vipd("drain", "--wait"); err != nil {
		return nil, err
	}
	if err := c.Settled(ctx); err != nil {
		return nil, err
	}
	return c.Holder(ctx)
}

func comeBack(_ context.Context, c *cluster.Cluster, _ *cluster.Server) (*cluster.Server, error) {
	first := c.Servers[0]
	_, err := first.Vipd("resume")
	return first, err
}

// partition cuts the first server off until another one is Active too. The
// client stays with the others.
func partition(ctx context.Context, c *cluster.Cluster, h *cluster.Server) (*cluster.Server, error) {
	if err := c.Lab.Cut(h.Node); err != nil {
		return nil, err
	}
	other := next(c, h)
	return other, cluster.Until(ctx, "the others to take over", func() error {
		st, err := other.Status(ctx)
		if err != nil {
			return err
		}
		if st.Routers[0].State != "Active" {
			return context.DeadlineExceeded
		}
		return nil
	})
}

func healPartition(_ context.Context, c *cluster.Cluster, _ *cluster.Server) (*cluster.Server, error) {
	time.Sleep(time.Second) // both have announced themselves for good
	first := c.Servers[0]
	return first, c.Lab.Join(first.Node)
}
