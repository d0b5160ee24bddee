package main

import (
	"slices"
	"time"

	"github.com/vipd/vipd/test/client/probe"
	"github.com/vipd/vipd/test/cluster"
)

// story is a run, told in times since the fault.
type story struct {
	LastAnswer  time.Duration `json:"last_answer"`  // of the first node
	FirstAnswer time.Duration `json:"first_answer"` // of the other one
	Ended       time.Duration `json:"ended"`
	Adverts     []moment      `json:"adverts"`
	VIP         []moment      `json:"vip"` // comes and goes
}

// moment is something that happened on a node.
type moment struct {
	At   time.Duration `json:"at"`
	Node string        `json:"node"`
	Off  bool          `json:"off,omitempty"`
}

// before is how much of the time before the fault a story has.
const before = time.Second

// tell puts together what client, kernels and wire saw of a move.
func tell(r probe.Report, ch probe.Change, l *cluster.Ledger, w *cluster.Wire, began, ended time.Time) *story {
	s := &story{Ended: ended.Sub(began)}
	s.FirstAnswer = r.Began.Add(ch.At).Sub(began)
	s.LastAnswer = s.FirstAnswer - ch.Outage
	for _, a := range w.Heard() {
		at := w.Began.Add(time.Duration(a.At)).Sub(began)
		if at > -before && at < s.Ended {
			s.Adverts = append(s.Adverts, moment{At: at, Node: nodeOf(a.Src.As4())})
		}
	}
	for _, e := range l.Entries(began, ended) {
		if e.Addr == cluster.VIP4 {
			s.VIP = append(s.VIP, moment{At: e.At.Sub(began), Node: e.Node, Off: !e.There})
		}
	}
	return s
}

// nodeOf names the server that has an address.
func nodeOf(a [4]byte) string { return "node" + string(rune('0'+a[3]-10)) }

// keepOne takes all stories from the samples but that of the run in the middle.
func keepOne(samples []sample) {
	order := make([]int, len(samples))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return int(samples[a].Outage - samples[b].Outage) })
	for i := range samples {
		if len(order) > 0 && i != order[len(order)/2] {
			samples[i].Story = nil
		}
	}
}
