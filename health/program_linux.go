package health

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ErrStuck is the end of waiting for a program that was killed: it is in a system call
// that nothing interrupts, or stands still in a debugger.
var ErrStuck = errors.New("it was killed, but does not end: does it wait for a disk that hangs?")

const (
	outputDelay = 100 * time.Millisecond // for output that a child of the program keeps open
	dying       = 150 * time.Millisecond // for the end of what was killed, after that
)

// Run runs a command and returns how it ended. It has normal scheduling priority and,
// unless the agent runs as root, none of the agent's capabilities. A child of its that
// goes on after it is not waited for. When ctx ends it is killed together with what it
// has started.
//
// Run returns soon after the end of ctx, whatever keeps the program. With [ErrStuck] the
// program still is there, and out may still be written to; gone is closed when it has
// ended. With any other error, or none, it has been closed.
func Run(ctx context.Context, command, env []string, out io.Writer) (gone <-chan struct{}, err error) {
	ended := make(chan struct{})
	var how error
	go func() {
		defer close(ended)
		how = toItsEnd(ctx, command, env, out)
	}()
	select {
	case <-ended:
		return ended, how
	case <-ctx.Done():
	}
	late := time.NewTimer(outputDelay + dying)
	defer late.Stop()
	select {
	case <-ended:
		return ended, how
	case <-late.C:
		return ended, ErrStuck
	}
}

// toItsEnd is Run without a limit. The start may take as long as the end: the program is
// read from a disk.
func toItsEnd(ctx context.Context, command, env []string, out io.Writer) error {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Env, cmd.Stdout, cmd.Stderr = env, out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = outputDelay
	if err := onThread(func() error { return startPlain(cmd) }); err != nil {
		return fmt.Errorf("cannot run %s: %w", command[0], err)
	}
	err := cmd.Wait()
	if errors.Is(err, exec.ErrWaitDelay) {
		return nil
	}
	return err
}

// MayStart says what keeps [Run] from working in this process, whatever the program.
func MayStart() error { return onThread(plainChildren) }

func startPlain(cmd *exec.Cmd) error {
	if err := plainChildren(); err != nil {
		return err
	}
	return cmd.Start()
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
