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

	"github.com/vipd/vipd/test/cluster"
	"github.com/vipd/vipd/test/lab"
)

// process is a program that runs on a node and ends with the test.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	done chan struct{}
}

// launch starts a program on a node. What it says goes to the test's log. It is scheduled
// as the agents are: its timers are looked at as well, and not how busy this machine is.
func launch(t *testing.T, n *lab.Node, path string, args ...string) *process {
	t.Helper()
	command := append(append(cluster.RealTime(), path), args...)
	p := &process{t: t, cmd: exec.Command(command[0], command[1:]...), done: make(chan struct{})}
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
		p.t.Errorf("stop %v: %v", p.cmd.Args, err)
	}
	select {
	case <-p.done:
	case <-time.After(patience):
		p.t.Errorf("%v does not end", p.cmd.Args)
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
