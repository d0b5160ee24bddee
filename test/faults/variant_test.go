package main

import (
	"testing"
)

// Each fault is played, by default, with and without each of the four.
func TestCoverDiffersInEverything(t *testing.T) {
	for i := range faults(options{}) {
		vs := choose("cover", i, nil)
		if len(vs) != 2 {
			t.Fatalf("fault %d: %v", i, vs)
		}
		a, b := vs[0], vs[1]
		if a.many == b.many || a.ipv6 == b.ipv6 || a.unicast == b.unicast || a.auth == b.auth {
			t.Errorf("fault %d: %v and %v have something in common", i, a, b)
		}
	}
}

func TestChoose(t *testing.T) {
	multicast4 := func(v variant) bool { return !v.ipv6 && !v.unicast }
	for _, c := range []struct {
		how      string
		possible func(variant) bool
		want     int
	}{
		{"all", nil, 16},
		{"ipv6-unicast", nil, 4},
		{"ipv6-unicast-auth-32", nil, 1},
		{"all", multicast4, 4},
		{"ipv6", multicast4, 0},
	} {
		if got := choose(c.how, 3, c.possible); len(got) != c.want {
			t.Errorf("%s: %v", c.how, got)
		}
	}
	for i := range 8 {
		if got := choose("cover", i, multicast4); len(got) == 0 {
			t.Errorf("fault %d is never played", i)
		}
	}
}

// What is recorded is found again by the name of the fault.
func TestNamesAreUnique(t *testing.T) {
	seen := make(map[string]bool)
	for _, f := range faults(options{}) {
		if seen[f.name] {
			t.Errorf("two faults are called %q", f.name)
		}
		seen[f.name] = true
	}
}
