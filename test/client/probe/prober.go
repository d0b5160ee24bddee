package probe

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Prober opens connections to one address.
type Prober struct {
	cfg    Config
	target *target
	began  time.Time
}

// New returns a prober. It fails if the address or the CA file is no good, or if
// a time is not positive.
func New(cfg Config) (*Prober, error) {
	if min(cfg.Interval, cfg.DialTimeout, cfg.Timeout) <= 0 {
		return nil, errors.New("interval and timeouts must be positive")
	}
	t, err := newTarget(cfg)
	if err != nil {
		return nil, err
	}
	return &Prober{cfg: cfg, target: t}, nil
}

// Run probes until ctx ends and returns what it saw. It calls change whenever
// another node begins to answer.
func (p *Prober) Run(ctx context.Context, change func(Change)) Report {
	p.began = time.Now()
	t := newTally(p.began)
	// Attempts must not know a deadline of ctx: one that ran into it would look like
	// a timeout of the server's.
	attempts, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	// The tally belongs to this goroutine; the others hand in what is to be done with it.
	results := make(chan func(), 64)
	var running sync.WaitGroup
	if p.cfg.Idle {
		running.Go(func() {
			p.idle(attempts, func(d Drop) { results <- func() { t.dropped(d) } })
		})
	}
	launch := func() {
		start := p.now()
		t.started(start)
		running.Go(func() {
			a := p.attempt(attempts, start)
			results <- func() {
				if ch, changed := t.ended(a); changed {
					change(ch)
				}
			}
		})
	}

	ticker := time.NewTicker(p.cfg.Interval)
	defer ticker.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-ticker.C:
			launch()
		case result := <-results:
			result()
		}
	}
	end := p.now()
	cancel()
	go func() { running.Wait(); close(results) }()
	for result := range results {
		result()
	}
	return t.finish(end)
}

// now returns the time since the beginning.
func (p *Prober) now() time.Duration { return time.Since(p.began) }

func (p *Prober) attempt(ctx context.Context, start time.Duration) Attempt {
	node, err := p.target.ask(ctx)
	a := Attempt{Start: start, End: p.now(), Outcome: OK, Node: node}
	if err == nil {
		return a
	}
	if ctx.Err() != nil {
		return Attempt{Start: start, End: a.End, Outcome: unfinished}
	}
	a.Outcome, a.Error = Other, err.Error()
	var f *failure
	if errors.As(err, &f) {
		a.Outcome = f.outcome
	}
	return a
}
