package main

import (
	"bytes"
	"errors"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/vipd/vipd/agent/control"
)

// Who interrupts the wait is told that the drain goes on.
func TestDrainInterrupted(t *testing.T) {
	dir := t.TempDir()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: control.Socket(dir), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cmd := vipdCommand(t, dir, "drain", "--wait", "--runtime-dir", dir)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := l.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	conn, err := l.Accept() // it waits from now on
	if err != nil {
		t.Fatal(errors.Join(err, cmd.Process.Kill()))
	}
	defer conn.Close()
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	const want = "vipd: interrupted before the agent had answered: the drain may be in force; end it with: vipd resume\n"
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 1 || stderr.String() != want {
		t.Errorf("%v, %q, want %q", err, stderr.String(), want)
	}
}
