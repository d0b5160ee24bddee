package vip

import (
	"slices"
	"sync"

	"github.com/vipd/vipd/vrrp"
)

// queue holds the work of a Holder that waits for the Keeper: each operation at
// most once, so however long that is blocked, the queue stays small.
type queue struct {
	mu       sync.Mutex
	work     []work
	dropped  bool          // what is being done was not wanted any more meanwhile
	busy     bool          // some of it is being done
	finished chan struct{} // not nil: nothing new is taken in; closed when all is done
}

type work struct {
	op    Op
	token vrrp.Instant // when the election loop asked for it
}

func (q *queue) put(w work) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.finished != nil {
		return
	}
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
}

// take takes out the next piece of work, if that is op. A renewal may pass an announcement.
func (q *queue) take(op Op) (work, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.IndexFunc(q.work, func(w work) bool { return w.op == op || w.op != OpAnnounce || op != OpRenew })
	if i < 0 || q.work[i].op != op {
		return work{}, false
	}
	w := q.work[i]
	q.work, q.busy, q.dropped = slices.Delete(q.work, i, i+1), true, false
	return w, true
}

// done is told that what was taken out is done.
func (q *queue) done() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.busy = false
	q.close()
}

// drop takes an operation out that still waits. One that is under way can see it.
func (q *queue) drop(op Op) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.dropped = q.busy
	q.work = slices.DeleteFunc(q.work, func(w work) bool { return w.op == op })
}

// wanted reports whether what was taken out is to be done still.
func (q *queue) wanted() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return !q.dropped
}

func (q *queue) empty() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.work) == 0
}

// finish drops all that waits but for a release, and returns when that is done too.
func (q *queue) finish() {
	q.mu.Lock()
	if q.finished == nil {
		q.finished = make(chan struct{})
		q.work = slices.DeleteFunc(q.work, func(w work) bool { return w.op != OpRelease })
		q.close()
	}
	finished := q.finished
	q.mu.Unlock()
	<-finished
}

// close tells finish, if all is done. The caller holds q.mu.
func (q *queue) close() {
	if q.finished != nil && !q.busy && len(q.work) == 0 {
		close(q.finished)
	}
}
