package interop

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/vipd/vipd/test/lab"
)

// process is a program that runs on a node and ends with the test.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	done chan struct{}
}

// launch starts a program on a node. What it says goes to the test's log.
func launch(t *testing.T, n *lab.Node, path string, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(path, args...), done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = t.Output(), t.Output()
	if err := n.Start(p.cmd); err != nil {
		t.Fatalf("start %s: %v", path, err)
	}
	go func() {
		defer close(p.done)
		_ = p.cmd.Wait() // how it ended does not matter: the tests end it
	}()
	t.Cleanup(p.kill)
	return p
}

// stop asks the program to end and waits until it has.
func (p *process) stop() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Errorf("stop %s: %v", p.cmd.Path, err)
	}
	select {
	case <-p.done:
	case <-time.After(patience):
		p.t.Errorf("%s does not end", p.cmd.Path)
		p.kill()
	}
}

// kill ends the program and its children at once. The parent is halted first,
// so that it cannot do anything about the end of a child.
func (p *process) kill() {
	select {
	case <-p.done:
		return
	default:
	}
	pid := p.cmd.Process.Pid
	_ = syscall.Kill(pid, syscall.SIGSTOP)
	for _, child := range children(pid) {
		_ = syscall.Kill(child, syscall.SIGKILL)
	}
	_ = syscall.Kill(pid, syscall.SIGKILL)
	<-p.done
}

func children(pid int) []int {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return nil
	}
	var pids []int
	for _, f := range bytes.Fields(b) {
		if n, err := strconv.Atoi(string(f)); err == nil {
			pids = append(pids, n)
		}
	}
	return pids
}
