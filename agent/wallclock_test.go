package agent

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/vipd/vipd/systemd"
)

// timedated answers for systemd.
type timedated struct {
	yes bool
	err error
}

func (d timedated) Watch(context.Context, string, func(systemd.State)) error { return nil }
func (d timedated) ClockSynchronised(context.Context) (bool, error)          { return d.yes, d.err }

// Under the unit, whose filter of system calls refuses it, the kernel cannot be asked
// about the clock; systemd can.
func TestHiddenClock(t *testing.T) {
	gone := errors.New("it is masked")
	for name, tt := range map[string]struct {
		units Units
		want  error
	}{
		"synchronised":   {timedated{yes: true}, nil},
		"unsynchronised": {timedated{}, errUnsynchronised},
		"no answer":      {timedated{err: gone}, errClockHidden},
		"no systemd":     {nil, errClockHidden},
	} {
		t.Run(name, func(t *testing.T) {
			a := &Agent{opts: Options{Units: tt.units}}
			got := make(chan error)
			go func() {
				runtime.LockOSThread() // for good: the filter cannot be taken off
				if err := refuse(unix.SYS_ADJTIMEX); err != nil {
					got <- err
					return
				}
				got <- a.synchronised(t.Context())
			}()
			if err := <-got; !errors.Is(err, tt.want) {
				t.Errorf("%v, want %v", err, tt.want)
			}
		})
	}
}

// refuse has this thread's system call fail as the unit's filter does.
func refuse(call uint32) error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	program := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS}, // its number
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: call, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	filter := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	return unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&filter)), 0, 0)
}
