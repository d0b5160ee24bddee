package cluster

import (
	"fmt"
	"os"
	"time"
)

// AgentCPU returns the CPU time that the agent's threads have used.
func (s *Server) AgentCPU() (time.Duration, error) {
	dir := fmt.Sprintf("/proc/%d/task", s.AgentPID())
	tasks, err := os.ReadDir(dir)
	if err != nil {
		return 0, fmt.Errorf("%s: list the agent's threads: %w", s.Name, err)
	}
	var sum time.Duration
	for _, t := range tasks {
		b, err := os.ReadFile(dir + "/" + t.Name() + "/schedstat")
		if err != nil {
			continue // it has ended
		}
		var ns int64
		if _, err := fmt.Sscan(string(b), &ns); err != nil {
			return 0, fmt.Errorf("%s: read schedstat: %w", s.Name, err)
		}
		sum += time.Duration(ns)
	}
	return sum, nil
}

// AgentMemory returns a line of the agent's /proc/PID/status in KiB, such as VmRSS.
func (s *Server) AgentMemory(line string) (int, error) {
	kib, err := field(fmt.Sprintf("/proc/%d/status", s.AgentPID()), line)
	if err != nil {
		return 0, fmt.Errorf("%s: read the agent's memory: %w", s.Name, err)
	}
	return kib, nil
}
