package main

import (
	"fmt"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestScanner(t *testing.T) {
	s := newScanner(io.Discard)
	want := []string{
		"node1 vipd: fatal error: all goroutines are asleep",
		"node3 vipd: WARNING: DATA RACE",
		"node2 vipd: panic: runtime error: invalid memory address or nil pointer dereference",
		"node2 vipd: panic: no memory of this",
		"node2 vipd: http: panic serving @: runtime error: index out of range",
	}
	for _, line := range append([]string{
		"node1 vipd: goroutine 1 [select]:",
		"node2 vipd: goroutine 17 gp=0xc000102c40 m=nil [IO wait]:",
		"node1 standin: goroutine 1 [select]:",
		"node1 vipd: fatal error: runtime: cannot allocate memory",
		"node1 vipd: fatal error: out of memory allocating heap arena map",
	}, want...) {
		fmt.Fprintln(s, line)
	}
	if a, b := s.count(), s.count(); a != 2 || b != 0 {
		t.Errorf("%d goroutines, then %d", a, b)
	}
	if diff := cmp.Diff(want, s.complaints()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
