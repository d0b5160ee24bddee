package agent

import (
	"sync"
	"time"

	"github.com/vipd/vipd/vrrp"
)

// aStep is by how much the host's clock is off at once when it was set. What is less
// comes of a time service that slews it.
const aStep = 500 * time.Millisecond

// timeOfDay is the wall clock by which advertisements are signed and judged: the
// host's, until it was known to be right. From then on it goes by the monotonic clock
// where the host's is set, for as long as that is not known to be right as well: else a
// clock that is set wrong would cut a node off from all others.
type timeOfDay struct {
	read    func() time.Time    // the host's clock
	elapsed func() vrrp.Instant // the monotonic one
	stepped func()              // told of a step; must not block

	mu      sync.Mutex
	trusted bool
	ahead   time.Duration // of the monotonic clock, as trusted
	seen    time.Duration // likewise, as the host's was at the last step
}

// now returns the time, and looks whether the host's clock was set.
func (t *timeOfDay) now() time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	wall := t.read()
	if !t.trusted {
		return wall
	}
	mono := time.Duration(t.elapsed())
	ahead := time.Duration(wall.UnixNano()) - mono
	switch {
	case (ahead - t.ahead).Abs() < aStep:
		t.ahead, t.seen = ahead, ahead
		return wall
	case (ahead - t.seen).Abs() >= aStep:
		t.seen = ahead
		t.stepped()
	}
	return time.Unix(0, int64(mono+t.ahead))
}

// off reports by how much the host's clock was set since it was known to be right.
func (t *timeOfDay) off() time.Duration {
	wall := t.now()
	return t.read().Sub(wall).Round(aStep)
}

// trust makes the host's clock the one to go by, and steps of it nothing to follow
// unasked.
func (t *timeOfDay) trust() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ahead = time.Duration(t.read().UnixNano()) - time.Duration(t.elapsed())
	t.seen, t.trusted = t.ahead, true
}

// known returns by how much the time that was known to be right is ahead of the monotonic
// clock; 0: none was.
func (t *timeOfDay) known() time.Duration {
	if t == nil {
		return 0
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.trusted {
		return 0
	}
	return t.ahead
}

// restore has it go by what a predecessor knew to be right on this boot.
func (t *timeOfDay) restore(known time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ahead, t.seen, t.trusted = known, known, known != 0
}

// host returns the host's clock where signatures go by another time.
func (t *timeOfDay) host() (wall time.Time, differs bool) {
	if t == nil || t.off() == 0 {
		return time.Time{}, false
	}
	return t.read(), true
}

// follow has it go by the host's clock, whatever becomes of that.
func (t *timeOfDay) follow() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.trusted = false
}
