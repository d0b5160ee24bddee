package sim

import (
	"fmt"
	"sync"
	"time"
)

const sayEach = 30 * time.Second

// progress is how far TestSeeds is, so that a long run is seen to go on, and can be cut and
// continued. Several workers use it.
type progress struct {
	first, seeds uint64

	mu     sync.Mutex
	ahead  map[uint64]bool // done, although one before it is not
	upTo   uint64          // the first that is not done
	done   uint64
	result Result // of all
	began  time.Time
	saidAt time.Time
}

func newProgress(first, seeds uint64) *progress {
	now := time.Now()
	return &progress{first: first, seeds: seeds, upTo: first, ahead: map[uint64]bool{}, began: now, saidAt: now}
}

// add adds what a seed did, and returns a line now and then.
func (p *progress) add(seed uint64, r Result) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done++
	p.result.Virtual += r.Virtual
	p.result.Takeovers += r.Takeovers
	p.result.Disturbance += r.Disturbance
	p.ahead[seed] = true
	for p.ahead[p.upTo] {
		delete(p.ahead, p.upTo)
		p.upTo++
	}
	if time.Since(p.saidAt) < sayEach {
		return ""
	}
	p.saidAt = time.Now()
	return fmt.Sprintf("%v; to go on from here: FIRST=%d SEEDS=%d", p, p.upTo, p.first+p.seeds-p.upTo)
}

func (p *progress) String() string {
	return fmt.Sprintf("%d of %d clusters, %.0f hours, %d disturbances, %d takeovers, in %v", p.done, p.seeds,
		p.result.Virtual.Hours(), p.result.Disturbance, p.result.Takeovers, time.Since(p.began).Round(time.Second))
}
