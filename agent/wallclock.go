package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vipd/vipd/vrrp"
)

// clockEvery is how often the clock is looked at, clockSoon how often while it is wrong.
const (
	clockEvery = 10 * time.Second
	clockSoon  = 2 * time.Second
)

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
	again := time.NewTimer(clockEvery)
	defer again.Stop()
	for {
		again.Reset(a.checkClock(ctx))
		select {
		case <-again.C:
		case <-a.askClock:
		case <-ctx.Done():
			return
		}
	}
}

// checkClock asks without the lock, for the answer may take seconds. It returns when to
// ask again.
func (a *Agent) checkClock(ctx context.Context) time.Duration {
	if !a.needsClock() {
		return clockEvery
	}
	why := a.opts.Synchronised(ctx)
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.auth.byTime() || ctx.Err() != nil {
		return clockEvery
	}
	a.believe(why)
	a.bar(why)
	if errors.Is(why, errUnsynchronised) {
		return clockSoon
	}
	return clockEvery
}

// believe has signatures go by the host's clock, or by what it was before it was set.
func (a *Agent) believe(why error) {
	day := a.clock.day
	switch by := day.off(); {
	case why == nil:
		if by != 0 {
			a.record.clockSet("the clock was set, and is right: signatures follow", by)
		}
		day.trust()
	case !errors.Is(why, errUnsynchronised):
		day.follow() // nothing will tell when it is right again
	case by != 0 && (a.barred == nil || a.barred == errClockNotAsked): // it was set under the predecessor
		a.record.clockSet("the clock was set, and is not synchronised: signatures go by what it was before", by)
	}
}

// askAboutClock has the clock watch look now.
func (a *Agent) askAboutClock() {
	select {
	case a.askClock <- struct{}{}:
	default:
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
		a.clock.day.follow()
	case !before:
		a.bar(errClockNotAsked)
		a.askAboutClock()
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
