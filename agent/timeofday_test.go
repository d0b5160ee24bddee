package agent

import (
	"testing"
	"time"

	"github.com/vipd/vipd/vrrp"
)

// hostClock is a wall clock that can be set, and the monotonic clock beside it.
type hostClock struct {
	wall  time.Time
	mono  vrrp.Instant
	steps int
}

func (h *hostClock) pass(d time.Duration) { h.wall, h.mono = h.wall.Add(d), h.mono.Add(d) }

func newTimeOfDay() (*hostClock, *timeOfDay) {
	h := &hostClock{wall: time.Unix(1_800_000_000, 0), mono: 12345}
	return h, &timeOfDay{
		read: func() time.Time { return h.wall }, elapsed: func() vrrp.Instant { return h.mono }, stepped: func() { h.steps++ },
	}
}

// Signatures go by the host's clock, but do not follow a step of one that was right
// until the clock is known to be right again.
func TestTimeOfDay(t *testing.T) {
	const hour = time.Hour
	for name, tt := range map[string]struct {
		play  func(*hostClock, *timeOfDay)
		off   time.Duration // of the host's clock from that of signatures
		steps int
	}{
		"never known to be right": {func(h *hostClock, _ *timeOfDay) { h.wall = h.wall.Add(hour) }, 0, 0},
		"goes on":                 {func(h *hostClock, d *timeOfDay) { d.trust(); h.pass(hour) }, 0, 0},
		"set forward":             {func(h *hostClock, d *timeOfDay) { d.trust(); h.wall = h.wall.Add(hour); d.now(); h.pass(time.Minute) }, hour, 1},
		"set back":                {func(h *hostClock, d *timeOfDay) { d.trust(); h.wall = h.wall.Add(-hour) }, -hour, 1},
		"set and right":           {func(h *hostClock, d *timeOfDay) { d.trust(); h.wall = h.wall.Add(hour); d.now(); d.trust() }, 0, 1},
		"set, and nothing tells":  {func(h *hostClock, d *timeOfDay) { d.trust(); h.wall = h.wall.Add(hour); d.now(); d.follow() }, 0, 1},
		"set forward and back": {func(h *hostClock, d *timeOfDay) {
			d.trust()
			h.wall = h.wall.Add(hour)
			d.now()
			h.wall = h.wall.Add(-hour)
		}, 0, 1},
		"set twice": {func(h *hostClock, d *timeOfDay) {
			d.trust()
			h.wall = h.wall.Add(hour)
			d.now()
			h.wall = h.wall.Add(hour)
		}, 2 * hour, 2},
		"slewed, each second by 0.1 s": {func(h *hostClock, d *timeOfDay) {
			d.trust()
			for range 100 {
				h.pass(time.Second)
				h.wall = h.wall.Add(100 * time.Millisecond)
				d.now()
			}
		}, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			h, d := newTimeOfDay()
			tt.play(h, d)
			for range 3 {
				if got := h.wall.Sub(d.now()); got != tt.off || d.off() != tt.off {
					t.Errorf("the host's clock is %v off, said to be %v; want %v", got, d.off(), tt.off)
				}
			}
			if h.steps != tt.steps {
				t.Errorf("told of %d steps, want %d", h.steps, tt.steps)
			}
		})
	}
}
