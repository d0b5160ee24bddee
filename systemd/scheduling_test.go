package systemd

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestRealTime(t *testing.T) {
	policy, prio := RealTime()
	if policy == "unknown" || policy == "other" && prio != 0 {
		t.Errorf("got %s, %d", policy, prio)
	}
}

// TestLockMemory locks the memory of a process of its own.
func TestLockMemory(t *testing.T) {
	if os.Getenv("VIPD_TEST_LOCK") == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestLockMemory$", "-test.v")
		cmd.Env = append(os.Environ(), "VIPD_TEST_LOCK=1")
		out, err := cmd.CombinedOutput()
		t.Logf("%s", out)
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	if mayLockMemory() != nil {
		t.Skip("SKIP: this process may not lock memory")
	}
	if err := LockMemory(); err != nil {
		t.Fatal(err)
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, locked, _ := strings.Cut(string(status), "VmLck:")
	if strings.HasPrefix(strings.TrimSpace(locked), "0 kB") {
		t.Error("nothing was locked")
	}
}

func TestLockMemoryRefused(t *testing.T) {
	// Capabilities are the thread's: this one ends with the test.
	runtime.LockOSThread()
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var caps [2]unix.CapUserData
	if err := unix.Capget(&header, &caps[0]); err != nil {
		t.Fatal(err)
	}
	caps[0].Effective &^= 1 << unix.CAP_IPC_LOCK
	if err := unix.Capset(&header, &caps[0]); err != nil {
		t.Fatal(err)
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_MEMLOCK, &limit); err != nil {
		t.Fatal(err)
	}
	finite := unix.Rlimit{Cur: 8 << 20, Max: limit.Max}
	if limit.Cur < finite.Cur {
		finite.Cur = limit.Cur
	}
	if err := unix.Setrlimit(unix.RLIMIT_MEMLOCK, &finite); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Setrlimit(unix.RLIMIT_MEMLOCK, &limit); err != nil {
			t.Error(err)
		}
	})
	if err := LockMemory(); !errors.Is(err, ErrMemoryLimit) {
		t.Errorf("got %v, want %v", err, ErrMemoryLimit)
	}
}
