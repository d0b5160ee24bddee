package cluster

import (
	"fmt"
	"os/exec"
	"runtime"
)

// Starve keeps every CPU busy with so many loops, which are processes of ordinary
// scheduling, until relieve is called.
func Starve(perCPU int) (relieve func(), err error) {
	var loops []*exec.Cmd
	relieve = func() {
		for _, l := range loops {
			_ = l.Process.Kill()
			_ = l.Wait() // it was killed
		}
	}
	for range perCPU * runtime.NumCPU() {
		l := exec.Command("sh", "-c", "while :; do :; done")
		if err := l.Start(); err != nil {
			relieve()
			return nil, fmt.Errorf("keep the CPUs busy: %w", err)
		}
		loops = append(loops, l)
	}
	return relieve, nil
}
