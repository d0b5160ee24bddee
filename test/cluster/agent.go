package cluster

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
)

// Agent is a program that keeps the VIPs of servers, in the place of vipd.
type Agent interface {
	// Prepare writes what the program needs to run on a server, and returns the
	// command that starts it in the foreground.
	Prepare(s *Server) ([]string, error)
}

// vipd is the agent where no other is named.
type vipd struct{}

func (vipd) Prepare(s *Server) ([]string, error) {
	if err := s.writeConfig(s.cluster.opts.Config(s)); err != nil {
		return nil, err
	}
	return s.vipdCommand(), nil
}

func (s *Server) vipdCommand() []string {
	return []string{s.cluster.opts.Binaries.Vipd, "run", "--config", s.ConfigPath(), "--runtime-dir", s.runtimeDir()}
}

// launch starts an agent, and behind whatever the options want to start it.
func (s *Server) launch(command []string) error {
	command = append(append([]string(nil), s.cluster.opts.Launcher...), command...)
	p, err := s.start(command[0], command[1:]...)
	if err != nil {
		return err
	}
	s.agent = p
	return nil
}

// AgentPIDs returns the processes of the agent: the one that was started, and those
// below it that run the same program. Scripts that it runs are none of them.
func (s *Server) AgentPIDs() []int {
	root := s.AgentPID()
	program, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", root))
	if err != nil {
		return []int{root}
	}
	pids := []int{root}
	for _, pid := range descendants(root) {
		if exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)); err == nil && exe == program {
			pids = append(pids, pid)
		}
	}
	return pids
}

// SignalAgents sends a signal to all processes of the agent. The first is halted
// meanwhile, so that it cannot do anything about the others.
func (s *Server) SignalAgents(sig syscall.Signal) error {
	if !s.agent.runs() {
		return errors.New("the agent does not run")
	}
	pids := s.AgentPIDs()
	if len(pids) > 1 {
		if err := syscall.Kill(pids[0], syscall.SIGSTOP); err != nil {
			return fmt.Errorf("%s: halt the agent: %w", s.Name, err)
		}
	}
	for i := len(pids) - 1; i >= 0; i-- {
		if err := syscall.Kill(pids[i], sig); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("%s: send %v to the agent: %w", s.Name, sig, err)
		}
	}
	return nil
}

// killTree ends a process and all below it, of which none hears of the others' end.
func killTree(pid int) {
	_ = syscall.Kill(pid, syscall.SIGSTOP)
	for _, child := range descendants(pid) {
		_ = syscall.Kill(child, syscall.SIGKILL) // it may have ended
	}
	_ = syscall.Kill(pid, syscall.SIGKILL)
}

// descendants returns the processes below one.
func descendants(pid int) []int {
	var all []int
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return nil // it has ended
	}
	for _, task := range tasks {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", pid, task.Name()))
		if err != nil {
			continue
		}
		for _, f := range bytes.Fields(b) {
			if child, err := strconv.Atoi(string(f)); err == nil {
				all = append(append(all, child), descendants(child)...)
			}
		}
	}
	return all
}

// RealTime returns the launcher that schedules a program as vipd.service does, and
// none where the machine refuses that.
func RealTime() []string {
	launcher := []string{"chrt", "--rr", "1"}
	if exec.Command(launcher[0], append(launcher[1:], "true")...).Run() != nil {
		return nil
	}
	return launcher
}
