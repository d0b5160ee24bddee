package metrics

import (
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestHistogram(t *testing.T) {
	h := NewHistogram(0, time.Second, 2*time.Second)
	for _, d := range []time.Duration{-time.Second, 0, time.Second, time.Second + 1, time.Hour} {
		h.Observe(d)
	}
	want := Reading{Count: 5, Sum: time.Hour + time.Second + 1, Buckets: map[float64]uint64{0: 2, 1: 3, 2: 4}}
	if diff := cmp.Diff(want, h.Read()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Who reads while others write sees each bucket hold what the smaller ones do.
func TestHistogramConcurrently(t *testing.T) {
	h := NewHistogram(1, 2, 3)
	var writers sync.WaitGroup
	for range 4 {
		writers.Go(func() {
			for i := range 1000 {
				h.Observe(time.Duration(i % 5))
			}
		})
	}
	for range 100 {
		r := h.Read()
		one, two := r.Buckets[time.Duration(1).Seconds()], r.Buckets[time.Duration(2).Seconds()]
		if one > two || two > r.Count {
			t.Fatalf("%+v", r)
		}
	}
	writers.Wait()
	if n := h.Read().Count; n != 4000 {
		t.Errorf("%d", n)
	}
}

func TestHistogramAllocates(t *testing.T) {
	h := NewHistogram(time.Second)
	if n := testing.AllocsPerRun(100, func() { h.Observe(time.Millisecond) }); n != 0 {
		t.Errorf("%v allocations for each", n)
	}
}
