package agent

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/vipd/vipd/health"
	"github.com/vipd/vipd/vip"
	"github.com/vipd/vipd/vrrp"
)

// A router counts its moves by cause, how long the VIP was nobody's, and how late it woke.
func TestMeter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, vipConfig(), nil)
		g.backup()
		g.pass(4 * interval) // 3 intervals, and Skew_Time
		if s := g.snapshot().state; s != vrrp.Active {
			t.Fatalf("%v", s)
		}
		m := g.meter
		if n := m.transitions[vrrp.CauseSilence].Load(); n != 1 {
			t.Errorf("by silence: %d", n)
		}
		if n := m.transitions[vrrp.CauseStartup].Load(); n != 1 {
			t.Errorf("by startup: %d", n)
		}
		if r := m.gap.Read(); r.Count != 1 || r.Sum < 3*interval || r.Sum > 4*interval {
			t.Errorf("gap: %+v", r)
		}
		if r := m.late.Read(); r.Count == 0 || r.Sum != 0 {
			t.Errorf("lateness without load, in virtual time: %+v", r)
		}
		g.hear(other, 250)
		if n := m.transitions[vrrp.CauseOutranked].Load(); n != 1 {
			t.Errorf("by a better one: %d", n)
		}
	})
}

// What does not go out is counted, each advertisement once.
func TestMeterUnsent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, vipConfig(), nil)
		g.active()
		g.net.fail(errSend)
		g.pass(4 * interval)
		if n := g.meter.unsent.Load(); n != 4 {
			t.Errorf("%d of 4 that failed", n)
		}
	})
}

// The margin is what was left of the lease when it was renewed.
func TestMeterLease(t *testing.T) {
	const second = vrrp.Instant(time.Second)
	m := newMeter()
	m.held(vip.Event{Op: vip.OpRenew}, 1*second) // of a lease that began before the agent
	m.held(vip.Event{Op: vip.OpRenew, Err: vip.ErrStale}, 2*second)
	m.held(vip.Event{Op: vip.OpRenew}, 2*second+second/2)
	m.held(vip.Event{Op: vip.OpRelease}, 3*second)
	m.held(vip.Event{Op: vip.OpClaim}, 100*second)
	m.held(vip.Event{Op: vip.OpRenew}, 103*second) // too late
	r := m.margin.Read()
	if want := vip.Lease - 1500*time.Millisecond + vip.Lease - 3*time.Second; r.Count != 2 || r.Sum != want || r.Buckets[0] != 1 {
		t.Errorf("%+v, want a sum of %v", r, want)
	}
}

func TestProbeMeter(t *testing.T) {
	var p probeMeter
	p.observe("a", health.Result{Latency: time.Millisecond})
	p.observe("a", health.Result{Latency: time.Second, Failure: "no answer"})
	p.observe("b", health.Result{Latency: time.Second})
	a, b := p.of("a"), p.of("b")
	if a.succeeded.Read().Sum != time.Millisecond || a.failed.Read().Sum != time.Second || b.succeeded.Read().Count != 1 || b.failed.Read().Count != 0 {
		t.Errorf("a: %+v %+v, b: %+v %+v", a.succeeded.Read(), a.failed.Read(), b.succeeded.Read(), b.failed.Read())
	}
}

// What the arguments of a command are is not told to everybody on the host, and checks
// that are alike differ.
func TestCheckLabel(t *testing.T) {
	for want, c := range map[string]health.CheckStatus{
		"1 exec /usr/bin/check":        {Type: "exec", Name: "exec /usr/bin/check --password 123"},
		"1 none":                       {Type: "none", Name: "none"},
		"1 k3s https://127.0.0.1:6443": {Type: "k3s", Name: "k3s https://127.0.0.1:6443"},
	} {
		if got := checkLabel(0, c); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// The alerts ask for these buckets, and every cause has its counter.
func TestMeterFitsAlerts(t *testing.T) {
	m := newMeter()
	for name, ok := range map[string]bool{
		"gap 4":      has(m.gap.Read().Buckets, 4),
		"margin 0.5": has(m.margin.Read().Buckets, 0.5),
		"late 0.1":   has(m.late.Read().Buckets, 0.1),
	} {
		if !ok {
			t.Errorf("no bucket %s", name)
		}
	}
	defer func() {
		if recover() == nil {
			t.Errorf("%v has no counter: causes is too small", vrrp.Cause(causes))
		}
	}()
	_ = vrrp.Cause(causes).String()
}

func has(buckets map[float64]uint64, le float64) bool {
	_, ok := buckets[le]
	return ok
}
