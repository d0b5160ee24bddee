package vip

import (
	"slices"
	"sync"

	"github.com/vipd/vipd/vrrp"
)

// queue holds the work that waits for a Holder's goroutine: each operation at
// most once, so however long that goroutine is blocked, the queue stays small.
type queue struct {
	mu   sync.Mutex
	work []work
	wake chan struct{} // has a value when there is work
}

type work struct {
	op    Op
	token vrrp.Instant // when the election loop asked for it
}

func newQueue() queue { return queue{wake: make(chan struct{}, 1)} }

func (q *queue) put(w work) {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.IndexFunc(q.work, func(o work) bool { return o.op == w.op })
	switch {
	case w.op == OpRelease:
		q.work = append(q.work[:0], w)
	case i < 0:
		q.work = append(q.work, w)
	case w.op == OpAnnounce:
		// The later one counts: what it announces may be claimed in between.
		q.work = append(slices.Delete(q.work, i, i+1), w)
	default:
		q.work[i] = w
	}
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

func (q *queue) take() (work, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.work) == 0 {
		return work{}, false
	}
	w := q.work[0]
	q.work = slices.Delete(q.work, 0, 1)
	return w, true
}
