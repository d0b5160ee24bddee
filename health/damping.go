package health

import "time"

// damping slows down a node that flaps: each fall from ready within 10 minutes
// of the last doubles the time for which it has to be ready before it preempts.
type damping struct {
	hold time.Duration
	last time.Time
}

const (
	minHold    = time.Second
	maxHold    = time.Minute
	quietAfter = 10 * time.Minute
)

// at returns the hold that applies now.
func (d *damping) at(now time.Time) time.Duration {
	if d.quiet(now) {
		return minHold
	}
	return d.hold
}

// fell notes a fall from ready.
func (d *damping) fell(now time.Time) {
	if d.quiet(now) {
		d.hold = minHold
	} else {
		d.hold = min(2*d.hold, maxHold)
	}
	d.last = now
}

func (d *damping) quiet(now time.Time) bool {
	return d.last.IsZero() || now.Sub(d.last) > quietAfter
}
