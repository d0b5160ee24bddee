package transport

import (
	"testing"
	"time"

	"github.com/vipd/vipd/vrrp"
)

func TestBudget(t *testing.T) {
	const (
		start    = vrrp.Instant(time.Hour)
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
		{"a drain of very many is forgiven soon", []read{{0, 1 << 20, 2 * restAfter}, {2 * restAfter, 1, 0}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var b budget
			for _, r := range tt.reads {
				now := start.Add(r.after)
				b.spend(r.n, now)
				if got := b.rest(now); got != r.rest {
					t.Errorf("after %v and %d reads: rest %v, want %v", r.after, r.n, got, r.rest)
				}
			}
		})
	}
}
