package vip

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestQueue(t *testing.T) {
	var (
		claim, release, announce = work{op: OpClaim}, work{op: OpRelease}, work{op: OpAnnounce}
		renew1, renew2           = work{OpRenew, 1}, work{OpRenew, 2}
	)
	for _, tt := range []struct {
		name     string
		in, want []work
	}{
		{"keeps the order", []work{claim, renew1, announce}, []work{claim, renew1, announce}},
		{"renewals become one with the last token", []work{renew1, claim, renew2}, []work{renew2, claim}},
		{"release drops what waits before it", []work{claim, renew1, announce, release}, []work{release}},
		{"and keeps what comes after it", []work{claim, release, claim, announce}, []work{release, claim, announce}},
		{"announcements become the last one", []work{announce, claim, announce}, []work{claim, announce}},
		{"claim stays before its announcement", []work{claim, announce, claim}, []work{claim, announce}},
		{"releases become one", []work{release, claim, release}, []work{release}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var q queue
			for _, w := range tt.in {
				q.put(w)
			}
			var got []work
			for !q.empty() {
				for op := range opNames {
					if w, ok := q.take(Op(op)); ok {
						got = append(got, w)
						break
					}
				}
			}
			if d := cmp.Diff(tt.want, got, cmp.AllowUnexported(work{})); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestQueueDrop(t *testing.T) {
	var q queue
	for _, w := range []work{{op: OpAnnounce}, {op: OpClaim}, {op: OpAnnounce}} {
		q.put(w)
	}
	q.drop(OpAnnounce)
	if w, ok := q.take(OpClaim); !ok {
		t.Errorf("%v, %v; want the claim", w, ok)
	}
	if !q.empty() {
		t.Error("something is left")
	}
}

func TestQueueRenewalPassesAnnouncement(t *testing.T) {
	claim, renew, announce := work{op: OpClaim}, work{OpRenew, 1}, work{op: OpAnnounce}
	var q queue
	for _, w := range []work{claim, announce, renew} {
		q.put(w)
	}
	if w, ok := q.take(OpRenew); ok {
		t.Errorf("%v passed the claim", w)
	}
	if _, ok := q.take(OpClaim); !ok {
		t.Fatal("the claim is not the first")
	}
	if w, ok := q.take(OpRenew); !ok || w != renew {
		t.Errorf("got %v, %v: the renewal waits for the announcement", w, ok)
	}
}

func TestQueueFinish(t *testing.T) {
	release := work{op: OpRelease}
	var q queue
	q.put(release)
	q.put(work{op: OpClaim})
	finished := make(chan struct{})
	go func() { defer close(finished); q.finish() }()
	if _, ok := q.take(OpRelease); !ok {
		t.Fatal("the release was dropped")
	}
	select {
	case <-finished:
		t.Fatal("finished before the release was done")
	default:
	}
	q.done()
	<-finished
	q.put(release)
	if !q.empty() {
		t.Error("work was taken in after the end")
	}
}

// What is dropped while it is being done is not wanted any more; the next one is.
func TestQueueDropUnderWay(t *testing.T) {
	var q queue
	q.put(work{op: OpAnnounce})
	q.drop(OpAnnounce)
	q.put(work{op: OpAnnounce})
	if _, ok := q.take(OpAnnounce); !ok || !q.wanted() {
		t.Fatal("not wanted before it was dropped")
	}
	q.drop(OpAnnounce)
	if q.wanted() {
		t.Error("wanted although it was dropped")
	}
	q.done()
	q.put(work{op: OpAnnounce})
	if _, ok := q.take(OpAnnounce); !ok || !q.wanted() {
		t.Error("the next one is not wanted")
	}
}
