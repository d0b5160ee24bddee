package sim

import "time"

// restPeriod is after how long a cluster at rest is again as it was: the longest of its
// rhythms, the slow refresh, twice, for a lease is swept every 2 s. Intervals of
// advertisements, probes and renewals divide it.
const restPeriod = 2 * refresh

// restEdge is more than what the last jitter leaves behind in a cluster, and more than
// the judge remembers of answers.
const restEdge = 15 * time.Second

// rests is how a cluster spends the time in which nothing happens.
type rests uint8

const (
	jump   rests = iota // without jitter, so that each period is like the last: all but the edges are skipped
	calm                // the same, but going through all of it
	lively              // with the jitter of all other times
)

// rest lets so many periods pass, and the edges. Nothing happens, and nothing may.
func (c *cluster) rest(periods int) error {
	c.calm = c.rests != lively
	defer func() { c.calm = false }()
	if err := c.runFor(restEdge); err != nil {
		return err
	}
	if err := c.repeat(time.Duration(periods) * restPeriod); err != nil {
		return err
	}
	return c.runFor(restEdge)
}

// repeat lets d, whole periods, pass. A jump leaves the present where it is and moves the
// beginning back: what is in the queue, and what the machines and invariants remember, comes
// as much later as if it had gone round and round. The past of the judges grows
// older, for they remember falls for longer than a period.
func (c *cluster) repeat(d time.Duration) error {
	if c.rests != jump || !c.watch.settled() {
		return c.runFor(d)
	}
	c.begin = c.begin.Add(-d)
	c.watch.ages(d)
	return nil
}
