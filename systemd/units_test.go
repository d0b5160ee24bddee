package systemd

import (
	"context"
	"errors"
	"os/exec"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	godbus "github.com/godbus/dbus/v5"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// watching is a Watch that runs until the test ends.
type watching struct {
	t      *testing.T
	states chan State
}

func startWatch(t *testing.T, b *testBus, unit string) *watching {
	t.Helper()
	w := &watching{t: t, states: make(chan State, 100)}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- (&Units{dial: b.dial}).Watch(ctx, unit, func(s State) { w.states <- s })
	}()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Watch: %v", err)
			}
		case <-time.After(5 * time.Second):
			t.Error("Watch did not end with its context")
		}
	})
	return w
}

// next returns the next state that is told.
func (w *watching) next() State {
	w.t.Helper()
	select {
	case s := <-w.states:
		return s
	case <-time.After(5 * time.Second):
		w.t.Fatal("nothing was told")
		return State{}
	}
}

// want takes the next state that is told to be this one.
func (w *watching) want(s State) {
	w.t.Helper()
	if diff := cmp.Diff(s, w.next()); diff != "" {
		w.t.Fatalf("state (-want +got):\n%s", diff)
	}
}

func startProcess(t *testing.T) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { kill(cmd) })
	return cmd
}

func kill(cmd *exec.Cmd) {
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
}

// running are the properties of the unit once its main process runs.
func running(cmd *exec.Cmd, started uint64) values {
	return values{
		"ActiveState": "active", "SubState": "running", "Job": noJob,
		"MainPID": uint32(cmd.Process.Pid), "ExecMainPID": uint32(cmd.Process.Pid),
		"ExecMainStartTimestampMonotonic": started, "ExecMainCode": int32(0), "ExecMainStatus": int32(0),
	}
}

func TestWatchRestart(t *testing.T) {
	b := newTestBus(t)
	first, second := startProcess(t), startProcess(t)
	systemd := newFakeSystemd(t, b, running(first, 1))
	w := startWatch(t, b, "alias.service")

	s := State{Known: true, LoadState: "loaded", ActiveState: "active", SubState: "running", MainPID: first.Process.Pid}
	w.want(s)

	restart := systemd.addJob(7, "restart")
	systemd.change(values{"Job": restart})
	s.Job = "restart"
	w.want(s)

	systemd.change(values{"ActiveState": "deactivating", "SubState": "stop-sigterm"})
	s.ActiveState, s.SubState = "deactivating", "stop-sigterm"
	w.want(s)

	systemd.retype(restart, "start")
	systemd.change(values{
		"ActiveState": "inactive", "SubState": "dead", "MainPID": uint32(0), "ExecMainCode": int32(cldExited), "ExecMainStatus": int32(1),
	})
	s.ActiveState, s.SubState, s.Job, s.MainPID = "inactive", "dead", "start", 0
	s.Dead, s.Exit = true, exit{first.Process.Pid, cldExited, 1}.describe(first.Process.Pid)
	w.want(s)

	systemd.change(running(second, 2))
	s.ActiveState, s.SubState, s.Job, s.MainPID = "active", "running", "", second.Process.Pid
	s.Dead, s.Exit = false, ""
	w.want(s)
}

func TestWatchCrash(t *testing.T) {
	b := newTestBus(t)
	child := startProcess(t)
	systemd := newFakeSystemd(t, b, running(child, 1))
	w := startWatch(t, b, "k3s.service")
	s := State{Known: true, LoadState: "loaded", ActiveState: "active", SubState: "running", MainPID: child.Process.Pid}
	w.want(s)

	at := time.Now()
	kill(child)
	s.Dead, s.Exit = true, exit{}.describe(child.Process.Pid)
	w.want(s)
	t.Logf("told %v after the kill", time.Since(at))

	// A signal that still carries the dead PID does not revive it.
	stop := systemd.addJob(8, "stop")
	systemd.change(values{"Job": stop})
	s.Job = "stop"
	w.want(s)

	systemd.change(values{
		"ActiveState": "failed", "SubState": "failed", "Job": noJob,
		"MainPID": uint32(0), "ExecMainCode": int32(cldKilled), "ExecMainStatus": int32(9),
	})
	s.ActiveState, s.SubState, s.Job, s.MainPID = "failed", "failed", "", 0
	s.Exit = exit{child.Process.Pid, cldKilled, 9}.describe(child.Process.Pid)
	w.want(s)
}

// TestWatchPIDReuse is told of a main process whose PID belongs to another by
// the time it is opened.
func TestWatchPIDReuse(t *testing.T) {
	b := newTestBus(t)
	stranger, child := startProcess(t), startProcess(t)
	systemd := newFakeSystemd(t, b, running(child, 1))
	w := startWatch(t, b, "k3s.service")
	s := State{Known: true, LoadState: "loaded", ActiveState: "active", SubState: "running", MainPID: child.Process.Pid}
	w.want(s)

	systemd.signal(running(stranger, 2)) // but asked, it tells of the child
	s.MainPID = stranger.Process.Pid
	w.want(s)
	kill(stranger)
	systemd.change(running(child, 3))
	s.MainPID = child.Process.Pid
	w.want(s)

	kill(child)
	s.Dead, s.Exit = true, exit{}.describe(child.Process.Pid)
	w.want(s)
}

// TestWatchHandover lets a process end that is the main process no longer.
func TestWatchHandover(t *testing.T) {
	child := startProcess(t)
	before := mainProcess{pid: child.Process.Pid, started: 1}
	p, err := openProcess(before)
	if err != nil {
		t.Fatal(err)
	}
	var told []State
	w := &watch{tell: func(s State) { told = append(told, s) }}
	w.hear(report{state: State{Known: true, MainPID: before.pid}, main: before, process: p})
	w.hear(report{state: State{Known: true, MainPID: 1}, main: mainProcess{pid: 1, started: 2}})
	kill(child)
	<-w.ended()
	w.mourn()

	want := []State{{Known: true, MainPID: before.pid}, {Known: true, MainPID: 1}}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}

func TestWatchBusRestart(t *testing.T) {
	b := newTestBus(t)
	child := startProcess(t)
	newFakeSystemd(t, b, running(child, 1))
	w := startWatch(t, b, "k3s.service")
	s := State{Known: true, LoadState: "loaded", ActiveState: "active", SubState: "running", MainPID: child.Process.Pid}
	w.want(s)

	b.stop()
	away := w.next()
	unknown := s
	unknown.Known = false
	if diff := cmp.Diff(unknown, away, cmpopts.IgnoreFields(State{}, "Why")); diff != "" || away.Why == "" {
		t.Fatalf("while the bus is away, want a reason and the last state (-want +got):\n%s", diff)
	}

	kill(child)
	for away = w.next(); !away.Dead; away = w.next() {
		if away.Known {
			t.Fatalf("the state became known without a bus: %+v", away)
		}
	}

	b.start(t)
	again := startProcess(t)
	newFakeSystemd(t, b, running(again, 2))
	s.MainPID = again.Process.Pid
	back := w.next()
	for ; !back.Known; back = w.next() {
	}
	if diff := cmp.Diff(s, back); diff != "" {
		t.Errorf("after the bus came back (-want +got):\n%s", diff)
	}
}

func TestWatchSystemdLeaves(t *testing.T) {
	b := newTestBus(t)
	systemd := newFakeSystemd(t, b, nil)
	w := startWatch(t, b, "k3s.service")
	s := State{Known: true, LoadState: "loaded", ActiveState: "inactive", SubState: "dead"}
	w.want(s)

	if _, err := systemd.conn.ReleaseName(systemdName); err != nil {
		t.Fatal(err)
	}
	if away := w.next(); away.Known || away.Why != errLeft.Error() {
		t.Fatalf("got %+v, want it not known because %v", away, errLeft)
	}
	systemd.own()
	back := w.next()
	for ; !back.Known; back = w.next() {
	}
	if diff := cmp.Diff(s, back); diff != "" {
		t.Errorf("after systemd came back (-want +got):\n%s", diff)
	}
}

// TestWatchInstall watches a unit that is not there yet.
func TestWatchInstall(t *testing.T) {
	b := newTestBus(t)
	systemd := newFakeSystemd(t, b, values{"LoadState": "not-found"})
	w := startWatch(t, b, "k3s.service")
	s := State{Known: true, LoadState: "not-found", ActiveState: "inactive", SubState: "dead"}
	w.want(s)

	systemd.set(values{"LoadState": "loaded"})
	systemd.emit(systemdPath, managerInterface+".Reloading", true)
	systemd.emit(systemdPath, managerInterface+".Reloading", false)
	s.LoadState = "loaded"
	w.want(s)

	start := systemd.addJob(9, "start")
	systemd.set(values{"Job": start})
	systemd.emit(systemdPath, managerInterface+".JobNew", start.ID, start.Path, "other.service")
	systemd.emit(systemdPath, managerInterface+".JobNew", start.ID, start.Path, "k3s.service")
	s.Job = "start"
	w.want(s)
}

// TestWatchForgedSignal hears a signal that any user of the host could send.
func TestWatchForgedSignal(t *testing.T) {
	b := newTestBus(t)
	systemd := newFakeSystemd(t, b, nil)
	w := startWatch(t, b, "k3s.service")
	s := State{Known: true, LoadState: "loaded", ActiveState: "inactive", SubState: "dead"}
	w.want(s)

	systemd.forge(b.connect(t), map[string]godbus.Variant{"ActiveState": godbus.MakeVariant("failed")})
	systemd.change(values{"ActiveState": "activating", "SubState": "start"})
	s.ActiveState, s.SubState = "activating", "start"
	w.want(s)
}

// TestWatchStaleSignal hears a change that was sent after the subscription, but
// before the properties were read, so that it is in them already.
func TestWatchStaleSignal(t *testing.T) {
	b := newTestBus(t)
	systemd := newFakeSystemd(t, b, values{"ActiveState": "active", "SubState": "running"})
	systemd.beforeRead(func() {
		stale := map[string]godbus.Variant{"ActiveState": godbus.MakeVariant("activating")}
		systemd.emit(systemd.path, propertiesInterface+".PropertiesChanged", unitInterface, stale, []string{})
	})
	w := startWatch(t, b, "k3s.service")
	s := State{Known: true, LoadState: "loaded", ActiveState: "active", SubState: "running"}
	w.want(s)

	systemd.change(values{"ActiveState": "deactivating", "SubState": "stop-sigterm"})
	s.ActiveState, s.SubState = "deactivating", "stop-sigterm"
	w.want(s)
}

func TestWatchErrors(t *testing.T) {
	b := newTestBus(t)
	newFakeSystemd(t, b, nil)
	u := &Units{dial: b.dial}
	err := u.Watch(t.Context(), "k3s", func(s State) { t.Errorf("told %+v", s) })
	if err == nil || !strings.Contains(err.Error(), "k3s") || !strings.Contains(err.Error(), ".service") {
		t.Errorf("got %v, want an error that tells what a unit's name is", err)
	}
}

func TestWatchWithoutBus(t *testing.T) {
	b := newTestBus(t)
	b.stop()
	w := startWatch(t, b, "k3s.service")
	if s := w.next(); s.Known || !strings.Contains(s.Why, "connecting to D-Bus") {
		t.Errorf("got %+v, want it not known because there is no D-Bus", s)
	}
}

// TestWatchRetries counts the attempts to reach a bus that is not there.
func TestWatchRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
		defer cancel()
		start := time.Now()
		var attempts []time.Duration
		u := &Units{dial: func(...godbus.ConnOption) (*godbus.Conn, error) {
			attempts = append(attempts, time.Since(start))
			return nil, errors.New("no bus")
		}}
		told := 0
		if err := u.Watch(ctx, "k3s.service", func(State) { told++ }); err != nil {
			t.Error(err)
		}
		const ms = time.Millisecond
		want := []time.Duration{0, 100 * ms, 300 * ms, 700 * ms, 1500 * ms, 3100 * ms, 6300 * ms, 11300 * ms}
		if diff := cmp.Diff(want, attempts); diff != "" {
			t.Errorf("attempts (-want +got):\n%s", diff)
		}
		if told != 1 {
			t.Errorf("the same trouble was told %d times, want once", told)
		}
	})
}

// TestNewUnits asks the bus that the environment calls the system's.
func TestNewUnits(t *testing.T) {
	b := newTestBus(t)
	newFakeSystemd(t, b, nil)
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", b.address())
	if job, err := NewUnits().Job(t.Context(), "vipd.service"); job != "" || err != nil {
		t.Errorf("got %q, %v; want no job", job, err)
	}
}

func TestJob(t *testing.T) {
	b := newTestBus(t)
	systemd := newFakeSystemd(t, b, nil)
	u := &Units{dial: b.dial}
	restart := systemd.addJob(7, "restart")
	for _, tt := range []struct {
		name string
		job  job
		want string
	}{
		{"none", noJob, ""},
		{"restart", restart, "restart"},
		{"over before it was asked for", job{8, jobsPath + "/8"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			systemd.set(values{"Job": tt.job})
			got, err := u.Job(t.Context(), "vipd.service")
			if got != tt.want || err != nil {
				t.Errorf("got %q, %v; want %q", got, err, tt.want)
			}
		})
	}
	b.stop()
	if job, err := u.Job(t.Context(), "vipd.service"); err == nil {
		t.Errorf("without a bus: got %q, want an error", job)
	}
}
