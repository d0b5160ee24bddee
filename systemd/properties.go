package systemd

import (
	"fmt"

	"github.com/godbus/dbus/v5"
)

// properties are those of a unit that matter here.
type properties struct {
	loadState   string
	activeState string
	subState    string
	job         dbus.ObjectPath // "/": none
	main        mainProcess
	exit        exit
}

// exit is how the last main process ended.
type exit struct {
	pid    int
	code   int32 // CLD_EXITED, CLD_KILLED or CLD_DUMPED; 0: it runs, or there was none
	status int32 // exit status or signal
}

// Ways in which a process ends (waitid(2)).
const (
	cldExited = 1
	cldKilled = 2
	cldDumped = 3
)

// merge takes over what values has of the properties.
func (p *properties) merge(values map[string]dbus.Variant) {
	take(values, "LoadState", func(v string) { p.loadState = v })
	take(values, "ActiveState", func(v string) { p.activeState = v })
	take(values, "SubState", func(v string) { p.subState = v })
	take(values, "Job", func(v []any) { // (uo): id and object
		if len(v) == 2 {
			p.job, _ = v[1].(dbus.ObjectPath)
		}
	})
	take(values, "MainPID", func(v uint32) { p.main.pid = int(v) })
	take(values, "ExecMainStartTimestampMonotonic", func(v uint64) { p.main.started = v })
	take(values, "ExecMainPID", func(v uint32) { p.exit.pid = int(v) })
	take(values, "ExecMainCode", func(v int32) { p.exit.code = v })
	take(values, "ExecMainStatus", func(v int32) { p.exit.status = v })
}

// take calls set if values has a property of that name and type.
func take[T any](values map[string]dbus.Variant, name string, set func(T)) {
	if v, ok := values[name].Value().(T); ok {
		set(v)
	}
}

func (p *properties) state(job string) State {
	return State{
		Known:       true,
		LoadState:   p.loadState,
		ActiveState: p.activeState,
		SubState:    p.subState,
		Job:         job,
		MainPID:     p.main.pid,
	}
}

// describe says how the process ended, as far as e is of that one.
func (e exit) describe(pid int) string {
	if e.pid == pid {
		switch e.code {
		case cldExited:
			return fmt.Sprintf("process %d exited with status %d", pid, e.status)
		case cldKilled, cldDumped:
			return fmt.Sprintf("process %d killed by signal %d", pid, e.status)
		}
	}
	return fmt.Sprintf("process %d ended", pid) // systemd tells later how
}
