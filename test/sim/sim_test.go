package sim

import (
	"flag"
	"io"
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
	hours = flag.Float64("hours", 0, "virtual hours of each seed; 0: some minutes")
)

// TestSeeds runs many random clusters. What fails is replayed by TestSeed.
func TestSeeds(t *testing.T) {
	n := *seeds
	if testing.Short() {
		n /= 10
	}
	p := newProgress(*first, uint64(n))
	var next atomic.Uint64
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for i := next.Add(1) - 1; i < uint64(n); i = next.Add(1) - 1 {
				s := *first + i
				r, err := play(s, nil)
				if err != nil {
					t.Errorf("seed %d: %v\n\tgo test ./test/sim -run 'TestSeed$' -seed=%d -hours=%v -v", s, err, s, *hours)
				}
				if line := p.add(s, r); line != "" {
					t.Log(line)
				}
			}
		})
	}
	workers.Wait()
	t.Log(p)
}

// play runs a seed in the way that the flags ask for.
func play(seed uint64, trace io.Writer) (Result, error) {
	if *hours > 0 {
		return Soak(seed, time.Duration(*hours*float64(time.Hour)), trace)
	}
	return Simulate(seed, trace)
}

// TestSeed replays one seed and shows its trace.
func TestSeed(t *testing.T) {
	if *seed == 0 {
		t.Skip("no -seed")
	}
	var trace strings.Builder
	_, err := play(*seed, &trace)
	t.Log("\n" + trace.String())
	if err != nil {
		t.Fatal(err)
	}
}
