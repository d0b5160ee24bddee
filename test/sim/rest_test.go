package sim

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// What jumps over the repetitions in a rest is what goes through them: afterwards the same
// things happen, and each event is at the same nanosecond.
func TestRestRepeatsItself(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			want, got := newDay(t, seed, calm), newDay(t, seed, jump)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-all of it, +jumped):\n%.2000s", diff)
			}
		})
	}
}

// day is what happened in a part of one.
type day struct {
	Result Result
	Trace  []string
	Events int
	Times  uint64 // hash of when the events were that are not in a rest
}

func newDay(t *testing.T, seed uint64, how rests) day {
	var d day
	var trace strings.Builder
	c := randomCluster(seed, sabotage{}, &trace)
	c.rests = how
	c.observe = func() {
		if !c.calm {
			d.Events++
			d.Times = (d.Times ^ uint64(c.since(c.begin))) * 1099511628211
		}
	}
	if err := c.soak(4 * time.Hour); err != nil {
		t.Error(err)
	}
	d.Result, d.Trace = c.result(), strings.Split(trace.String(), "\n")
	return d
}
