package doctor

import (
	"context"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

type hostKernel struct{}

func (hostKernel) Release() (string, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "", err
	}
	return unix.ByteSliceToString(u.Release[:]), nil
}

// timeError is TIME_ERROR of adjtimex(2): the clock is not synchronised.
const timeError = 5

func (hostKernel) Synchronised() (bool, error) {
	var t unix.Timex // no modes: it only reads
	state, err := unix.Adjtimex(&t)
	return state != timeError, err
}

const (
	nap      = time.Millisecond
	measured = time.Second
)

func (hostKernel) Lateness(ctx context.Context, policy string) (worst time.Duration, realTime bool, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		// The thread is scheduled as the agent is, and ends with the goroutine.
		runtime.LockOSThread()
		attr := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_RR, Priority: 1}
		realTime = isRealTime(policy) && unix.SchedSetAttr(0, &attr, 0) == nil
		worst, err = naps(ctx)
	}()
	<-done
	return worst, realTime, err
}

// naps sleeps often, past Go's own timers, and returns by how much it overslept.
func naps(ctx context.Context) (worst time.Duration, err error) {
	request := unix.NsecToTimespec(nap.Nanoseconds())
	for began := time.Now(); time.Since(began) < measured && ctx.Err() == nil; {
		from := time.Now()
		if err := unix.ClockNanosleep(unix.CLOCK_MONOTONIC, 0, &request, nil); err != nil && err != unix.EINTR {
			return 0, err
		}
		worst = max(worst, time.Since(from)-nap)
	}
	return worst, ctx.Err()
}

func (hostKernel) Policy(pid int) (string, error) {
	attr, err := unix.SchedGetAttr(pid, 0)
	if err != nil {
		return "", err
	}
	switch attr.Policy {
	case unix.SCHED_RR:
		return "rr", nil
	case unix.SCHED_FIFO:
		return "fifo", nil
	}
	return "other", nil
}
