package sim

import "github.com/vipd/vipd/vrrp"

// queue holds what will happen, earliest first; what is due at the same instant
// happens in the order in which it was put in.
type queue struct {
	heap   []due // four children each
	events []event
	free   []int32 // places in events
	count  uint64
}

// due is kept apart from its event, so that the heap moves little.
type due struct {
	at    vrrp.Instant
	order uint64
	place int32
}

// event is something that happens: do, or an advertisement arrives.
type event struct {
	do      func()
	advert  *vrrp.Advert // shared with the other receivers
	node    *node        // it happens to this one and to no other; nil: to any
	process uint64       // and only while this process of the node lives; 0: always
}

func (q *queue) put(at vrrp.Instant, e event) {
	q.count++
	d := due{at: at, order: q.count, place: q.store(e)}
	i := len(q.heap)
	q.heap = append(q.heap, d)
	for i > 0 {
		parent := (i - 1) / 4
		if !d.before(&q.heap[parent]) {
			break
		}
		q.heap[i], i = q.heap[parent], parent
	}
	q.heap[i] = d
}

func (q *queue) store(e event) int32 {
	if last := len(q.free) - 1; last >= 0 {
		place := q.free[last]
		q.free = q.free[:last]
		q.events[place] = e
		return place
	}
	q.events = append(q.events, e)
	return int32(len(q.events) - 1)
}

// next returns when the next event is due.
func (q *queue) next() vrrp.Instant {
	if len(q.heap) == 0 {
		return vrrp.Never
	}
	return q.heap[0].at
}

// take takes the next event out.
func (q *queue) take() event {
	place := q.heap[0].place
	last := len(q.heap) - 1
	d := q.heap[last]
	q.heap = q.heap[:last]
	if last > 0 {
		q.sink(d)
	}
	e := q.events[place]
	q.events[place] = event{}
	q.free = append(q.free, place)
	return e
}

// sink puts d in from the root on.
func (q *queue) sink(d due) {
	i := 0
	for {
		child := q.least(4*i + 1)
		if child < 0 || d.before(&q.heap[child]) {
			break
		}
		q.heap[i], i = q.heap[child], child
	}
	q.heap[i] = d
}

// least returns the earliest of the four from first on, or -1 if there is none.
func (q *queue) least(first int) int {
	if first >= len(q.heap) {
		return -1
	}
	least := first
	for i := first + 1; i < min(first+4, len(q.heap)); i++ {
		if q.heap[i].before(&q.heap[least]) {
			least = i
		}
	}
	return least
}

func (d *due) before(e *due) bool { return d.at < e.at || d.at == e.at && d.order < e.order }
