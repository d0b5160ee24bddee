package health

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// maxOutput is how much of a program's output is kept.
const maxOutput = 4 << 10

// askExec runs the check's command. At the timeout it is killed together with
// what it has started.
func (c Check) askExec(ctx context.Context) error {
	var out head
	cmd := Program(ctx, c.Command)
	cmd.Stdout, cmd.Stderr = &out, &out
	err := Start(cmd)
	if err != nil {
		return &fault{fmt.Sprintf("cannot run %s: %v", c.Command[0], err), err}
	}
	err = cmd.Wait()
	switch {
	case ctx.Err() != nil:
		return &fault{fmt.Sprintf("no end of it within %s", c.Timeout), ctx.Err()}
	case err == nil || errors.Is(err, exec.ErrWaitDelay):
		return nil
	}
	if line := firstLine(out.kept.Bytes()); line != "" {
		return &fault{fmt.Sprintf("%v: %s", err, line), err}
	}
	return err
}

// Program returns a command for [Start]. When ctx ends it is killed together with
// what it has started. A child of its that goes on after it does not hold up
// [exec.Cmd.Wait], which returns [exec.ErrWaitDelay] then.
func Program(ctx context.Context, command []string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 100 * time.Millisecond // for output that a child of its keeps open
	return cmd
}

// MayStart says what keeps [Start] from working in this process, whatever the program.
func MayStart() error { return onThread(plainChildren) }

// Start starts cmd at normal scheduling priority and, unless the agent runs as
// root, without its capabilities.
func Start(cmd *exec.Cmd) error {
	return onThread(func() error {
		if err := plainChildren(); err != nil {
			return err
		}
		return cmd.Start()
	})
}

// onThread runs f on a thread that is not used for anything else again: it ends
// with the goroutine that it is locked to.
func onThread(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		done <- f()
	}()
	return <-done
}

// plainChildren has children of this thread inherit neither real-time scheduling
// (sched(7), "Resetting scheduling policy for child processes") nor ambient
// capabilities (capabilities(7)). The thread cannot take that back.
func plainChildren() error {
	if err := resetOnFork(); errors.Is(err, unix.EPERM) {
		return errors.New("the unit's sandbox does not let programs have normal priority: use the drop-in exec-checks.conf (/usr/share/vipd)")
	} else if err != nil {
		return fmt.Errorf("reset scheduling for children: %w", err)
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return fmt.Errorf("clear the ambient capabilities for children: %w", err)
	}
	return nil
}

func resetOnFork() error {
	attr, err := unix.SchedGetAttr(0, 0)
	if err != nil {
		return err
	}
	if attr.Policy == unix.SCHED_NORMAL {
		return nil
	}
	attr.Flags |= unix.SCHED_FLAG_RESET_ON_FORK
	return unix.SchedSetAttr(0, attr, 0)
}

// head keeps the beginning of what is written to it.
type head struct{ kept bytes.Buffer }

func (h *head) Write(b []byte) (int, error) {
	h.kept.Write(b[:min(len(b), maxOutput-h.kept.Len())])
	return len(b), nil
}
