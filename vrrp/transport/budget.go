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

	// wakeEvery is how often Run wakes up at most for what it finds the socket to
	// hold less than a batch of: a wake-up costs as much as many datagrams do. It
	// must be short beside the least advertisement interval: an answer may come so
	// much later. Nothing else does, for the kernel says when a datagram arrived, and
	// who is about to act on a timer reads first.
	wakeEvery = 2 * time.Millisecond
	// wakeBurst is how often it may wake up at once after a quiet time: all that
	// comes in a cluster of some routers is read when it arrives.
	wakeBurst = 32
)

// budget bounds how much of the CPU a flood of datagrams can take. It is a token
// bucket for datagrams and one for wake-ups, each kept as the instant at which all so
// far are paid for.
type budget struct{ paid, woken vrrp.Instant }

// newBudget returns one as after a quiet time.
func newBudget(now vrrp.Instant) budget {
	return budget{paid: now.Add(-readBurst * readCost), woken: now.Add(-wakeBurst * wakeEvery)}
}

// spend pays for a read of n datagrams. A debt is kept small: reads that are not held
// back by it (Drain's) must not stop those that are for long.
func (b *budget) spend(n int, now vrrp.Instant) {
	b.paid = max(b.paid, now.Add(-readBurst*readCost)).Add(time.Duration(n) * readCost)
	b.paid = min(b.paid, now.Add(restAfter))
	if n > 0 && n < batchSize {
		b.woken = max(b.woken, now.Add(-wakeBurst*wakeEvery)).Add(wakeEvery)
		b.woken = min(b.woken, now.Add(wakeEvery))
	}
}

// rest returns how long to stop reading after a read of n datagrams, 0 while the budget
// is not overspent. Who has read a whole batch is awake and has more to read.
func (b *budget) rest(n int, now vrrp.Instant) time.Duration {
	if b.paid > now {
		return b.paid.Sub(now) + restAfter
	}
	if n < batchSize && b.woken > now {
		return b.woken.Sub(now)
	}
	return 0
}
