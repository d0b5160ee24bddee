package agent

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/vipd/vipd/agent/metrics"
	"github.com/vipd/vipd/health"
	"github.com/vipd/vipd/vip"
	"github.com/vipd/vipd/vrrp"
)

// causes is how many causes of a change of state there are.
const causes = int(vrrp.CauseWithheld) + 1

// meter counts what a router does. It is read while it is written.
type meter struct {
	transitions [causes]atomic.Uint64
	conflicts   atomic.Uint64
	unsent      atomic.Uint64
	gap         *metrics.Histogram
	margin      *metrics.Histogram
	late        *metrics.Histogram
	leased      atomic.Int64 // Instant of the last claim or renewal; 0: there is no lease
}

func newMeter() *meter {
	const ms = time.Millisecond
	return &meter{
		gap:    metrics.NewHistogram(50*ms, 100*ms, 250*ms, 500*ms, 750*ms, 1*time.Second, 2*time.Second, 4*time.Second, 8*time.Second, 16*time.Second),
		margin: metrics.NewHistogram(0, 100*ms, 250*ms, 500*ms, 750*ms, 1*time.Second, 1250*ms, 1400*ms, vip.Lease-renewEvery, vip.Lease),
		late:   metrics.NewHistogram(ms/10, ms/4, ms/2, 1*ms, 2*ms, 5*ms, 10*ms, 25*ms, 50*ms, 100*ms, 250*ms, 1*time.Second),
	}
}

// changed counts a change of state, and the time without an advertisement before it; 0:
// there was none, or it is not known.
func (m *meter) changed(t vrrp.Transition, gap time.Duration) {
	m.transitions[t.Cause].Add(1)
	if gap > 0 {
		m.gap.Observe(gap)
	}
}

// woke counts how late the loop woke for a deadline.
func (m *meter) woke(deadline, now vrrp.Instant) {
	if deadline != vrrp.Never {
		m.late.Observe(now.Sub(deadline))
	}
}

// held counts what became of an operation on the addresses.
func (m *meter) held(e vip.Event, now vrrp.Instant) {
	switch {
	case e.Op == vip.OpRelease:
		m.leased.Store(0)
	case e.Err != nil:
	case e.Op == vip.OpClaim:
		m.leased.Store(int64(now))
	case e.Op == vip.OpRenew:
		if was := m.leased.Swap(int64(now)); was != 0 {
			m.margin.Observe(vip.Lease - now.Sub(vrrp.Instant(was)))
		}
	}
}

// probeMeter counts the probes of each check, across reloads.
type probeMeter struct {
	mu     sync.Mutex
	checks map[string]*outcomes
}

type outcomes struct{ succeeded, failed *metrics.Histogram }

// of returns the counts of a check.
func (p *probeMeter) of(check string) *outcomes {
	p.mu.Lock()
	defer p.mu.Unlock()
	o := p.checks[check]
	if o == nil {
		o = &outcomes{newProbeHistogram(), newProbeHistogram()}
		if p.checks == nil {
			p.checks = make(map[string]*outcomes)
		}
		p.checks[check] = o
	}
	return o
}

func newProbeHistogram() *metrics.Histogram {
	const ms = time.Millisecond
	return metrics.NewHistogram(1*ms, 2*ms, 5*ms, 10*ms, 25*ms, 50*ms, 100*ms, 250*ms, 500*ms, 750*ms, 1*time.Second, 3*time.Second)
}

// observe is the monitor's.
func (p *probeMeter) observe(check string, r health.Result) {
	o := p.of(check)
	if r.Failure == "" {
		o.succeeded.Observe(r.Latency)
		return
	}
	o.failed.Observe(r.Latency)
}
