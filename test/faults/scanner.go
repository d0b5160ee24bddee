package main

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"sync"
)

// scanner reads what programs say on its way to the log.
type scanner struct {
	w io.Writer

	mu         sync.Mutex
	goroutines int
	said       []string
}

func newScanner(w io.Writer) *scanner { return &scanner{w: w} }

// alarming reports whether a line is one that no program should ever say. To be out of
// memory is a fault that is played.
func alarming(line []byte) bool {
	if bytes.Contains(line, []byte("fatal error:")) {
		return !says(line, "out of memory", "cannot allocate memory")
	}
	return says(line, "panic:", "panic serving", "WARNING: DATA RACE")
}

func says(line []byte, one ...string) bool {
	return slices.ContainsFunc(one, func(words string) bool { return bytes.Contains(line, []byte(words)) })
}

// Write takes in a line.
func (s *scanner) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if bytes.Contains(b, []byte(" vipd: goroutine ")) {
		s.goroutines++
	}
	if alarming(b) {
		s.said = append(s.said, string(bytes.TrimSpace(b)))
	}
	return s.w.Write(b)
}

// count returns how many goroutines were traced since the last time.
func (s *scanner) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.goroutines
	s.goroutines = 0
	return n
}

func (s *scanner) complaints() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.said); n > 5 {
		return append(slices.Clone(s.said[:5]), fmt.Sprintf("and %d more like these", n-5))
	}
	return slices.Clone(s.said)
}
