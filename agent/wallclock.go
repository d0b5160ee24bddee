package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vipd/vipd/vrrp"
)

// clockEvery is how often the clock is looked at.
const clockEvery = 10 * time.Second

// Why a node is barred.
var (
	errUnsynchronised = errors.New("the clock is not synchronised, and auth.anti_replay = \"time\" needs clocks that agree: " +
		"start a time service (chrony, systemd-timesyncd), or use \"monotonic\"")
	errClockHidden = errors.New("the unit's sandbox hides whether the clock is synchronised, which auth.anti_replay = \"time\" needs, " +
		"and systemd-timedated does not tell: use the drop-in auth-by-time.conf (/usr/share/vipd), or \"monotonic\"")
	errClockNotAsked = errors.New("whether the clock is synchronised is being asked")
)

// clockWatch bars the routers while signatures need a clock that is not right.
func (a *Agent) clockWatch(ctx context.Context) {
	tick := time.NewTicker(clockEvery)
	defer tick.Stop()
	for {
		a.checkClock(ctx)
		select {
		case <-tick.C:
		case <-a.askClock:
		case <-ctx.Done():
			return
		}
	}
}

// checkClock asks without the lock, for the answer may take seconds.
func (a *Agent) checkClock(ctx context.Context) {
	if !a.needsClock() {
		return
	}
	why := a.opts.Synchronised(ctx)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.auth.byTime() && ctx.Err() == nil {
		a.bar(why)
	}
}

func (a *Agent) needsClock() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.auth.byTime()
}

// clockNeeded follows a change of the configuration: until the clock was asked about, a
// node whose signatures need it does not claim.
func (a *Agent) clockNeeded(before bool) {
	switch now := a.auth.byTime(); {
	case !now:
		a.bar(nil)
	case !before:
		a.bar(errClockNotAsked)
		select {
		case a.askClock <- struct{}{}:
		default:
		}
	}
}

// bar notes why this node must not claim, or that it may.
func (a *Agent) bar(why error) {
	was := a.barred
	a.barred = why
	if why != nil && why != errClockNotAsked && (was == nil || was == errClockNotAsked) {
		a.record.failed("this node does not claim", why)
	}
	if (was == nil) == (why == nil) {
		return
	}
	for _, p := range a.routers {
		p.router.post(vrrp.Bar(why != nil))
	}
}

// synchronised asks the kernel whether something keeps the wall clock right or, where
// the unit's filter of system calls is in the way, systemd.
func (a *Agent) synchronised(ctx context.Context) error {
	err := askKernel()
	if !errors.Is(err, errClockHidden) || a.opts.Units == nil {
		return err
	}
	yes, failed := a.opts.Units.ClockSynchronised(ctx)
	switch {
	case failed != nil:
		return fmt.Errorf("%w (%w)", err, failed)
	case !yes:
		return errUnsynchronised
	}
	return nil
}

func askKernel() error {
	var t unix.Timex
	switch _, err := unix.Adjtimex(&t); {
	case errors.Is(err, unix.EPERM): // only to set the clock takes a privilege
		return errClockHidden
	case err != nil:
		return fmt.Errorf("ask the kernel whether the clock is synchronised: %w", err)
	case t.Status&unix.STA_UNSYNC != 0:
		return errUnsynchronised
	}
	return nil
}
