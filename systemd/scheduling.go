package systemd

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// RealTime returns the scheduling policy under which systemd started the process
// (CPUSchedulingPolicy in its unit) and its real-time priority: "rr" or "fifo"
// with 1 to 99, "other", "batch" or "idle" with 0, "deadline", or "unknown".
func RealTime() (policy string, prio int) {
	attr, err := unix.SchedGetAttr(os.Getpid(), 0)
	if err != nil {
		return "unknown", 0
	}
	switch attr.Policy {
	case unix.SCHED_NORMAL:
		policy = "other"
	case unix.SCHED_FIFO:
		policy = "fifo"
	case unix.SCHED_RR:
		policy = "rr"
	case unix.SCHED_BATCH:
		policy = "batch"
	case unix.SCHED_IDLE:
		policy = "idle"
	case unix.SCHED_DEADLINE:
		policy = "deadline"
	default:
		policy = "unknown"
	}
	return policy, int(attr.Priority)
}

// ErrMemoryLimit is returned by [LockMemory] for a process that may not lock
// all its memory.
var ErrMemoryLimit = errors.New("the limit on locked memory is too low: set LimitMEMLOCK=infinity in the unit (or ulimit -l unlimited)")

// LockMemory keeps the process's memory, present and future, from being paged
// out once it was used, so that a host short of memory does not stall the agent.
// If it fails nothing has changed and the process can go on.
func LockMemory() error {
	if err := mayLockMemory(); err != nil {
		return fmt.Errorf("locking memory: %w", err)
	}
	err := unix.Mlockall(unix.MCL_CURRENT | unix.MCL_FUTURE | unix.MCL_ONFAULT)
	if errors.Is(err, unix.ENOMEM) || errors.Is(err, unix.EPERM) {
		return fmt.Errorf("locking memory: %w", ErrMemoryLimit)
	}
	if err != nil {
		return fmt.Errorf("locking memory: %w", os.NewSyscallError("mlockall", err))
	}
	return nil
}

// mayLockMemory refuses under any finite limit: with MCL_FUTURE a mapping that
// passes the limit fails, and the Go runtime answers that by ending the process.
func mayLockMemory() error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_MEMLOCK, &limit); err != nil {
		return os.NewSyscallError("getrlimit", err)
	}
	if limit.Cur == unix.RLIM_INFINITY {
		return nil
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var caps [2]unix.CapUserData // 64 capabilities, 32 in each
	if err := unix.Capget(&header, &caps[0]); err != nil {
		return os.NewSyscallError("capget", err)
	}
	if caps[0].Effective&(1<<unix.CAP_IPC_LOCK) == 0 {
		return ErrMemoryLimit
	}
	return nil
}
