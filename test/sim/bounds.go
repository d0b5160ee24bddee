package sim

import (
	"time"

	"github.com/vipd/vipd/vrrp"
)

// Times of the protocol that are not the RFC's, as an operator may read them in
// the documentation: they are written here once more, so that a change in the
// machine shows up.
const (
	linger      = 100 * time.Millisecond // after the successor's first advertisement
	leaveExtra  = 100 * time.Millisecond // a leaver stays for 4A and this
	withdraw    = time.Second            // what is not permitted any more goes after that
	muteBackoff = 10 * time.Second
	// lastWordWithin is for how long a predecessor's last word is expected.
	lastWordWithin = 100 * time.Millisecond
	// lastWordsApart is for how long a router that fell expects that of those who heard before.
	lastWordsApart = 20 * time.Millisecond
	healWait       = time.Second // who has become ready leaves the addresses to a degraded one
	// answersPerInterval bounds the answers to lower advertisements.
	answersPerInterval = 4
	patience           = 3 // times Skew_Time more, against a degraded one
	maxPatience        = time.Second
	refresh            = 45 * time.Second
	pastLocktime       = 2200 * time.Millisecond // the announcement that comes after every locktime that a move began
	netlinkSlack       = 4 * maxNetlink
	spreadPart         = 16
	priorityRange      = 256
)

// bounds are how long things may take. Each is a sum of the timers that have to
// run, in the order in which they run in the worst case; none was measured.
type bounds struct {
	interval time.Duration // the longest
	maxSkew  time.Duration // Skew_Time and spread of a node that is down
	delay    time.Duration // from a timer's expiry at one node to the event at another
	rise     time.Duration // from the Active's end to the next: 3A + Skew_Time + spread
	resolve  time.Duration // from two Actives to one: the lower hears the next of the higher
	settle   time.Duration // see boundsOf
	leave    time.Duration // a leaver waits for a successor
}

func boundsOf(c *cluster) bounds {
	var a, preemptDelay, hold time.Duration
	for _, n := range c.nodes {
		a = max(a, n.cfg.AdvertInterval)
		preemptDelay = max(preemptDelay, n.cfg.PreemptDelay)
		hold = max(hold, n.api.hold)
	}
	b := bounds{interval: a}
	b.delay = c.net.maxDelay + maxLate
	skew := (priorityRange-1)*a/priorityRange + a/spreadPart
	b.maxSkew = skew
	b.rise = 3*a + skew + b.delay
	b.resolve = a + 2*b.delay
	b.leave = 4*a + leaveExtra + linger
	// A node of a better grade hears the next advertisement, probes, waits for Skew_Time,
	// and for the other to heal.
	better := a + b.delay + headStart + maxProbe + skew + healWait + min(patience*skew, maxPatience)
	// A higher one waits for its hold, for an advertisement that begins
	// preempt_delay, for the first after that, and for the Down timer of the last before it.
	preempt := hold + a + preemptDelay + a + b.rise
	// Somebody rises, two settle who it is, the better grade comes, the higher priority comes.
	b.settle = b.rise + b.resolve + better + b.resolve + preempt + b.resolve
	return b
}

// skew is Skew_Time and spread for the priority that n has now.
func (b *bounds) skew(n *node) time.Duration {
	return skewAt(n, b.interval) + b.interval/spreadPart
}

// skewAt is Skew_Time for the priority that n has now, of an Active with this interval.
func skewAt(n *node, interval time.Duration) time.Duration {
	return (priorityRange - time.Duration(n.m.Priority())) * interval / priorityRange
}

// downTime is Active_Down_Interval and spread for the priority that n has now.
func (b *bounds) downTime(n *node) time.Duration { return 3*b.interval + b.skew(n) }

// settled reports whether all that happened from outside has had its time.
func (w *watch) settled() bool {
	return w.c.now > w.quietFrom().Add(w.bounds.settle)
}

// quietFrom is when the last thing happened that the nodes have to deal with.
func (w *watch) quietFrom() vrrp.Instant { return max(w.disturbAt, w.lossAt, w.refrains) }
