package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// facts are what a measurement depends on.
type facts struct {
	When       string `json:"when"`
	Command    string `json:"command"`
	CPUs       int    `json:"cpus"`
	Model      string `json:"model"`
	Memory     string `json:"memory"`
	Kernel     string `json:"kernel"`
	Vipd       string `json:"vipd"`
	Keepalived string `json:"keepalived"`
	RealTime   bool   `json:"real_time"` // whether the machine lets vipd have the scheduling of its unit
	Load       string `json:"load"`      // average of the last minute, at the end
}

func factsNow(vipd, command string) facts {
	f := facts{When: time.Now().UTC().Format("2006-01-02"), Command: command, CPUs: runtime.NumCPU(), Kernel: kernel()}
	f.Model = after("/proc/cpuinfo", "model name")
	f.Memory = memory()
	f.Vipd = firstLine(vipd, "version")
	f.Keepalived = firstLine("keepalived", "--version")
	f.RealTime = exec.Command("chrt", "--rr", "1", "true").Run() == nil
	if b, err := os.ReadFile("/proc/loadavg"); err == nil {
		f.Load, _, _ = strings.Cut(string(b), " ")
	}
	return f
}

// machine is what it was measured on.
func (f facts) machine() string {
	scheduling := "real-time scheduling is allowed"
	if !f.RealTime {
		scheduling = "real-time scheduling is refused"
	}
	return fmt.Sprintf("%d CPUs (%s), %s, Linux %s, %s; %s; %s", f.CPUs, f.Model, f.Memory, f.Kernel, scheduling, f.Vipd, f.Keepalived)
}

// run is how it was measured, and when.
func (f facts) run() string { return fmt.Sprintf("`%s`, %s", f.Command, f.When) }

// commandLine is what was asked for, without the places of files.
func commandLine(fs *flag.FlagSet) string {
	var words []string
	fs.Visit(func(f *flag.Flag) {
		switch f.Name {
		case "log", "data", "docs":
		case "only", "agents":
			words = append(words, fmt.Sprintf("-%s %q", f.Name, f.Value))
		case "record", "quick":
			words = append(words, "-"+f.Name)
		default:
			words = append(words, fmt.Sprintf("-%s %s", f.Name, f.Value))
		}
	})
	if len(words) == 0 {
		return "make bench"
	}
	return fmt.Sprintf("make bench BENCHFLAGS='%s'", strings.Join(words, " "))
}

// kernel is the release of the kernel, without what its builder adds.
func kernel() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "?"
	}
	release, _, _ := strings.Cut(unix.ByteSliceToString(u.Release[:]), "-")
	return release
}

// memory is how much there is.
func memory() string {
	var kib int
	if _, err := fmt.Sscan(after("/proc/meminfo", "MemTotal"), &kib); err != nil {
		return "?"
	}
	return fmt.Sprintf("%.0f GiB", float64(kib)/(1<<20))
}

// after returns what stands behind a name in a file of "name: value".
func after(path, name string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return "?"
	}
	for line := range strings.Lines(string(b)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.Join(strings.Fields(value), " ")
		}
	}
	return "?"
}

// firstLine returns the first line that a command says.
func firstLine(name string, args ...string) string {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return "?"
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return strings.TrimSpace(line)
}
