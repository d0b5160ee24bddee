package agent

import (
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/vipd/vipd/agent/control"
	"github.com/vipd/vipd/config"
	"github.com/vipd/vipd/health"
	"github.com/vipd/vipd/vrrp"
)

var _ control.Handler = (*Agent)(nil)

// shownMoves is how many changes of state the status has.
const shownMoves = 5

// Status implements [control.Handler].
func (a *Agent) Status() control.Status {
	host, _ := os.Hostname() // without a name the rest is still of use
	a.mu.Lock()
	defer a.mu.Unlock()
	s := control.Status{
		Version: a.opts.Version, Node: host, Started: a.started, Drained: a.drained,
		Health: healthStatus(a.monitor.Load().Verdict()), Routers: []control.Router{},
	}
	if a.barred != nil {
		s.Problems = append(s.Problems, a.barred.Error())
	}
	s.Problems = append(s.Problems, a.hooks.problems()...)
	if a.handover.on() {
		s.Problems = append(s.Problems, handoverWords)
	}
	for i, p := range a.routers {
		s.Routers = append(s.Routers, a.routerStatus(i, p))
	}
	a.routingStatus(&s)
	slices.SortFunc(s.Routers, func(x, y control.Router) int {
		if x.VIP != y.VIP {
			return compare(x.VIP, y.VIP)
		}
		return compare(x.Family, y.Family)
	})
	s.Moves = a.record.moves(shownMoves)
	return s
}

func compare(a, b string) int {
	if a < b {
		return -1
	}
	if a > b {
		return 1
	}
	return 0
}

func healthStatus(v health.Verdict) control.Health {
	h := control.Health{
		Grade: v.Grade.String(), Settled: v.Settled, Cause: v.Cause, Since: v.Since,
		PreemptHold: control.Duration(v.Hold), Checks: []control.Check{},
	}
	for _, c := range v.Checks {
		h.Checks = append(h.Checks, control.Check{
			Type: c.Type, Name: c.Name, Grade: c.Grade.String(), Cause: c.Cause, Since: c.Since, Latency: control.Duration(c.Latency),
		})
	}
	return h
}

func (a *Agent) routerStatus(i id, p *placed) control.Router {
	r, v := p.router, p.router.snapshot()
	s := control.Router{
		VIP: i.VIP, Family: i.Family.String(), Mode: string(config.ModeVRRP), VRID: v.cfg.VRID, Interface: v.iface,
		State: v.state.String(), Since: a.clock.time(v.since), Cause: v.cause, Holding: v.holding,
		Grade: v.grade.String(), Priority: v.priority, Configured: v.cfg.Priority,
		AdvertInterval: control.Duration(v.cfg.AdvertInterval), Peers: []control.Peer{}, Counters: r.count(),
		Problems: a.problems(p, v),
	}
	for _, x := range ofFamily(v.cfg.Addresses, i.Family) {
		s.Addresses = append(s.Addresses, x.String())
	}
	if v.src.IsValid() {
		s.Source = v.src.String()
	}
	for _, x := range r.peers.latest() {
		s.Peers = append(s.Peers, a.peer(x))
	}
	switch {
	case v.state == vrrp.Active:
		s.Active = &control.Peer{Address: s.Source, Priority: v.priority, Grade: v.grade.String(), LastHeard: a.clock.time(v.sentAt)}
		s.ActiveSince = s.Since
	case a.follows(v):
		x := a.peer(v.heard)
		s.Active = &x
		s.ActiveSince = a.clock.time(v.leads)
	}
	return s
}

func (a *Agent) peer(x vrrp.Advert) control.Peer {
	grade := vrrp.GradeOf(x.Priority).String()
	if x.Priority == vrrp.PriorityLeave {
		grade = "leaving"
	}
	return control.Peer{Address: x.Src.String(), Priority: x.Priority, Grade: grade, LastHeard: a.clock.time(x.At)}
}

// problems says what is wrong with one router now.
func (a *Agent) problems(p *placed, v view) []string {
	var out []string
	if p.why != "" {
		out = append(out, p.why)
	}
	if p.segment != nil {
		if why := p.segment.problem(); why != "" {
			out = append(out, why)
		}
	}
	if v.blocked != nil {
		out = append(out, v.blocked.Error())
	}
	if v.claimErr != nil {
		out = append(out, "cannot put the addresses on the interface: "+v.claimErr.Error())
	}
	if v.mute {
		out = append(out, "advertisements do not go out: check the firewall (protocol 112 out) and the interface")
	}
	if v.rival.Count > 2 {
		out = append(out, fmt.Sprintf("%s advertises priority %d although this node is Active with %d: it does not hear us; check protocol 112 and multicast towards it",
			v.rival.Addr, v.rival.Priority, v.priority))
	}
	if v.state == vrrp.Backup && !v.hasReady {
		out = append(out, "does not claim: the API server has not been ready since the agent was started")
	}
	if v.state == vrrp.Backup && !v.permitted {
		out = append(out, "does not claim: K3s is not running here, or is still starting")
	}
	if heard := len(p.router.peers.latest()); heard == 0 && v.state == vrrp.Active && len(v.cfg.Peers) > 0 {
		out = append(out, control.NeverHeard+": Backups are silent, so run vipd doctor on one; if it does not hear this node, check peers, and that protocol 112 may pass")
	}
	now := time.Now()
	return append(append(out, p.router.claims.current(now)...), p.router.told.current(now)...)
}

// count returns the counters under their names.
func (r *router) count() map[string]uint64 {
	c := map[string]uint64{
		"advertisement-sent":      r.sent[0].Load(),
		"advertisement-rcvd":      r.counters.Of(vrrp.Accepted),
		"priority-zero-pkts-sent": r.sent[1].Load(),
		"priority-zero-pkts-rcvd": r.counters.PriorityZero(),
		"overflow":                r.dropped.Load(),
		"auth-unsigned":           r.counters.Unsigned(),
	}
	c["checksum-pseudo-header"], c["checksum-rfc9568"] = r.counters.Checksums()
	for _, reason := range vrrp.Reasons() {
		c[reason.String()] = r.counters.Of(reason)
	}
	return c
}

// History implements [control.Handler].
func (a *Agent) History() []control.Event {
	if e := a.record.events(); e != nil {
		return e
	}
	return []control.Event{}
}
