package main

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// diary is the log of a run: what was done, and what the programs say, each line
// behind the time.
type diary struct {
	mu sync.Mutex
	w  io.Writer
}

func newDiary(w io.Writer) *diary { return &diary{w: w} }

func (d *diary) Write(b []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, err := fmt.Fprintf(d.w, "%s %s", time.Now().Format("15:04:05.000"), b)
	return len(b), err
}

// note writes down what was done.
func (d *diary) note(format string, args ...any) {
	_, _ = fmt.Fprintf(d, "--- "+format+"\n", args...)
}
