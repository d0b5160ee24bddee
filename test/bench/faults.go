package main

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/vipd/vipd/test/cluster"
	"github.com/vipd/vipd/test/lab"
)

// fault is something that happens to a cluster while a client asks.
type fault struct {
	name string
	// prepare brings about what comes before the fault; nil: nothing.
	prepare func(context.Context, *contender) error
	inject  func(context.Context, *contender) error
	heal    func(context.Context, *contender) error
	// returns is set where the VIP comes back to the first server; else it leaves it.
	returns bool
	stays   bool          // the VIP stays where it is
	tail    time.Duration // how long the client goes on
	// timers is set where the interval of the advertisements matters much.
	timers bool
	limit  func(entrant) limit
}

const (
	// shortTail lets connections that found nobody give up, longTail those as well that
	// found somebody who does not answer.
	shortTail = 1200 * time.Millisecond
	longTail  = 3500 * time.Millisecond
)

// faults returns all in the order of the report.
func faults() []fault {
	return []fault{
		{name: "no fault", inject: nothing, heal: nothing, stays: true, tail: shortTail, limit: none},
		{name: "node death", inject: die, heal: revive, tail: shortTail, timers: true, limit: silence},
		{name: "API killed", inject: api(syscall.SIGKILL), heal: renewAPI, tail: shortTail, limit: crash},
		{name: "API unready", inject: unready, heal: ready, tail: shortTail, limit: overlap},
		{name: "API hangs", inject: api(syscall.SIGSTOP), heal: resumeAPI, tail: longTail, limit: hang},
		{name: "graceful stop", inject: stop, heal: startAgain, tail: shortTail, timers: true, limit: overlap},
		{name: "return with preemption", prepare: away, inject: startAgain, heal: nothing, returns: true, tail: shortTail, timers: true, limit: overlap},
		{name: "agent killed", inject: agents(syscall.SIGKILL), heal: startAgain, tail: longTail, limit: untouched},
		{name: "agent hangs", inject: agents(syscall.SIGSTOP), heal: killAndStart, tail: longTail, limit: untouched},
		{name: "partition healed", prepare: cut, inject: join, heal: nothing, returns: true, tail: shortTail, timers: true, limit: overlap},
	}
}

// entrants returns those that take part: where the interval does not matter much, the
// defaults and what a user can make of keepalived; where the check matters, also one that
// does not believe the first failure.
func (f fault) entrants() []entrant {
	switch {
	case f.timers:
		return find(vipdDefault, peerDefault, vipdFast, peerFast, vipdSlow)
	case strings.HasPrefix(f.name, "API"):
		return find(vipdDefault, peerDefault, peerTwice, peerFast)
	}
	return find(vipdDefault, peerDefault, peerFast)
}

func nothing(context.Context, *contender) error { return nil }

// die takes the power from the first server: its addresses are gone with it.
func die(_ context.Context, k *contender) error {
	k.ledger.Connected(k.first().Name, false)
	if err := k.first().Die(); err != nil {
		return err
	}
	_, _ = k.first().Node.Run("ip", "address", "del", cluster.VIP4.String()+"/32", "dev", lab.Interface) // it may be gone
	return nil
}

func revive(_ context.Context, k *contender) error {
	k.ledger.Connected(k.first().Name, true)
	return k.first().Revive()
}

func api(sig syscall.Signal) func(context.Context, *contender) error {
	return func(_ context.Context, k *contender) error { return k.first().SignalAPI(sig) }
}

func unready(ctx context.Context, k *contender) error { return k.first().SetAPI(ctx, "unready") }

// renewAPI, ready and resumeAPI start the agent anew too, or it would remember how often
// its server has failed.
func renewAPI(ctx context.Context, k *contender) error {
	if err := stopAndWait(ctx, k); err != nil {
		return err
	}
	if err := k.first().StartAPI("ready"); err != nil {
		return err
	}
	return k.first().StartAgent()
}

func ready(ctx context.Context, k *contender) error {
	if err := stopAndWait(ctx, k); err != nil {
		return err
	}
	if err := k.first().SetAPI(ctx, "ready"); err != nil {
		return err
	}
	return k.first().StartAgent()
}

func resumeAPI(ctx context.Context, k *contender) error {
	if err := stopAndWait(ctx, k); err != nil {
		return err
	}
	if err := k.first().SignalAPI(syscall.SIGCONT); err != nil {
		return err
	}
	return k.first().StartAgent()
}

func stop(_ context.Context, k *contender) error { return k.first().SignalAgent(syscall.SIGTERM) }

func stopAndWait(ctx context.Context, k *contender) error {
	if err := stop(ctx, k); err != nil {
		return err
	}
	_ = k.first().AwaitAgent(ctx) // how it ended is of no interest
	return ctx.Err()
}

func agents(sig syscall.Signal) func(context.Context, *contender) error {
	return func(_ context.Context, k *contender) error { return k.first().SignalAgents(sig) }
}

func startAgain(ctx context.Context, k *contender) error {
	_ = k.first().AwaitAgent(ctx) // likewise
	return k.first().StartAgent()
}

func killAndStart(ctx context.Context, k *contender) error {
	if err := k.first().SignalAgents(syscall.SIGKILL); err != nil {
		return err
	}
	return startAgain(ctx, k)
}

func away(ctx context.Context, k *contender) error {
	if err := stopAndWait(ctx, k); err != nil {
		return err
	}
	return k.heldBy(ctx, k.second(), 0)
}

// cut parts the first server from all others, the client included, until another one
// has the VIP too.
func cut(ctx context.Context, k *contender) error {
	k.ledger.Connected(k.first().Name, false)
	if err := k.Lab.Cut(k.first().Node); err != nil {
		return fmt.Errorf("cut: %w", err)
	}
	return k.heldBy(ctx, k.second(), 0)
}

func join(_ context.Context, k *contender) error {
	k.ledger.Connected(k.first().Name, true)
	return k.Lab.Join(k.first().Node)
}
