package lab

import (
	"bytes"
	"fmt"
	"os/exec"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// Hold keeps a process from ending before release, or the end of the test, as a disk does
// that hangs. It is traced by another that stands still: the kernel lets nobody see the end
// of it then.
func Hold(t *testing.T, pid int) (release func()) {
	t.Helper()
	Require(t, "perl")
	tracer := exec.Command("perl", "-e", `my ($call, @args) = map { $_ + 0 } @ARGV; $| = 1; print syscall($call, @args); <STDIN>`,
		strconv.Itoa(unix.SYS_PTRACE), strconv.Itoa(unix.PTRACE_SEIZE), strconv.Itoa(pid), "0", "0")
	release, answer, err := start(tracer)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { release(); _ = tracer.Wait() })
	if !bytes.HasPrefix(answer, []byte("0")) {
		t.Fatalf("ptrace: %q, want 0", answer)
	}
	return release
}

// start starts a tracer and returns what ends it, and its first words.
func start(tracer *exec.Cmd) (end func(), answer []byte, err error) {
	in, err := tracer.StdinPipe()
	if err != nil {
		return nil, nil, fmt.Errorf("start a tracer: %w", err)
	}
	out, err := tracer.StdoutPipe()
	if err != nil {
		return nil, nil, fmt.Errorf("start a tracer: %w", err)
	}
	if err := tracer.Start(); err != nil {
		return nil, nil, fmt.Errorf("start a tracer: %w", err)
	}
	answer = make([]byte, 10)
	n, _ := out.Read(answer) // none is no success either
	return func() { in.Close() }, answer[:n], nil
}
