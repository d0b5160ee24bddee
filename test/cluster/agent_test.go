package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// An agent's end takes with it what it has started.
func TestKillTree(t *testing.T) {
	cmd := exec.Command("sh", "-c", "sleep 60 & wait")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var below []int
	err := Until(ctx, "the child", func() error {
		if below = descendants(cmd.Process.Pid); len(below) != 1 {
			return fmt.Errorf("%v are below", below)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	killTree(cmd.Process.Pid)
	if err := cmd.Wait(); err == nil {
		t.Error("it ended by itself")
	}
	for _, pid := range below {
		if err := Until(ctx, "the child's end", func() error { return ended(pid) }); err != nil {
			t.Error(err)
		}
	}
}

// ended wants a process to be gone, or to be waiting for its parent to notice.
func ended(pid int) error {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if _, state, _ := strings.Cut(string(b), ") "); !strings.HasPrefix(state, "Z") {
		return fmt.Errorf("process %d: %s", pid, b)
	}
	return nil
}

func TestUsageOf(t *testing.T) {
	if out, err := exec.Command("sh", "-c", "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var u Usage
	if err := u.add(os.Getpid()); err != nil {
		t.Fatal(err)
	}
	children, err := childrenCPU(os.Getpid())
	if err != nil || children <= 0 || u.CPU <= children {
		t.Errorf("%v of CPU, %v of it by children: %v", u.CPU, children, err)
	}
	if u.Wakeups == 0 {
		t.Error("it has never waited")
	}
}
