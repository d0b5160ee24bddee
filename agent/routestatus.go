package agent

import (
	"fmt"

	"github.com/vipd/vipd/agent/control"
	"github.com/vipd/vipd/agent/metrics"
	"github.com/vipd/vipd/bgp"
	"github.com/vipd/vipd/config"
	"github.com/vipd/vipd/vrrp"
)

// routingStatus adds the routes and the sessions to a status. The caller holds a.mu.
func (a *Agent) routingStatus(s *control.Status) {
	if a.routing == nil {
		return
	}
	if a.routing.why != "" {
		s.Problems = append(s.Problems, a.routing.why)
	}
	sessions := a.routing.speaker.Peers()
	for i, w := range a.routing.routes {
		s.Routers = append(s.Routers, a.routeStatus(i, w.route.snapshot(), sessions))
	}
	for _, x := range sessions {
		s.Sessions = append(s.Sessions, sessionStatus(x))
	}
}

func (a *Agent) routeStatus(i id, v routeView, sessions []bgp.Status) control.Router {
	s := control.Router{
		VIP: i.VIP, Family: i.Family.String(), Mode: string(config.ModeBGP), Interface: v.cfg.Interface, Standing: v.standing.String(),
		State: v.state.String(), Since: a.clock.time(v.since), Cause: v.cause, Holding: v.holding, Grade: v.grade.String(),
		Priority: v.cfg.Priority, Configured: v.cfg.Priority, Peers: []control.Peer{}, Counters: map[string]uint64{},
		Problems: routeProblems(v, sessions),
	}
	for _, x := range ofFamily(v.cfg.Addresses, i.Family) {
		s.Addresses = append(s.Addresses, x.String())
	}
	if v.state == vrrp.Active {
		s.ActiveSince = s.Since
	}
	return s
}

// routeProblems says what is wrong with one route now.
func routeProblems(v routeView, sessions []bgp.Status) []string {
	var out []string
	if v.blocked != nil {
		out = append(out, v.blocked.Error())
	}
	if v.claimErr != nil {
		out = append(out, "cannot put the addresses on the interface: "+v.claimErr.Error())
	}
	if v.state == vrrp.Backup && !v.hasReady {
		out = append(out, "is not announced: the API server has not been ready since the agent was started")
	}
	if v.state == vrrp.Backup && !v.permitted {
		out = append(out, "is not announced: K3s is not running here, or is still starting")
	}
	if up(sessions) == 0 {
		out = append(out, "no router hears of it: no BGP session is up")
	}
	return out
}

func up(sessions []bgp.Status) int {
	n := 0
	for _, s := range sessions {
		if s.State == bgp.Established {
			n++
		}
	}
	return n
}

func sessionStatus(x bgp.Status) control.Session {
	s := control.Session{
		Peer: x.Peer.String(), AS: x.AS, State: x.State, Since: x.Since, HoldTime: control.Duration(x.Hold), Routes: x.Routes, BFD: x.BFD,
		Problem: x.Problem, Counters: sessionCounters(x.Counters),
	}
	if x.Local.IsValid() {
		s.Source = x.Local.String()
	}
	if x.RouterID.IsValid() {
		s.RouterID = x.RouterID.String()
	}
	for _, f := range x.Families {
		s.Families = append(s.Families, f.String())
	}
	return s
}

func sessionCounters(c bgp.Counters) map[string]uint64 {
	out := map[string]uint64{
		"established": c.Established, "dropped": c.Dropped, "messages-sent": c.Sent, "messages-rcvd": c.Received,
		"updates-sent": c.UpdatesSent, "updates-rcvd": c.UpdatesReceived, "updates-malformed": c.Malformed,
		"notifications-sent": c.NotificationsSent, "notifications-rcvd": c.NotificationsRcvd,
	}
	for why, n := range failedAttempts(c) {
		out["failed-"+why] = n
	}
	return out
}

// failedAttempts are the attempts to bring a session up, by what they failed for.
func failedAttempts(c bgp.Counters) map[string]uint64 {
	out := make(map[string]uint64)
	for _, f := range bgp.Failures() {
		out[f.String()] = c.Failed[f]
	}
	return out
}

// routingMetrics adds the routes and the sessions to a snapshot. The caller holds a.mu.
func (a *Agent) routingMetrics(s *metrics.Snapshot) {
	if a.routing == nil {
		return
	}
	if a.routing.why != "" {
		s.Problems++
	}
	sessions := a.routing.speaker.Peers()
	for i, w := range a.routing.routes {
		v := w.route.snapshot()
		s.Routes = append(s.Routes, metrics.Route{
			VIP: i.VIP, Family: i.Family.String(), Interface: v.cfg.Interface, Standing: v.standing.String(), State: v.state.String(),
			Grade: v.grade.String(), Since: a.clock.time(v.since), Holding: v.holding, Problems: len(routeProblems(v, sessions)),
		})
	}
	for _, x := range sessions {
		s.Sessions = append(s.Sessions, metrics.Session{
			Peer: x.Peer.String(), AS: fmt.Sprint(x.AS), State: x.State, BFD: x.BFD, Routes: x.Routes, Hold: x.Hold,
			Established: x.Counters.Established, Dropped: x.Counters.Dropped, Failed: failedAttempts(x.Counters),
			Sent: x.Counters.Sent, Received: x.Counters.Received,
			UpdatesSent: x.Counters.UpdatesSent, UpdatesReceived: x.Counters.UpdatesReceived, Malformed: x.Counters.Malformed,
			NotificationsSent: x.Counters.NotificationsSent, NotificationsReceived: x.Counters.NotificationsRcvd,
		})
	}
}
