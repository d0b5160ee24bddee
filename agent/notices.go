package agent

import (
	"maps"
	"net/netip"
	"sync"
	"time"

	"github.com/vipd/vipd/vrrp"
)

const (
	// tellAgain is how long the same oddity is not logged again.
	tellAgain = 10 * time.Minute
	// stillOdd is how long after its last sign an oddity shows up in the status.
	stillOdd = 30 * time.Second
	// maxNotices bounds what anybody on the network can make us remember.
	maxNotices = 32
)

// oddity is what somebody does wrong.
type oddity struct {
	src    netip.Addr
	reason vrrp.Reason // why packets are refused
	notice vrrp.Notice // or what is odd about accepted ones
	mac    string      // or which other station has the address src
}

type noted struct {
	words string
	told  time.Time
	seen  time.Time
}

// notices keeps what is odd about received packets, so that each thing is
// logged once in a while and not once a packet.
type notices struct {
	mu   sync.Mutex
	seen map[oddity]noted
}

// due notes the oddity and reports whether it is to be logged now; words are
// made only when needed.
func (n *notices) due(o oddity, now time.Time, words func() string) (string, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	old, known := n.seen[o]
	if known && now.Sub(old.told) < tellAgain {
		old.seen = now
		n.seen[o] = old
		return "", false
	}
	if !known && !n.room(now) {
		return "", false
	}
	w := words()
	if w == "" {
		return "", false
	}
	if n.seen == nil {
		n.seen = make(map[oddity]noted)
	}
	n.seen[o] = noted{words: w, told: now, seen: now}
	return w, true
}

// room reports whether another oddity can be remembered. What is long past makes
// room.
func (n *notices) room(now time.Time) bool {
	if len(n.seen) >= maxNotices {
		maps.DeleteFunc(n.seen, func(_ oddity, w noted) bool { return now.Sub(w.seen) > tellAgain })
	}
	return len(n.seen) < maxNotices
}

// current returns what was odd in the last while.
func (n *notices) current(now time.Time) []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var out []string
	for _, w := range n.seen {
		if now.Sub(w.seen) < stillOdd {
			out = append(out, w.words)
		}
	}
	return out
}

func (r *router) refused(src netip.Addr, reason vrrp.Reason, p *vrrp.Packet) {
	o := oddity{src: src, reason: reason}
	if w, due := r.told.due(o, time.Now(), func() string { return explainRefusal(src, reason, p) }); due {
		r.record.odd(r.id, w)
	}
}

func (r *router) noticed(src netip.Addr, set vrrp.Notice, p *vrrp.Packet) {
	for n := vrrp.NoticeInterval; n <= vrrp.NoticeUnsigned; n <<= 1 {
		if set&n == 0 {
			continue
		}
		o := oddity{src: src, notice: n}
		if w, due := r.told.due(o, time.Now(), func() string { return explainNotice(src, n, p, r.inspector.Load()) }); due {
			r.record.odd(r.id, w)
		}
	}
}
