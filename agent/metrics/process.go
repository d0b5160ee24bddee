package metrics

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// process is what the agent costs.
type process struct {
	cpu      float64 // seconds
	resident float64 // bytes
	files    float64
}

func readProcess() (process, error) {
	var use unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &use); err != nil {
		return process{}, os.NewSyscallError("getrusage", err)
	}
	p := process{cpu: float64(use.Utime.Nano()+use.Stime.Nano()) / 1e9}
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return p, err
	}
	fields := strings.Fields(string(statm)) // proc(5): size, resident, ..., in pages
	if len(fields) < 2 {
		return p, fmt.Errorf("/proc/self/statm is %q", statm)
	}
	pages, err := strconv.ParseFloat(fields[1], 64)
	if err != nil {
		return p, fmt.Errorf("read /proc/self/statm: %w", err)
	}
	p.resident = pages * float64(os.Getpagesize())
	files, err := os.ReadDir("/proc/self/fd")
	p.files = float64(len(files))
	return p, err
}

// processFamilies tell of leaks and starvation, under the names that all programs use.
func processFamilies(p process) []family {
	of := func(name, help string, k kind, v float64) family {
		return family{name: name, help: help, kind: k, values: func(_ Snapshot, put func(float64, ...string)) { put(v) }}
	}
	return []family{
		of("process_cpu_seconds_total", "Total user and system CPU time spent in seconds.", counter, p.cpu),
		of("process_resident_memory_bytes", "Resident memory size in bytes.", gauge, p.resident),
		of("process_open_fds", "Number of open file descriptors.", gauge, p.files),
		of("go_goroutines", "Number of goroutines that currently exist.", gauge, float64(runtime.NumGoroutine())),
	}
}
