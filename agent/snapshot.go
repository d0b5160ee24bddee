package agent

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/vipd/vipd/agent/metrics"
	"github.com/vipd/vipd/config"
	"github.com/vipd/vipd/health"
	"github.com/vipd/vipd/vrrp"
)

var _ metrics.Source = (*Agent)(nil)

// Metrics implements [metrics.Source]. It reads what is published and waits for no loop.
func (a *Agent) Metrics() metrics.Snapshot {
	a.mu.Lock()
	defer a.mu.Unlock()
	v := a.monitor.Load().Verdict()
	s := metrics.Snapshot{Version: a.opts.Version, Drained: a.drained, Grade: v.Grade.String(), Settled: v.Settled, Hold: v.Hold}
	if a.barred != nil {
		s.Problems++
	}
	if a.handover.on() {
		s.Problems++
	}
	for i, c := range v.Checks {
		o := a.probed.of(c.Name)
		s.Checks = append(s.Checks, metrics.Check{Type: c.Type, Name: checkLabel(i, c), Grade: c.Grade.String(),
			Succeeded: o.succeeded.Read(), Failed: o.failed.Read()})
	}
	for i, p := range a.routers {
		s.Routers = append(s.Routers, a.routerMetrics(i, p))
	}
	a.routingMetrics(&s)
	slices.SortFunc(s.Routers, func(x, y metrics.Router) int {
		return cmp.Or(strings.Compare(x.VIP, y.VIP), strings.Compare(x.Family, y.Family))
	})
	return s
}

// checkLabel is what a check is called where everybody on the host may read it: the
// arguments of a command may be secret. Each has its number, for labels must differ.
func checkLabel(i int, c health.CheckStatus) string {
	name := c.Name
	if c.Type == string(config.CheckExec) {
		name = strings.Join(strings.Fields(name)[:2], " ")
	}
	return fmt.Sprintf("%d %s", i+1, name)
}

func (a *Agent) routerMetrics(i id, p *placed) metrics.Router {
	r, v := p.router, p.router.snapshot()
	out := metrics.Router{
		VIP: i.VIP, Family: i.Family.String(), VRID: v.cfg.VRID, Interface: v.iface,
		State: v.state.String(), Since: a.clock.time(v.since), Holding: v.holding, Mute: v.mute,
		Grade: v.grade.String(), Priority: v.priority, Configured: v.cfg.Priority, Interval: v.cfg.AdvertInterval,
		Peers: len(r.peers.latest()), Problems: len(a.problems(p, v)),
		Transitions: make(map[string]uint64), Conflicts: r.meter.conflicts.Load(),
		Gap: r.meter.gap.Read(), LeaseMargin: r.meter.margin.Read(), Lateness: r.meter.late.Read(),
	}
	if v.src.IsValid() {
		out.Source = v.src.String()
	}
	for c := range r.meter.transitions {
		out.Transitions[vrrp.Cause(c).String()] = r.meter.transitions[c].Load()
	}
	r.countAdverts(&out)
	return out
}

func (r *router) countAdverts(out *metrics.Router) {
	out.Sent, out.LeavesSent, out.SendErrors = r.sent[0].Load(), r.sent[1].Load(), r.meter.unsent.Load()
	out.Received, out.LeavesReceived = r.counters.Of(vrrp.Accepted), r.counters.PriorityZero()
	out.Overflow, out.Unsigned = r.dropped.Load(), r.counters.Unsigned()
	out.ChecksumPseudoHeader, out.ChecksumPlain = r.counters.Checksums()
	out.Refused = make(map[string]uint64)
	for _, reason := range vrrp.Reasons() {
		out.Refused[reason.String()] = r.counters.Of(reason)
	}
}
