package transport

import (
	"time"

	"github.com/vipd/vipd/vrrp"
)

const (
	// readRate is how many datagrams a second Run reads. What it does not read the
	// kernel drops, the peers' advertisements among it, and three in a row look
	// like a dead Active: so a flood of half of this must still be read in full.
	// A read takes some microseconds.
	readRate = 100_000
	// readBurst is how many it may read at once after a quiet time.
	readBurst = 10_000
	// restAfter is how long Run at least stops reading once it has gone over
	// the rate, so that it does not wake up for each datagram it may read.
	restAfter = 5 * time.Millisecond

	readCost = time.Second / readRate
)

// budget bounds how much of the CPU a flood of datagrams can take. It is a
// token bucket, kept as the instant at which all reads so far are paid for.
type budget struct{ paid vrrp.Instant }

// spend pays for n reads. A debt is kept small: reads that are not held back by
// it (Drain's) must not stop those that are for long.
func (b *budget) spend(n int, now vrrp.Instant) {
	b.paid = max(b.paid, now.Add(-readBurst*readCost)).Add(time.Duration(n) * readCost)
	b.paid = min(b.paid, now.Add(restAfter))
}

// rest returns how long to stop reading, 0 while the budget is not overspent.
func (b *budget) rest(now vrrp.Instant) time.Duration {
	if b.paid <= now {
		return 0
	}
	return b.paid.Sub(now) + restAfter
}
