package health

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/vipd/vipd/test/lab"
)

func shell(script string) Check {
	return Check{Type: typeExec, Command: []string{"/bin/sh", "-c", script}, Interval: time.Second, Timeout: patience, Fall: 1, Rise: 1}
}

func TestExec(t *testing.T) {
	tests := []struct {
		name  string
		check Check
		want  string
	}{
		{"ready", shell("exit 0"), ""},
		{"says why not", shell("echo; echo no quorum >&2; echo more; exit 3"), "exit status 3: no quorum"},
		{"says nothing", shell("exit 1"), "exit status 1"},
		{"killed", shell("kill -9 $$"), "signal: killed"},
		{"says too much", shell("head -c 100000 /dev/zero | tr '\\0' x; exit 1"), "exit status 1: " + strings.Repeat("x", maxName) + "…"},
		{"leaves a child with its output", shell("sleep 1 & exit 0"), ""},
		{"no such program", Check{Type: typeExec, Command: []string{"/nonexistent"}},
			"cannot run /nonexistent: fork/exec /nonexistent: no such file or directory"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff([]string{tt.want}, ask(t, tt.check)); diff != "" {
				t.Errorf("failure (-want +got):\n%s", diff)
			}
		})
	}
}

func TestExecTimeoutKillsChildren(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pid")
	check := shell("sleep 60 & echo $! >" + file + ".new && mv " + file + ".new " + file + "; wait")
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	go func() { failed <- (&execProbe{check: check}).ask(ctx) }()
	pid := await(t, "the child's pid", func() (int, bool) {
		text, err := os.ReadFile(file)
		pid, bad := strconv.Atoi(strings.TrimSpace(string(text)))
		return pid, err == nil && bad == nil
	})
	cancel()
	if err := <-failed; err == nil || err.Error() != "no end of it within 10s" {
		t.Errorf("failure %v", err)
	}
	await(t, "the child's end", func() (int, bool) { return 0, ended(pid) })
}

// ended reports whether the process is gone, or waits for a parent to see its end.
func ended(pid int) bool {
	fields := stat(fmt.Sprintf("/proc/%d/stat", pid))
	return fields == nil || fields[0] == "Z"
}

// stat returns the fields of /proc/pid/stat from the third on (proc_pid_stat(5)).
func stat(path string) []string {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	return strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
}

func await[T any](t *testing.T, what string, have func() (T, bool)) T {
	t.Helper()
	deadline := time.Now().Add(patience)
	for time.Now().Before(deadline) {
		if v, ok := have(); ok {
			return v
		}
		runtime.Gosched()
	}
	t.Fatalf("waited in vain for %s", what)
	panic("unreachable")
}

// The agent runs in real time; what it starts does not.
func TestExecRunsAtNormalPriority(t *testing.T) {
	lab.Require(t, "chrt")
	const policy = "set -- $(sed 's/.*) //' /proc/$$/stat); shift 38; echo $1; exit 1"
	if os.Getenv("VIPD_TEST_REAL_TIME") == "" {
		if out, err := exec.Command("chrt", "--rr", "10", "true").CombinedOutput(); err != nil {
			lab.Miss(t, fmt.Sprintf("real-time scheduling, which is refused here: %s", bytes.TrimSpace(out)))
		}
		again := exec.Command("chrt", "--rr", "10", os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
		again.Env = append(os.Environ(), "VIPD_TEST_REAL_TIME=1")
		if out, err := again.CombinedOutput(); err != nil {
			t.Errorf("in real time: %v\n%s", err, out)
		}
		return
	}
	inherited, _ := exec.Command("/bin/sh", "-c", policy).Output()
	if string(inherited) != "2\n" {
		t.Fatalf("policy of a child as it comes: %q, want 2 (SCHED_RR)", inherited)
	}
	err := (&execProbe{check: shell(policy)}).ask(t.Context())
	if err == nil || err.Error() != "exit status 1: 0" {
		t.Errorf("policy of a child: %v, want 0 (SCHED_OTHER)", err)
	}
}

// The unit gives the agent ambient capabilities; what it starts has none.
func TestExecRunsWithoutCapabilities(t *testing.T) {
	lab.Require(t)
	const effective = "grep CapEff: /proc/self/status; exit 1"
	if os.Getenv("VIPD_TEST_AMBIENT") == "" {
		self, err := os.Open("/proc/self/exe") // nobody may not go where it is
		if err != nil {
			t.Fatal(err)
		}
		defer self.Close()
		again := exec.Command("/proc/self/fd/3", "-test.run=^"+t.Name()+"$", "-test.v")
		again.ExtraFiles = []*os.File{self}
		again.Env = append(os.Environ(), "VIPD_TEST_AMBIENT=1")
		again.Dir = "/"
		again.SysProcAttr = &syscall.SysProcAttr{
			Credential:  &syscall.Credential{Uid: 65534, Gid: 65534},
			AmbientCaps: []uintptr{unix.CAP_NET_RAW, unix.CAP_DAC_READ_SEARCH},
		}
		if out, err := again.CombinedOutput(); err != nil {
			t.Errorf("with ambient capabilities: %v\n%s", err, out)
		}
		return
	}
	inherited, _ := exec.Command("/bin/sh", "-c", effective).Output()
	if want := "CapEff:\t0000000000002004\n"; string(inherited) != want {
		t.Fatalf("capabilities of a child as they come: %q, want %q", inherited, want)
	}
	err := (&execProbe{check: shell(effective)}).ask(t.Context())
	if want := "exit status 1: CapEff:0000000000000000"; err == nil || err.Error() != want {
		t.Errorf("capabilities of a child: %q, want %q", err, want)
	}
}
