package agent

import (
	"slices"
	"sync"

	"github.com/vipd/vipd/vrrp"
)

// maxPeers bounds what is remembered of others: without authentication anybody
// can make up senders.
const maxPeers = 32

// peers remembers who was heard for one virtual router.
type peers struct {
	mu   sync.Mutex
	list []vrrp.Advert // at most one of each sender
}

func (p *peers) heard(a vrrp.Advert) {
	p.mu.Lock()
	defer p.mu.Unlock()
	oldest := 0
	for i := range p.list {
		if p.list[i].Src == a.Src {
			p.list[i] = a
			return
		}
		if p.list[i].At < p.list[oldest].At {
			oldest = i
		}
	}
	if len(p.list) < maxPeers {
		p.list = append(p.list, a)
		return
	}
	p.list[oldest] = a
}

// latest returns the last advertisement of each sender, the latest first.
func (p *peers) latest() []vrrp.Advert {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := slices.Clone(p.list)
	slices.SortFunc(out, func(a, b vrrp.Advert) int { return int(max(-1, min(1, b.At-a.At))) })
	return out
}
