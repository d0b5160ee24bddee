package agent

import (
	"fmt"
	"time"

	"github.com/vipd/vipd/vrrp"
	"golang.org/x/sys/unix"
)

// clock reads CLOCK_MONOTONIC as Instants, which an agent and its successor
// share as long as the host is not rebooted.
type clock struct {
	start  time.Time
	origin vrrp.Instant // of start
	day    *timeOfDay   // nil: the host's
}

func newClock() (clock, error) {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return clock{}, fmt.Errorf("read the monotonic clock: %w", err)
	}
	return clock{start: time.Now(), origin: vrrp.Instant(ts.Nano())}, nil
}

func (c clock) now() vrrp.Instant { return c.at(time.Now()) }

// at converts a time that has a monotonic reading.
func (c clock) at(t time.Time) vrrp.Instant { return c.origin.Add(t.Sub(c.start)) }

// wall is the time that signatures go by.
func (c clock) wall() time.Time {
	if c.day == nil {
		return time.Now()
	}
	return c.day.now()
}

// time converts back, for display.
func (c clock) time(i vrrp.Instant) time.Time { return c.start.Add(i.Sub(c.origin)) }
