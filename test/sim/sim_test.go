package sim

import (
	"flag"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var (
	seeds = flag.Int("seeds", 3000, "how many seeds TestSeeds runs; a tenth of them with -short")
	first = flag.Uint64("first", 1, "the first of them")
	seed  = flag.Uint64("seed", 0, "the seed that TestSeed replays")
)

// TestSeeds runs many random clusters. What fails is replayed by TestSeed.
func TestSeeds(t *testing.T) {
	n := *seeds
	if testing.Short() {
		n /= 10
	}
	var next, virtual, takeovers atomic.Int64
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				s := *first + uint64(i)
				r, err := Simulate(s, nil)
				virtual.Add(int64(r.Virtual))
				takeovers.Add(int64(r.Takeovers))
				if err != nil {
					t.Errorf("seed %d: %v\n\tgo test ./test/sim -run 'TestSeed$' -seed=%d -v", s, err, s)
				}
			}
		})
	}
	workers.Wait()
	t.Logf("%d clusters, %.0f hours, %d takeovers", n, time.Duration(virtual.Load()).Hours(), takeovers.Load())
}

// TestSeed replays one seed and shows its trace.
func TestSeed(t *testing.T) {
	if *seed == 0 {
		t.Skip("no -seed")
	}
	var trace strings.Builder
	_, err := Simulate(*seed, &trace)
	t.Log("\n" + trace.String())
	if err != nil {
		t.Fatal(err)
	}
}
