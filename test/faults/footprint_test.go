package main

import "testing"

func TestGrown(t *testing.T) {
	// The descriptors waver by one.
	series := func(per, kib int) []sighting {
		var all []sighting
		for i := range 40 {
			all = append(all, sighting{{node: "node1", descriptors: 20 + i%2 + i*per/10, rss: 10_000 + i*kib, anon: 5000}})
		}
		return all
	}
	for _, c := range []struct {
		name string
		all  []sighting
		race bool
		want int
	}{
		{"flat", series(0, 0), false, 0},
		{"a descriptor for each ten faults", series(1, 0), false, 1},
		{"80 KiB for each fault", series(0, 80), false, 1},
		{"80 KiB for each fault, of the race detector", series(0, 80), true, 0},
		{"too few", series(0, 0)[:7], false, 1},
	} {
		if got := grown(c.all, 50, c.race); len(got) != c.want {
			t.Errorf("%s: %q", c.name, got)
		}
	}
}
