package main

import (
	"fmt"
	"syscall"
	"time"
)

func plannedMoves(o options) []fault {
	rounds, often := o.rounds, fmt.Sprintf(", %d times", o.rounds)
	moves := planned(2 * rounds)
	// A drained holder serves on, and a third server takes over if its probe is answered so
	// much sooner than the preferred one's. That costs clients nothing, and seldom happens.
	drains := moves.with(func(b *bound) { b.moves += rounds / 5 })
	return []fault{
		{name: "agent restarted" + often, runs: 2, note: "as systemctl restart does it", ends: 1, swift: true, play: repeat(restart, firstIsActive), bound: unmoved()},
		{name: "reload" + often, runs: 2, note: "another advert_interval each time", play: reload, bound: unmoved()},
		{name: "drain and resume" + often, runs: 2, play: repeat(vipd("drain", "--wait"), movedToSecond, vipd("resume"), movedBack), bound: drains},
		{name: "stop and start" + often, runs: 2, ends: 1, play: repeat(tell(syscall.SIGTERM), movedToSecond, startAgent, movedBack), bound: moves},
	}
}

func movedBack(x *trial) error { return x.moved(x.first()) }

// repeat does the steps again and again, at any phase of the intervals.
func repeat(all ...func(*trial) error) func(*trial) error {
	return func(x *trial) error {
		for i := range x.rounds {
			x.note("round %d", i+1)
			if err := steps(all...)(x); err != nil {
				return fmt.Errorf("round %d: %w", i+1, err)
			}
			x.wait(time.Duration(x.rng.Int64N(int64(300 * time.Millisecond))))
		}
		return nil
	}
}

func vipd(args ...string) func(*trial) error {
	return func(x *trial) error {
		_, err := x.first().Vipd(args...)
		return err
	}
}

func restart(x *trial) error {
	began := time.Now()
	if err := tell(syscall.SIGUSR1)(x); err != nil {
		return err
	}
	if err := x.first().AwaitAgent(x.ctx); err != nil {
		return fmt.Errorf("end of the old agent: %w", err)
	}
	x.note("it ended after %v", time.Since(began))
	return x.first().RestartAgent()
}

// firstIsActive waits until the first server's agent says that it is, for all VIPs. Where
// anyone may be, a better one may have waited to preempt it, and somebody has to be.
func firstIsActive(x *trial) error {
	return x.until("the agent to go on", func() error {
		if x.anyone {
			return x.normal(x.ctx)
		}
		st, err := x.status(x.ctx, x.first())
		if err != nil {
			return err
		}
		if len(st.Routers) != len(x.vips()) {
			return fmt.Errorf("%d virtual routers", len(st.Routers))
		}
		for _, r := range st.Routers {
			if r.State != "Active" || !r.Holding {
				return fmt.Errorf("%s is %s: %s", r.VIP, r.State, r.Cause)
			}
		}
		return nil
	})
}

// reload gives the first server another interval, and back.
func reload(x *trial) error {
	intervals := []string{"200ms", "250ms"}
	for i := range x.rounds {
		if err := x.first().Reconfigure(x.config(x.first(), intervals[i%2])); err != nil {
			return err
		}
		if err := vipd("reload")(x); err != nil {
			return err
		}
		x.wait(time.Duration(x.rng.Int64N(int64(300 * time.Millisecond))))
	}
	return nil
}
