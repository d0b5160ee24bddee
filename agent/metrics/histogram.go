package metrics

import (
	"sync/atomic"
	"time"
)

// Histogram counts durations. It may be read while it is written, and what is counted
// costs no allocation: the election loops do.
type Histogram struct {
	bounds []time.Duration
	counts []atomic.Uint64 // one more than bounds: what is longer than all of them
	sum    atomic.Int64
}

// NewHistogram returns a Histogram with the upper bounds of its buckets, in order.
func NewHistogram(bounds ...time.Duration) *Histogram {
	return &Histogram{bounds: bounds, counts: make([]atomic.Uint64, len(bounds)+1)}
}

// Observe counts one duration.
func (h *Histogram) Observe(d time.Duration) {
	i := 0
	for i < len(h.bounds) && d > h.bounds[i] {
		i++
	}
	h.counts[i].Add(1)
	h.sum.Add(int64(d))
}

// Read returns what was counted.
func (h *Histogram) Read() Reading {
	r := Reading{Sum: time.Duration(h.sum.Load()), Buckets: make(map[float64]uint64, len(h.bounds))}
	for i := range h.counts {
		r.Count += h.counts[i].Load()
		if i < len(h.bounds) {
			r.Buckets[h.bounds[i].Seconds()] = r.Count
		}
	}
	return r
}

// Reading is what a Histogram had counted at one time.
type Reading struct {
	Count   uint64
	Sum     time.Duration
	Buckets map[float64]uint64 // how many took at most so many seconds
}
