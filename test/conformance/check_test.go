package conformance

import (
	"testing"
	"time"

	"github.com/vipd/vipd/test/client/probe"
)

// checkMove checks what a client saw of a planned move.
func checkMove(t *testing.T, r probe.Report, to string) {
	t.Helper()
	if n := lost(r); n != 0 {
		t.Errorf("%d connections were lost: %v", n, r.Outcomes)
	}
	if len(r.Changes) != 2 || r.Changes[1].To != to {
		t.Errorf("moves: %+v", r.Changes)
		return
	}
	if len(r.Drops) == 0 {
		t.Error("the idle connection was left to hang")
		return
	}
	d := r.Drops[0]
	hung := d.Back == 0 && r.Lasted-d.Lost > time.Second
	if d.Lost-r.Changes[1].At > time.Second || hung {
		t.Errorf("the idle connection: %+v, the move was at %v", d, r.Changes[1].At)
	}
}
