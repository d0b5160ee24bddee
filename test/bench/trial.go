package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/vipd/vipd/test/client/probe"
	"github.com/vipd/vipd/test/cluster"
)

const (
	// patience is how long anything may take. A client that was left with a wrong
	// neighbour is back after 41 s at most.
	patience = 60 * time.Second
	// stuckAfter is how long the client may take to find the new holder before it
	// counts as lost in a black hole.
	stuckAfter = 5 * time.Second
	// locktime is how soon a host believes that an address has moved again.
	locktime = time.Second
	// calm is how long the VIP is in its place before a fault.
	calm = 2 * time.Second
)

// play makes a fault on the clusters of its entrants in turn, as often as wanted.
func (w *workshop) play(ctx context.Context, f fault, got func(entrant, sample)) (err error) {
	var all []*contender
	defer func() {
		for _, k := range all {
			if cerr := k.close(); err == nil {
				err = cerr
			}
		}
	}()
	for _, e := range f.entrants() {
		if !w.wanted(e.name) {
			continue
		}
		k, err := w.contender(e, plan{servers: 3, agent: e.agent(), config: e.config})
		if err != nil {
			return err
		}
		all = append(all, k)
		if err := k.start(); err != nil {
			return fmt.Errorf("%s: %w", e.name, err)
		}
	}
	for run := range w.runs {
		for i := range all {
			k := all[(i+run)%len(all)]
			s, err := w.once(ctx, f, k, phase(run, w.runs))
			if err != nil {
				return fmt.Errorf("%s, run %d: %w", k.name, run+1, err)
			}
			got(k.entrant, s)
		}
	}
	return nil
}

// once makes a fault, and heals it. The cluster settles while others have their turn.
func (w *workshop) once(ctx context.Context, f fault, k *contender, at time.Duration) (sample, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*patience)
	defer cancel()
	if err := k.heldBy(ctx, k.first(), calm); err != nil {
		return sample{}, err
	}
	from, to := k.first(), k.second()
	if f.returns {
		from, to = to, from
	}
	if f.prepare != nil {
		if err := f.prepare(ctx, k); err != nil {
			return sample{}, fmt.Errorf("prepare: %w", err)
		}
	}
	wire, err := cluster.Listen(ctx, k.Client)
	if err != nil {
		return sample{}, err
	}
	defer wire.Stop()
	p, err := k.Probe(ctx, cluster.VIP4, 2*time.Millisecond)
	if err != nil {
		return sample{}, err
	}
	defer func() { _, _ = p.Stop() }() // once more, where all went well
	if err := p.Await(ctx, from.Name); err != nil {
		return sample{}, err
	}
	if f.prepare != nil {
		pause(ctx, locktime)
	}
	if err := heard(ctx, wire, from); err != nil {
		return sample{}, err
	}
	pause(ctx, at)
	began := time.Now()
	if err := f.inject(ctx, k); err != nil {
		return sample{}, fmt.Errorf("inject: %w", err)
	}
	stuck := false
	if !f.stays {
		if stuck, err = awaitMove(ctx, k, p, to); err != nil {
			return sample{}, err
		}
	}
	pause(ctx, f.tail)
	ended := time.Now()
	r, err := p.Stop()
	if err != nil {
		return sample{}, err
	}
	s := sample{Stuck: stuck}
	s.take(r, from.Name, to.Name)
	s.count(k.ledger, began, ended, to.Name)
	s.Advert = wire.Gap(from.Addr)
	if ch, moved := move(r, from.Name, to.Name); moved {
		s.Story = tell(r, ch, k.ledger, wire, began, ended)
	}
	if err := f.heal(ctx, k); err != nil {
		return sample{}, fmt.Errorf("heal: %w", err)
	}
	return s, k.ledger.Err()
}

// phase is when after an advertisement the fault is made: at random, but spread evenly
// over the runs. No interval of advertisements or checks is longer than a second.
func phase(run, runs int) time.Duration {
	return time.Duration((float64(run) + rand.Float64()) / float64(runs) * float64(time.Second))
}

// heard waits until a server advertises.
func heard(ctx context.Context, w *cluster.Wire, s *cluster.Server) error {
	already := len(w.Heard())
	return cluster.Until(ctx, "an advertisement of "+s.Name, func() error {
		for _, a := range w.Heard()[already:] {
			if a.Src == s.Addr {
				return nil
			}
		}
		return fmt.Errorf("%d of others", len(w.Heard())-already)
	})
}

// awaitMove waits until the client is with the new holder, and reports whether that
// took so long that it must have been misled.
func awaitMove(ctx context.Context, k *contender, p *probe.Process, to *cluster.Server) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := cluster.Until(ctx, to.Name+" to get the VIP", func() error {
		for _, n := range k.ledger.Holders(cluster.VIP4) {
			if n == to.Name {
				return nil
			}
		}
		return fmt.Errorf("it is on %v", k.ledger.Holders(cluster.VIP4))
	}); err != nil {
		return false, err
	}
	held := time.Now()
	if err := p.Await(ctx, to.Name); err != nil {
		return false, err
	}
	return time.Since(held) > stuckAfter, nil
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
