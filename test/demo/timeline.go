package main

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// timeline prints what happens as it happens, each line behind the time since
// the start. Its methods may be called by several goroutines.
type timeline struct {
	began time.Time
	paint paint

	mu sync.Mutex
	w  io.Writer
}

func newTimeline(w io.Writer, colour bool) *timeline {
	return &timeline{began: time.Now(), paint: paint(colour), w: w}
}

// text prints lines that belong to no time.
func (t *timeline) text(s string) { t.print(s) }

// headline prints what is being done.
func (t *timeline) headline(s string) {
	t.print("\n" + stamp(time.Since(t.began)) + "  " + t.paint.bold(s))
}

// saw prints what a node's kernel told.
func (t *timeline) saw(s sighting) {
	line := s.String()
	if s.there {
		line = t.paint.green(line)
	} else {
		line = t.paint.yellow(line)
	}
	t.fact(line)
}

// fact prints what was found.
func (t *timeline) fact(s string) { t.print(stamp(time.Since(t.began)) + "    " + s) }

// wrong prints what should not be.
func (t *timeline) wrong(s string) { t.fact(t.paint.red("NOT AS EXPECTED: " + s)) }

func (t *timeline) print(s string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	// Without anybody to read, the exit status still counts.
	_, _ = fmt.Fprintln(t.w, s)
}

// stamp is the time since the start, right-aligned in seconds.
func stamp(d time.Duration) string { return fmt.Sprintf("%6.2f s", d.Seconds()) }

// brief is a duration as one says it: "38 ms", "1.83 s".
func brief(d time.Duration) string {
	if ms := d.Round(time.Millisecond).Milliseconds(); ms < 1000 {
		return fmt.Sprintf("%d ms", ms)
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}

// paint colours text, or leaves it as it is.
type paint bool

func (p paint) bold(s string) string   { return p.with("1", s) }
func (p paint) red(s string) string    { return p.with("31", s) }
func (p paint) green(s string) string  { return p.with("32", s) }
func (p paint) yellow(s string) string { return p.with("33", s) }
func (p paint) faint(s string) string  { return p.with("2", s) }

func (p paint) with(code, s string) string {
	if !p {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}
