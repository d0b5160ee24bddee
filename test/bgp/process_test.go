package bgp

import (
	"os/exec"
	"syscall"
	"testing"

	"github.com/vipd/vipd/test/cluster"
	"github.com/vipd/vipd/test/lab"
)

// process is a program that runs on a node and ends with the test.
type process struct {
	cmd  *exec.Cmd
	done chan struct{}
}

// launch starts a program on a node. What it says goes to the test's log. It is a real-time
// one where that can be had: a router has a machine of its own, and so it is not this one's
// load that is measured.
func launch(t *testing.T, n *lab.Node, cmd *exec.Cmd) *process {
	t.Helper()
	if first := cluster.RealTime(); first != nil {
		env, files := cmd.Env, cmd.ExtraFiles
		cmd = exec.Command(first[0], append(first[1:], cmd.Args...)...)
		cmd.Env, cmd.ExtraFiles = env, files
	}
	p := &process{cmd: cmd, done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = t.Output(), t.Output()
	must(t, n.Start(p.cmd))
	go func() {
		defer close(p.done)
		_ = p.cmd.Wait() // how it ended does not matter: the tests end it
	}()
	t.Cleanup(p.kill)
	return p
}

func (p *process) kill() { p.end(syscall.SIGKILL) }

func (p *process) end(sig syscall.Signal) {
	_ = p.cmd.Process.Signal(sig) // it may have ended
	<-p.done
}
