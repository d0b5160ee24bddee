package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/vipd/vipd/test/cluster"
	"github.com/vipd/vipd/test/lab"
)

// workshop makes the clusters.
type workshop struct {
	options
	binaries cluster.Binaries
	dir      string
	logTo    io.Writer
	n        int
}

// contender is an entrant with a cluster of its own.
type contender struct {
	entrant
	*cluster.Cluster
	lab    *lab.Lab
	ledger *cluster.Ledger
}

// plan is what a cluster is made of, where that is not what the entrant says.
type plan struct {
	servers int
	agent   cluster.Agent                // nil: vipd
	config  func(*cluster.Server) string // of vipd
	log     io.Writer
}

// contender makes a cluster in which nothing runs yet.
func (w *workshop) contender(e entrant, p plan) (*contender, error) {
	l, err := lab.New()
	if err != nil {
		return nil, err
	}
	k := &contender{entrant: e, lab: l}
	w.n++
	dir := filepath.Join(w.dir, fmt.Sprint(w.n))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, errors.Join(err, k.close())
	}
	o := cluster.Options{Binaries: w.binaries, Dir: dir, Servers: p.servers, Agent: p.agent, Config: p.config, Log: w.logTo}
	if p.log != nil {
		o.Log = io.MultiWriter(w.logTo, p.log)
	}
	if e.realTime {
		o.Launcher = cluster.RealTime()
	}
	if k.Cluster, err = cluster.New(l, o); err != nil {
		return nil, errors.Join(err, k.close())
	}
	var nodes []*lab.Node
	for _, s := range k.Servers {
		nodes = append(nodes, s.Node)
	}
	k.ledger, err = cluster.NewLedger(nodes, func(f string, args ...any) { fmt.Fprintf(w.logTo, "--- "+f+"\n", args...) })
	if err != nil {
		return nil, errors.Join(err, k.close())
	}
	return k, nil
}

// close ends all that runs.
func (k *contender) close() error {
	var errs []error
	if k.Cluster != nil {
		errs = append(errs, k.Cluster.Close())
	}
	if k.ledger != nil {
		errs = append(errs, k.ledger.Close())
	}
	return errors.Join(append(errs, k.lab.Close())...)
}

// start starts every API server, and then the agents.
func (k *contender) start() error {
	for _, s := range k.Servers {
		if err := s.StartAPI("ready"); err != nil {
			return err
		}
	}
	for _, s := range k.Servers {
		if err := s.StartAgent(); err != nil {
			return err
		}
	}
	return nil
}

func (k *contender) first() *cluster.Server  { return k.Servers[0] }
func (k *contender) second() *cluster.Server { return k.Servers[1] }

// heldBy waits until a server alone has had the VIP for a while.
func (k *contender) heldBy(ctx context.Context, s *cluster.Server, calm time.Duration) error {
	return cluster.Until(ctx, s.Name+" to hold the VIP", func() error {
		if h := k.ledger.Holders(cluster.VIP4); !slices.Equal(h, []string{s.Name}) {
			return fmt.Errorf("it is on %v", h)
		}
		if moved := k.moved(); time.Since(moved) < calm {
			return fmt.Errorf("it came or went at %v", moved)
		}
		return nil
	})
}

// moved is when the VIP last came or went, or a node did.
func (k *contender) moved() time.Time {
	var last time.Time
	for _, e := range k.ledger.Entries(time.Time{}, time.Now()) {
		if e.Addr == cluster.VIP4 || !e.Addr.IsValid() {
			last = e.At
		}
	}
	return last
}
