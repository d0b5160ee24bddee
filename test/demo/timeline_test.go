package main

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTimeline(t *testing.T) {
	tests := []struct {
		name   string
		colour bool
		want   string
	}{
		{name: "plain", want: `
  0.00 s  node1 is gone
  0.66 s    + VIP on node2 after 656 ms
  1.79 s    - VIP off node1 after 1.79 s
 12.00 s    NOT AS EXPECTED: the VIP took a detour
`},
		{name: "in colour", colour: true, want: "\n" +
			"  0.00 s  \x1b[1mnode1 is gone\x1b[0m\n" +
			"  0.66 s    \x1b[32m+ VIP on node2 after 656 ms\x1b[0m\n" +
			"  1.79 s    \x1b[33m- VIP off node1 after 1.79 s\x1b[0m\n" +
			" 12.00 s    \x1b[31mNOT AS EXPECTED: the VIP took a detour\x1b[0m\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var b strings.Builder
				l := newTimeline(&b, tt.colour)
				l.headline("node1 is gone")
				time.Sleep(656 * ms)
				l.saw(sighting{"node2", true, 656 * ms})
				time.Sleep(1134 * ms)
				l.saw(sighting{"node1", false, 1790 * ms})
				time.Sleep(10210 * ms)
				l.wrong("the VIP took a detour")
				if diff := cmp.Diff(tt.want, b.String()); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestBrief(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 ms", 400 * time.Microsecond: "0 ms", 38 * ms: "38 ms", 999 * ms: "999 ms",
		999600 * time.Microsecond: "1.00 s", 1834 * ms: "1.83 s", 61 * time.Second: "61.00 s",
	} {
		if got := brief(d); got != want {
			t.Errorf("brief(%v): got %q, want %q", d, got, want)
		}
	}
}
