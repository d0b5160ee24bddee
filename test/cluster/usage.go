package cluster

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/vipd/vipd/test/lab"
)

// Usage is what an agent has used since it started, all its processes together.
type Usage struct {
	At      time.Time
	CPU     time.Duration // with that of the scripts that have ended
	Wakeups int           // waits that have ended; those of scripts are not known
	Packets int           // that the node has sent and received
}

// Memory is what an agent has in memory, in KiB.
type Memory struct {
	RSS int `json:"rss"` // the processes' own and shared, added up
	PSS int `json:"pss"` // what is shared, divided among those that share it
}

// clockTick is the unit of times in /proc/PID/stat.
const clockTick = time.Second / 100

// Usage reads what the server's agent has used.
func (s *Server) Usage() (Usage, error) {
	u := Usage{At: time.Now()}
	for _, pid := range s.AgentPIDs() {
		if err := u.add(pid); err != nil {
			return u, fmt.Errorf("%s: %w", s.Name, err)
		}
	}
	link, err := s.Node.Netlink().LinkByName(lab.Interface)
	if err != nil {
		return u, fmt.Errorf("%s: read the counters of %s: %w", s.Name, lab.Interface, err)
	}
	if stats := link.Attrs().Statistics; stats != nil {
		u.Packets = int(stats.RxPackets + stats.TxPackets)
	}
	return u, nil
}

// Since returns what was used since an earlier reading.
func (u Usage) Since(before Usage) Usage {
	return Usage{At: u.At, CPU: u.CPU - before.CPU, Wakeups: u.Wakeups - before.Wakeups, Packets: u.Packets - before.Packets}
}

func (u *Usage) add(pid int) error {
	dir := fmt.Sprintf("/proc/%d/task", pid)
	tasks, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("list the threads of %d: %w", pid, err)
	}
	for _, t := range tasks {
		var ns int64
		b, err := os.ReadFile(dir + "/" + t.Name() + "/schedstat")
		if err != nil {
			continue // it has ended
		}
		if _, err := fmt.Sscan(string(b), &ns); err != nil {
			return fmt.Errorf("read schedstat: %w", err)
		}
		u.CPU += time.Duration(ns)
		n, err := field(dir+"/"+t.Name()+"/status", "voluntary_ctxt_switches")
		if err != nil {
			continue
		}
		u.Wakeups += n
	}
	children, err := childrenCPU(pid)
	u.CPU += children
	return err
}

// childrenCPU returns the CPU time of the children that a process has waited for.
func childrenCPU(pid int) (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("read the times of %d: %w", pid, err)
	}
	// The name, in parentheses, may have anything in it.
	_, rest, _ := strings.Cut(string(b), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 15 {
		return 0, fmt.Errorf("read the times of %d: %q", pid, b)
	}
	var user, system int64
	if _, err := fmt.Sscan(fields[13]+" "+fields[14], &user, &system); err != nil {
		return 0, fmt.Errorf("read the times of %d: %w", pid, err)
	}
	return time.Duration(user+system) * clockTick, nil
}

// Memory returns what the server's agent has in memory: the median of some readings,
// for a process that is about to run a script counts as another agent.
func (s *Server) Memory() (Memory, error) {
	var rss, pss []int
	for range 5 {
		var m Memory
		for _, pid := range s.AgentPIDs() {
			path := fmt.Sprintf("/proc/%d/smaps_rollup", pid)
			r, err := field(path, "Rss")
			if err != nil {
				continue // it has ended
			}
			p, err := field(path, "Pss")
			if err != nil {
				continue
			}
			m.RSS, m.PSS = m.RSS+r, m.PSS+p
		}
		rss, pss = append(rss, m.RSS), append(pss, m.PSS)
	}
	slices.Sort(rss)
	slices.Sort(pss)
	if rss[2] == 0 {
		return Memory{}, fmt.Errorf("%s: the agent has no memory", s.Name)
	}
	return Memory{rss[2], pss[2]}, nil
}

// field reads a number from a file of lines such as "VmRSS:  12 kB".
func field(path, name string) (int, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			var n int
			_, err := fmt.Sscan(value, &n)
			return n, err
		}
	}
	return 0, fmt.Errorf("%s has no %s", path, name)
}
