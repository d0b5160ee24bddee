package agent

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/vipd/vipd/agent/control"
	"github.com/vipd/vipd/vrrp"
)

// lastMove returns the last transition that was recorded since it was asked last.
func (g *rig) lastMove() control.Event {
	var last control.Event
	for range len(g.record.entries) {
		if e := <-g.record.entries; e.event.Kind == control.KindTransition {
			last = e.event
		}
	}
	return last
}

func (g *rig) becameActive(code string, gap time.Duration) {
	g.t.Helper()
	e := g.lastMove()
	if e.To != vrrp.Active.String() || e.Code != code || time.Duration(e.Gap) != gap.Round(time.Microsecond) {
		g.t.Errorf("%s -> %s by %s, gap %v; want Active by %s, gap %v", e.From, e.To, e.Code, time.Duration(e.Gap), code, gap)
	}
}

func TestGap(t *testing.T) {
	// A Backup rises after three intervals and Skew_Time, (256 - 200) / 256 of one.
	const silence = 3*interval + 56*interval/256
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, vipConfig(), nil)
		g.active()
		g.becameActive("silence", 0) // nobody was ever heard

		g.hear(peer, 250)
		if e := g.lastMove(); e.To != vrrp.Backup.String() || e.Gap != 0 {
			t.Errorf("%+v", e)
		}
		g.pass(silence + time.Millisecond)
		g.becameActive("silence", silence)

		g.hear(peer, 250)
		g.hear(peer, 0)
		g.pass(interval)
		g.becameActive("left", 56*interval/256)

		g.detach()
		g.pass(time.Hour)
		g.connect()
		g.pass(4 * interval)
		g.becameActive("silence", 0) // what was before it listened says nothing

		g.hear(peer, 150)
		g.pass(interval)
		if e := g.lastMove(); e.Kind != "" {
			t.Errorf("a lower priority moved it: %+v", e)
		}
	})
}

func TestGapResumed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, vipConfig(), nil)
		g.wait(func() { g.inherited = g.clock.now().Add(-70 * time.Millisecond) })
		g.verdict(vrrp.Ready, 0, "")
		s := newSegment("eth0", vrrp.IPv4, g.clock, g.record)
		s.src = own
		s.inspect(&member{router: g.router}, own)
		g.attach(&link{iface: g.iface, src: own, holder: g.net, sender: g.net, drain: g.net.drain}, true)
		synctest.Wait()
		g.becameActive("resumed", 70*time.Millisecond)
	})
}

// A node knows since when the Active is the Active.
func TestActiveSince(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, vipConfig(), nil)
		g.connect()
		g.ready()
		for _, by := range []string{"198.51.100.2", "198.51.100.3"} {
			began := g.clock.now()
			src := peer
			if by == other.String() {
				src = other
				g.pass(2 * interval) // the first one is gone
				began = g.clock.now()
			}
			for range 10 {
				g.hear(src, 250)
				g.pass(interval)
			}
			if v := g.snapshot(); v.heard.Src != src || v.leads != began {
				t.Errorf("%v since %v, want %v since %v", v.heard.Src, v.leads, src, began)
			}
		}
		g.pass(4 * interval)
		if v := g.snapshot(); v.state != vrrp.Active {
			t.Fatalf("%v", v.state)
		}
		again := g.clock.now()
		g.hear(other, 250)
		if v := g.snapshot(); v.leads != again {
			t.Errorf("the same one again: since %v, want %v", v.leads, again)
		}
	})
}
