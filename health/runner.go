package health

import (
	"context"
	"sync"
	"time"
)

// runner starts the probes of one check: a round of all its questions at each
// interval, whether or not earlier ones have been answered.
type runner struct {
	check Check
	name  string
	index int
	unit  *unitProbe // of a systemd check

	now   chan struct{} // a probe is wanted at once
	asked chan struct{} // a fresh probe is wanted, perhaps by several
	lost  chan struct{} // the server closed a connection
}

// headStart is how long an answer to the first question is waited for before the
// second is asked. A server that is ready has answered by then.
const headStart = 50 * time.Millisecond

// gathering is how long a round that is asked for waits for others to ask too: the
// routers of a node do so within a moment, and share the answer.
const gathering = 2 * time.Millisecond

// rushes is how many probes within one interval a closed connection may cause:
// enough to tell a dying server from one that closes its connections all the time.
const rushes = 2

// probe asks one question.
type probe struct {
	question Question
	timeout  time.Duration
	slots    chan struct{} // bounds how many wait for an answer at a time
	ask      func(context.Context) error
	second   *probe // begun too, unless this one succeeds soon
}

func newProbe(q Question, timeout time.Duration, inFlight int, ask func(context.Context) error) probe {
	return probe{question: q, timeout: timeout, slots: make(chan struct{}, inFlight), ask: ask}
}

func newRunner(i int, c Check) *runner {
	r := &runner{check: c, name: c.String(), index: i, now: make(chan struct{}, 1), asked: make(chan struct{}, 1), lost: make(chan struct{}, 1)}
	if c.Type == typeSystemd {
		r.unit = newUnitProbe(c.Unit)
	}
	return r
}

// wake asks for a round at once.
func (r *runner) wake() { signal(r.now) }

// refresh asks for a round soon.
func (r *runner) refresh() { signal(r.asked) }

// hangup tells that the server closed a connection: it may have died.
func (r *runner) hangup() { signal(r.lost) }

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // one is on its way already
	}
}

// run probes until ctx ends, and returns when no probe is under way any more.
func (r *runner) run(ctx context.Context, results chan<- Result) {
	probes, closeAll := r.probes(ctx)
	defer closeAll()
	r.loop(ctx, probes, results)
}

func (r *runner) loop(ctx context.Context, probes []probe, results chan<- Result) {
	var wg sync.WaitGroup
	defer wg.Wait()
	var tick <-chan time.Time
	if r.check.Type != typeNone {
		ticker := time.NewTicker(r.check.Interval)
		defer ticker.Stop()
		tick = ticker.C
	}
	for rushed := 0; ctx.Err() == nil; rushed = r.next(ctx, tick, rushed) {
		began := time.Now()
		for _, p := range probes {
			r.start(ctx, &wg, p, began, results)
		}
	}
}

// next waits for the next round's turn. It takes and returns how many rounds
// were begun for a closed connection since the last tick.
func (r *runner) next(ctx context.Context, tick <-chan time.Time, rushed int) int {
	lost := r.lost
	if rushed >= rushes {
		lost = nil
	}
	select {
	case <-ctx.Done():
	case <-r.now:
	case <-r.asked:
		r.gather(ctx)
	case <-lost:
		return rushed + 1
	case <-tick:
		return 0
	}
	return rushed
}

// gather lets all who ask at this moment have their answer from one round.
func (r *runner) gather(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(gathering):
	}
	select {
	case <-r.asked:
	default:
	}
}

// start begins a probe, and a second one if there is one and the first does not
// soon succeed: what is ready lives, so mostly one request is enough.
func (r *runner) start(ctx context.Context, wg *sync.WaitGroup, p probe, began time.Time, results chan<- Result) {
	good := make(chan bool, 1)
	wg.Go(func() { good <- r.ask(ctx, p, began, results) })
	if p.second == nil {
		return
	}
	wg.Go(func() {
		waited := time.NewTimer(headStart)
		defer waited.Stop()
		select {
		case ok := <-good:
			if ok {
				return
			}
		case <-waited.C:
		case <-ctx.Done():
			return
		}
		r.ask(ctx, *p.second, began, results)
	})
}

// ask probes once and reports whether it succeeded. It does nothing while too
// many like it are still waiting: they tell as much as it would.
func (r *runner) ask(ctx context.Context, p probe, began time.Time, results chan<- Result) bool {
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
	default:
		return false
	}
	asking, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	err := p.ask(asking)
	res := Result{
		Check:    r.index,
		Question: p.question,
		Began:    began,
		Latency:  min(time.Since(began), p.timeout), // a stall of ours is not the server's
	}
	if err != nil {
		res.Failure, res.Proof = err.Error(), refused(err)
	}
	select {
	case results <- res:
	case <-ctx.Done():
	}
	return err == nil
}
