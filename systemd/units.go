package systemd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/godbus/dbus/v5"
)

// Units watches systemd's units over the system bus.
type Units struct {
	dial dialFunc
}

// NewUnits returns Units of the host's system bus. It does not connect yet.
func NewUnits() *Units {
	return &Units{dial: dbus.ConnectSystemBus}
}

// State is what is known of a unit and of its main process. The strings are
// systemd's own (org.freedesktop.systemd1(5)).
type State struct {
	Known bool   // the rest is so now; false: it was so when D-Bus was last heard
	Why   string // why it is not known

	LoadState   string // loaded, not-found, masked, ...
	ActiveState string // active, reloading, inactive, failed, activating, deactivating
	SubState    string // of a service: running, stop-sigterm, auto-restart, dead, ...
	Job         string // type of the pending job: start, stop, restart, ...; or ""
	MainPID     int    // as systemd last told it; 0: none

	// Dead means that the main process has ended and that no other has taken
	// its place. It is told without waiting for D-Bus, nor does it need it. Of
	// a process that ended before the watch began, nothing is said.
	Dead bool
	Exit string // how it ended, as far as is known: "process 812 killed by signal 9"
}

// mainProcess tells main processes apart, even if one gets its predecessor's PID.
type mainProcess struct {
	pid     int    // 0: none
	started uint64 // microseconds of the monotonic clock, by systemd
}

// Watch calls tell with the state of unit ("k3s.service") now and at each change
// until ctx ends, and then returns nil. The end of the main process is told
// within milliseconds. While D-Bus is away it tries again and again, as often as
// every 100 ms and no less than every 5 s; so on a host without it tell learns
// that the state is not known, and why. A unit that does not exist is a state,
// not an error; only a name that no unit can have is an error.
//
// All calls come from this goroutine, and a slow one delays the next.
func (u *Units) Watch(ctx context.Context, unit string, tell func(State)) error {
	f := &follower{dial: u.dial, unit: unit, reports: make(chan report)}
	stopped := make(chan error, 1)
	go func() { stopped <- f.run(ctx) }()

	w := &watch{tell: tell}
	defer w.release()
	for {
		select {
		case r := <-f.reports:
			w.hear(r)
		case <-w.ended():
			w.mourn()
		case err := <-stopped:
			return err
		}
	}
}

// Job returns the type of the job that is pending for unit: "stop" while systemd
// stops it, "restart" when it means to start it again, "" if there is none.
func (u *Units) Job(ctx context.Context, unit string) (string, error) {
	job, err := u.job(ctx, unit)
	if err != nil {
		return "", fmt.Errorf("asking systemd for the job of %s: %w", unit, err)
	}
	return job, nil
}

func (u *Units) job(ctx context.Context, unit string) (string, error) {
	b, err := dialBus(ctx, u.dial)
	if err != nil {
		return "", err
	}
	defer b.close()
	path, err := b.loadUnit(ctx, unit)
	if err != nil {
		return "", err
	}
	job, err := b.get(ctx, path, unitInterface, "Job")
	if err != nil {
		return "", err
	}
	var p properties
	p.merge(map[string]dbus.Variant{"Job": job})
	return b.jobType(ctx, p.job)
}

// watch joins what D-Bus and the pidfd tell into one State.
type watch struct {
	tell    func(State)
	begun   bool
	state   State
	main    mainProcess // the last that there was
	process *process    // nil: it is not watched, or has ended
}

// hear takes a report, and with it the process that it may bring.
func (w *watch) hear(r report) {
	if r.process != nil {
		w.release()
		w.process = r.process
	}
	next := r.state
	next.Dead, next.Exit = w.state.Dead, w.state.Exit
	switch {
	case !next.Known:
		why := next.Why
		next = w.state
		next.Known, next.Why = false, why
	case r.main.pid != 0 && r.main != w.main:
		w.main = r.main
		next.Dead, next.Exit = false, ""
	case r.main.pid == 0 && w.main.pid != 0:
		next.Dead, next.Exit = true, r.exit.describe(w.main.pid)
	}
	w.publish(next)
}

// ended is closed when the main process has ended.
func (w *watch) ended() <-chan struct{} {
	if w.process == nil {
		return nil
	}
	return w.process.ended
}

func (w *watch) mourn() {
	main := w.process.main
	w.release()
	if main != w.main || w.state.Dead {
		return
	}
	next := w.state
	next.Dead, next.Exit = true, exit{}.describe(main.pid)
	w.publish(next)
}

func (w *watch) publish(next State) {
	if w.begun && next == w.state {
		return
	}
	w.begun, w.state = true, next
	w.tell(next)
}

func (w *watch) release() {
	if w.process != nil {
		w.process.close()
		w.process = nil
	}
}

// Waits between attempts to reach D-Bus.
const (
	firstRetry = 100 * time.Millisecond
	maxRetry   = 5 * time.Second
)

// follower follows one unit over D-Bus, through as many connections as it takes.
type follower struct {
	dial    dialFunc
	unit    string
	reports chan report
	watched mainProcess // the last whose process was handed out
}

// report is what D-Bus told.
type report struct {
	state   State // without Dead and Exit
	main    mainProcess
	exit    exit
	process *process // of main, if it is a new one; the receiver closes it
}

func (f *follower) run(ctx context.Context) error {
	retry := firstRetry
	for {
		s, err := openSession(ctx, f.dial, f.unit)
		if err == nil {
			retry = firstRetry
			err = f.serve(ctx, s)
			s.close()
		}
		if ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, errUnitName) {
			return fmt.Errorf("watching %s: %w", f.unit, err)
		}
		f.send(ctx, report{state: State{Why: err.Error()}})
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(retry):
		}
		retry = min(2*retry, maxRetry)
	}
}

// serve reports until the session fails.
func (f *follower) serve(ctx context.Context, s *session) error {
	for {
		job, err := s.jobType(ctx, s.props.job)
		if err != nil {
			return err
		}
		// Opened before it is told of, so that its end is told, too, if D-Bus
		// goes away the moment after.
		p, err := f.openMain(ctx, s)
		if err != nil {
			return err
		}
		f.send(ctx, report{state: s.props.state(job), main: s.props.main, exit: s.props.exit, process: p})
		if err := s.next(ctx); err != nil {
			return err
		}
	}
}

// openMain opens the main process if it is a new one. It returns nil if the
// process is gone, of which systemd is about to tell, or where the kernel has no
// pidfd, so that D-Bus alone must do.
func (f *follower) openMain(ctx context.Context, s *session) (*process, error) {
	main := s.props.main
	if main.pid == 0 || main == f.watched {
		return nil, nil
	}
	p, err := openProcess(main)
	if err != nil {
		return nil, nil
	}
	// The PID may have gone to another process before it was opened. If systemd
	// still calls it the main process, it has not reaped it, and the PID was
	// not free.
	pid, err := s.get(ctx, s.path, serviceInterface, "MainPID")
	if err != nil || pid.Value() != uint32(main.pid) {
		p.close()
		return nil, err
	}
	f.watched = main
	return p, nil
}

func (f *follower) send(ctx context.Context, r report) {
	select {
	case f.reports <- r:
	case <-ctx.Done():
		if r.process != nil {
			r.process.close()
		}
	}
}
