package transport

import (
	"slices"
	"testing"
	"time"

	"github.com/vipd/vipd/vrrp"
)

func TestBudget(t *testing.T) {
	const (
		start    = vrrp.Instant(0) // not so long after the clock began
		perMilli = readRate / 1000
	)
	type read struct {
		after time.Duration // since start
		n     int
		rest  time.Duration
	}
	for _, tt := range []struct {
		name  string
		reads []read
	}{
		{"one after a quiet time", []read{{0, 1, 0}}},
		{"a whole burst", []read{{0, readBurst, 0}}},
		{"one more than a burst", []read{{0, readBurst + 1, readCost + restAfter}}},
		{"the rate itself", []read{{0, readBurst, 0}, {time.Millisecond, perMilli, 0}, {2 * time.Millisecond, perMilli, 0}}},
		{"above the rate", []read{{0, readBurst, 0}, {time.Millisecond, 2 * perMilli, time.Millisecond + restAfter}}},
		{"as many wake-ups at once as there may be", slices.Repeat([]read{{0, 1, 0}}, wakeBurst)},
		{"one more", append(slices.Repeat([]read{{0, 1, 0}}, wakeBurst), read{0, 1, wakeEvery})},
		{"one more, for a whole batch", append(slices.Repeat([]read{{0, 1, 0}}, wakeBurst), read{0, batchSize, 0})},
		{"one more, for nothing", append(slices.Repeat([]read{{0, 1, 0}}, wakeBurst), read{0, 0, 0})},
		{"one more, a moment later", append(slices.Repeat([]read{{0, 1, 0}}, wakeBurst), read{wakeEvery / 4, 1, 3 * wakeEvery / 4})},
		{"one more, in time", append(slices.Repeat([]read{{0, 1, 0}}, wakeBurst), read{wakeEvery, 1, 0})},
		{"batches are no wake-ups", slices.Repeat([]read{{0, batchSize, 0}}, 10*wakeBurst)},
		{"wake-ups that were not held back are forgiven", append(slices.Repeat([]read{{0, 1, 0}}, wakeBurst),
			read{0, 1, wakeEvery}, read{0, 1, wakeEvery}, read{wakeEvery, 1, wakeEvery}, read{3 * wakeEvery, 1, 0})},
		{"a drain of very many is forgiven soon", []read{{0, 1 << 20, 2 * restAfter}, {2 * restAfter, 1, 0}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBudget(start)
			for _, r := range tt.reads {
				now := start.Add(r.after)
				b.spend(r.n, now)
				if got := b.rest(r.n, now); got != r.rest {
					t.Errorf("after %v and %d reads: rest %v, want %v", r.after, r.n, got, r.rest)
				}
			}
		})
	}
}
