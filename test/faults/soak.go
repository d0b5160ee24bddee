package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/vipd/vipd/test/cluster"
	"github.com/vipd/vipd/test/lab"
)

// soak is a cluster that lives long, with faults all the time. In its first third any
// fault is played. Then those that end an agent are left out, for an agent has to grow
// old before it shows what it leaks.
type soak struct {
	*trial
	faults []fault
	log    *scanner
	red    []string
	played int
	worst  time.Duration // until all was normal after a fault
	told   time.Time     // when progress was last told
}

// shortened returns the options of faults that are played among many others.
func (o options) shortened() options {
	o.flap, o.partitions, o.rounds, o.loss = 5*time.Second, 1, 2, 5*time.Second
	o.interval = max(o.interval, 20*time.Millisecond)
	return o
}

// soakFor plays faults on one cluster for as long as the options say.
func (s *stage) soakFor(ctx context.Context) (err error) {
	path := filepath.Join(s.out, "soak.log")
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("begin a log: %w", err)
	}
	defer file.Close()
	l, err := lab.New()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	out := newDiary(file)
	scan := newScanner(out)
	o := s.options.shortened()
	v := variant{many: true, mixed: true, auth: true}
	x := &trial{ctx: ctx, options: o, variant: v, diary: out, got: &sample{Seed: s.seed}, stays: true, anyone: true, rng: phases(s.seed, 0, 0)}
	if x.Cluster, err = s.cluster(l, v, s.realTime, scan); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, x.Cluster.Close()) }()
	k := &soak{trial: x, log: scan, faults: slices.DeleteFunc(faults(o), func(f fault) bool {
		return f.normalTime || f.swift && o.race || f.only != nil && !f.only(v)
	})}
	fmt.Printf("soak: %v, %s, %d kinds of faults, seed %d, log in %s\n", s.soak, v, len(k.faults), s.seed, path)
	return k.run(s.soak)
}

// phases is what is left to chance in a fault, or in the choice of it.
func phases(seed uint64, part, n int) *rand.Rand {
	return rand.New(rand.NewPCG(seed, uint64(part)<<32|uint64(n)))
}

func (k *soak) run(lasts time.Duration) error {
	defer func() {
		for _, u := range slices.Backward(k.undo) {
			u()
		}
	}()
	if err := k.start(fault{setUp: smallDisks}); err != nil {
		return fmt.Errorf("before the faults: %w", err)
	}
	defer k.ledger.Close()
	k.told = time.Now()
	err := k.through(lasts)
	r, stopped := k.client.Stop()
	fmt.Printf("client: %d attempts, %v; longest gap %s\n", r.Attempts, r.Outcomes, short(r.LongestGap.Length()))
	k.red = append(k.red, k.log.complaints()...)
	for _, b := range k.red {
		fmt.Println("RED:", b)
	}
	fmt.Printf("%d faults, normal again after %s at most\n", k.played, short(k.worst))
	if err = errors.Join(err, stopped, k.ledger.Err()); err != nil {
		return err
	}
	if len(k.red) > 0 {
		return fmt.Errorf("%d things are wrong", len(k.red))
	}
	return nil
}

// through is the life of the cluster, from its start to its end.
func (k *soak) through(lasts time.Duration) error {
	young, err := k.census()
	if err != nil {
		return err
	}
	began := time.Now()
	if _, err = k.play(1, began.Add(lasts/3), k.faults); err != nil {
		return err
	}
	spare := slices.DeleteFunc(slices.Clone(k.faults), func(f fault) bool { return f.ends > 0 })
	aged, err := k.play(2, began.Add(lasts), spare)
	if err != nil {
		return err
	}
	k.red = append(k.red, grown(aged, young/len(k.Servers), k.race)...)
	old, err := k.census()
	if err != nil {
		return err
	}
	fmt.Printf("goroutines of all agents: %d when young, %d when old\n", young, old)
	if old > young+young/20 {
		k.red = append(k.red, fmt.Sprintf("goroutines: %d, then %d", young, old))
	}
	return k.end()
}

// play plays some of these faults until a time, and returns what the agents need after each.
func (k *soak) play(part int, until time.Time, faults []fault) ([]sighting, error) {
	var seen []sighting
	for n := 0; time.Now().Before(until); n++ {
		if k.ctx.Err() != nil {
			return nil, errors.New("interrupted")
		}
		rng := phases(k.got.Seed, part, n)
		f := faults[rng.IntN(len(faults))]
		k.wait(time.Duration(rng.Int64N(int64(2 * time.Second))))
		if err := k.one(f, rng); err != nil {
			return nil, fmt.Errorf("fault %d of part %d, %s: %w", n+1, part, f.name, err)
		}
		s, err := k.look()
		if err != nil {
			return nil, fmt.Errorf("after fault %d of part %d, %s: %w", n+1, part, f.name, err)
		}
		seen = append(seen, s)
		k.progress(part, f, s)
	}
	return seen, nil
}

// one plays a fault on whoever holds the VIPs.
func (k *soak) one(f fault, rng *rand.Rand) error {
	x := *k.trial
	c := *k.Cluster
	c.Servers = k.holderFirst()
	x.Cluster, x.rng, x.undo = &c, rng, nil
	err := x.suffer(f)
	for _, u := range slices.Backward(x.undo) {
		u()
	}
	if err != nil {
		return err
	}
	k.played++
	k.worst = max(k.worst, k.got.Settled)
	if k.got.Settled > settleBound && !k.race { // agents with the race detector are ten times as slow
		k.red = append(k.red, fmt.Sprintf("%s: normal again after %s", f.name, short(k.got.Settled)))
	}
	for _, a := range k.got.Alarms {
		k.red = append(k.red, f.name+": "+a)
	}
	k.got.Alarms = nil
	return k.healthy()
}

// holderFirst returns the servers, the one first that has the first VIP.
func (k *soak) holderFirst() []*cluster.Server {
	h := k.ledger.Holders(k.vips()[0])
	i := slices.IndexFunc(k.Servers, func(s *cluster.Server) bool { return slices.Contains(h, s.Name) })
	if i < 0 {
		i = 0
	}
	rest := slices.Delete(slices.Clone(k.Servers), i, i+1)
	return append([]*cluster.Server{k.Servers[i]}, rest...)
}

// healthy waits until all API servers are ready again, and all is normal and tidy.
func (k *soak) healthy() error {
	return k.until("all to be ready", func() error {
		for _, s := range k.Servers {
			st, err := k.status(k.ctx, s)
			if err != nil {
				return err
			}
			if st.Health.Grade != "ready" {
				return fmt.Errorf("%s is %s: %s", s.Name, st.Health.Grade, st.Health.Cause)
			}
		}
		return errors.Join(k.normal(k.ctx), k.tidy())
	})
}

// progress tells each minute how it goes.
func (k *soak) progress(part int, f fault, s sighting) {
	k.note("%s: %v", f.name, s)
	if time.Since(k.told) < time.Minute {
		return
	}
	k.told = time.Now()
	fmt.Printf("%s part %d, %d faults, normal after %s at most: %s\n", k.told.UTC().Format("15:04:05"), part, k.played, short(k.worst), s)
}

// conflictsOver is how long after a move nobody looks for another station with the VIPs any
// more: a goroutine for each does so for 3 s, and 10 s later for 2.5 s if it found one.
const conflictsOver = 17 * time.Second

// census has all agents end with a trace of their goroutines, counts these, and starts
// the agents again.
func (k *soak) census() (int, error) {
	k.wait(conflictsOver)
	k.log.count()
	for _, s := range k.Servers {
		if err := s.SignalAgent(syscall.SIGABRT); err != nil {
			return 0, err
		}
	}
	for _, s := range k.Servers {
		_ = s.AwaitAgent(k.ctx) // it was told to end
		if _, err := s.Vipd("release"); err != nil {
			return 0, err
		}
	}
	n := k.log.count()
	for _, s := range k.Servers {
		if err := s.StartAgent(); err != nil {
			return 0, err
		}
	}
	if err := k.settle("the count of goroutines"); err != nil {
		return 0, err
	}
	return n, k.healthy()
}

// end stops the agents, who have to leave nothing.
func (k *soak) end() error {
	for _, s := range k.Servers {
		if err := s.SignalAgent(syscall.SIGTERM); err != nil {
			return err
		}
	}
	for _, s := range k.Servers {
		if err := s.AwaitAgent(k.ctx); err != nil {
			k.red = append(k.red, fmt.Sprintf("%s's agent ended with %v", s.Name, err))
		}
	}
	for _, s := range k.Servers {
		if err := k.has(s, nil); err != nil {
			k.red = append(k.red, fmt.Sprintf("after the end: %v", err))
		}
	}
	return nil
}
