package health

import (
	"testing"
	"time"
)

// BenchmarkJudge is what an answer of a healthy API server is worth.
func BenchmarkJudge(b *testing.B) {
	c := Check{Type: typeK3s, Interval: 500 * time.Millisecond, Timeout: 750 * time.Millisecond, ReadyTimeout: 3 * time.Second, Fall: 3, Rise: 2}
	j, now := NewJudge([]Check{c}), time.Now()
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(c.Interval)
		j.Observe(now, Result{Question: Alive, Began: now, Latency: time.Millisecond})
		j.Observe(now, Result{Question: Ready, Began: now, Latency: time.Millisecond})
	}
}
