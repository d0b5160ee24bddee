package sim

import (
	"io"
	"math/rand/v2"
	"time"

	"github.com/vipd/vipd/vrrp"
)

// Result is what a simulation did.
type Result struct {
	Virtual     time.Duration // how much time passed in it
	Takeovers   int           // how often a node became Active
	Disturbance int           // how many things happened to the cluster
}

// Simulate runs the random scenario of a seed: a random cluster, some minutes of
// faults, and then peace, once more with all nodes equally bad. The error says
// which invariant was broken, and when. The trace, unless it is nil, gets a line
// for each thing that happens.
func Simulate(seed uint64, trace io.Writer) (Result, error) { return simulate(seed, sabotage{}, trace) }

// Soak runs a random cluster of the same kind for so long, as days are: some bouts of
// faults, one soon after the other, and then up to three hours in which nothing
// happens and nothing may. Of fifty clusters one goes through these hours as through
// all others; the others pass over what repeats itself (see rest.go).
func Soak(seed uint64, d time.Duration, trace io.Writer) (Result, error) {
	c := randomCluster(seed, sabotage{}, trace)
	if seed%50 == 0 {
		c.rests = lively
	}
	err := c.soak(d)
	return c.result(), err
}

func (c *cluster) soak(d time.Duration) error {
	err := c.settle()
	for err == nil && c.since(c.begin) < d {
		err = c.burstAndRest()
	}
	return err
}

func (c *cluster) burstAndRest() error {
	for range 1 + c.rng.IntN(8) {
		if err := c.chaosAndPeace(); err != nil {
			return err
		}
		if err := c.runFor(c.between(0, time.Minute)); err != nil {
			return err
		}
	}
	return c.rest(c.rng.IntN(int(3 * time.Hour / restPeriod)))
}

func simulate(seed uint64, s sabotage, trace io.Writer) (Result, error) {
	c := randomCluster(seed, s, trace)
	err := c.scenario()
	return c.result(), err
}

func randomCluster(seed uint64, s sabotage, trace io.Writer) *cluster {
	c := newCluster(seed, randomPlan(rand.New(rand.NewPCG(seed, 0x706c616e))), s, trace)
	for i, n := range c.nodes {
		c.logf("n%d: %+v", i+1, n.cfg)
	}
	return c
}

func (c *cluster) result() Result {
	return Result{Virtual: c.since(c.begin), Takeovers: c.watch.rises, Disturbance: c.watch.disturbances}
}

// randomPlan makes a cluster as an operator might, and some that none should.
func randomPlan(r *rand.Rand) plan {
	p := plan{clients: 2, watchUnit: r.IntN(2) == 0, maxDelay: 500 * time.Microsecond}
	if r.IntN(3) == 0 {
		p.maxDelay = 5 * time.Millisecond
	}
	intervals := []time.Duration{50 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond,
		250 * time.Millisecond, 250 * time.Millisecond, time.Second}
	common := vrrp.Config{
		Priority:       200,
		AdvertInterval: intervals[r.IntN(len(intervals))],
		Preempt:        r.IntN(4) > 0,
		ReleaseOnDown:  r.IntN(6) == 0,
		Linger:         r.IntN(8) > 0,
		Spread:         true,
		Align:          r.IntN(2) == 0,
	}
	if r.IntN(6) == 0 {
		common.PreemptDelay = 2 * time.Second
	}
	equal, mixed := r.IntN(5) < 2, r.IntN(6) == 0
	for range 2 + r.IntN(4) {
		cfg := common
		if !equal {
			cfg.Priority = uint8(vrrp.MinPriority + r.IntN(vrrp.MaxPriority-vrrp.MinPriority+1))
			cfg.Spread = r.IntN(4) > 0
		}
		if mixed {
			cfg.AdvertInterval = intervals[r.IntN(len(intervals))]
			cfg.Preempt = r.IntN(2) == 0
		}
		p.nodes = append(p.nodes, cfg)
	}
	if r.IntN(6) == 0 {
		p.neverUp = 1
	}
	return p
}

func (c *cluster) scenario() error {
	if err := c.settle(); err != nil {
		return err
	}
	return c.chaosAndPeace()
}

func (c *cluster) chaosAndPeace() error {
	if err := c.chaos(c.between(30*time.Second, 90*time.Second)); err != nil {
		return err
	}
	c.healAll()
	if err := c.peace(); err != nil {
		return err
	}
	if c.nodes[0].cfg.ReleaseOnDown {
		return nil
	}
	return c.commonCause()
}

// settle waits for as long as the nodes may take until all is in order, and a bit.
func (c *cluster) settle() error {
	if err := c.runFor(4 * time.Second); err != nil { // the agents start, the first verdicts
		return err
	}
	for !c.watch.settled() {
		if err := c.run(c.watch.quietFrom().Add(c.watch.bounds.settle + time.Second)); err != nil {
			return err
		}
	}
	return nil
}

// peace waits until all is in order, and every host knows.
func (c *cluster) peace() error {
	if err := c.runFor(12 * time.Second); err != nil { // recoveries that were under way
		return err
	}
	if err := c.settle(); err != nil {
		return err
	}
	return c.runFor(refresh + 2*time.Second)
}

// chaos makes things go wrong for a while, in the rhythm of this seed.
func (c *cluster) chaos(d time.Duration) error {
	pause := []time.Duration{300 * time.Millisecond, 2 * time.Second, 6 * time.Second, 15 * time.Second}[c.rng.IntN(4)]
	lasts := []time.Duration{200 * time.Millisecond, 3 * time.Second, 20 * time.Second}[c.rng.IntN(3)]
	end := c.now.Add(d)
	over := false
	for at := c.now; at < end; at = at.Add(c.between(0, 2*pause)) {
		c.queue.put(at, event{do: func() {
			if stop := faults[c.rng.IntN(len(faults))].does(c); stop != nil {
				c.after(c.between(0, 2*lasts), func() {
					if !over {
						stop()
					}
				})
			}
		}})
	}
	err := c.run(end)
	over = true
	return err
}

// commonCause lets all API servers fail alike, and holds that nothing moves.
func (c *cluster) commonCause() error {
	t := []truth{degraded, hung, dead}[c.rng.IntN(3)]
	c.logf("=== all API servers are %s", t)
	var watched []bool
	for _, n := range c.nodes {
		watched = append(watched, n.api.watchUnit)
		n.api.watchUnit = false // with the unit gone the address would be withdrawn
		n.api.set(t)
	}
	c.watch.still = true
	err := c.runFor(c.between(time.Second, 20*time.Second))
	c.watch.still = false
	if err != nil {
		return err
	}
	for _, n := range c.nodes {
		c.after(c.between(0, 5*time.Second), n.recoverAPI)
	}
	if err := c.runFor(6 * time.Second); err != nil {
		return err
	}
	if err := c.settle(); err != nil {
		return err
	}
	for i, n := range c.nodes {
		n.api.watchUnit = watched[i]
	}
	return nil
}
