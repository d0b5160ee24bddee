package sim

import (
	"container/heap"

	"github.com/vipd/vipd/vrrp"
)

// queue holds what will happen, earliest first; what is due at the same instant
// happens in the order in which it was put in.
type queue struct {
	items []item
	count uint64
}

type item struct {
	at    vrrp.Instant
	order uint64
	do    func()
}

func (q *queue) put(at vrrp.Instant, do func()) {
	q.count++
	heap.Push(q, item{at: at, order: q.count, do: do})
}

func (q *queue) take() item { return heap.Pop(q).(item) }

func (q *queue) Len() int { return len(q.items) }

func (q *queue) Less(i, j int) bool {
	a, b := &q.items[i], &q.items[j]
	return a.at < b.at || a.at == b.at && a.order < b.order
}

func (q *queue) Swap(i, j int) { q.items[i], q.items[j] = q.items[j], q.items[i] }

func (q *queue) Push(x any) { q.items = append(q.items, x.(item)) }

func (q *queue) Pop() any {
	last := len(q.items) - 1
	it := q.items[last]
	q.items[last] = item{}
	q.items = q.items[:last]
	return it
}
