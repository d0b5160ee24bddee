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
			q := newQueue()
			for _, w := range tt.in {
				q.put(w)
			}
			var got []work
			for w, ok := q.take(); ok; w, ok = q.take() {
				got = append(got, w)
			}
			if d := cmp.Diff(tt.want, got, cmp.AllowUnexported(work{})); d != "" {
				t.Error(d)
			}
		})
	}
}
