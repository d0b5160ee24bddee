package metrics

import (
	"maps"
	"slices"
)

// The values of labels of routes and sessions that stand for one of a set.
func standings() []string {
	return []string{"withdrawn", "last resort", "leaving", "degraded", "ready"}
}

func sessionStates() []string {
	return []string{"Idle", "Connect", "OpenSent", "OpenConfirm", "Established"}
}

func routingFamilies() []family {
	return []family{
		route("vipd_route_standing", "How the route of a VIP of mode bgp is announced: 1 for its standing.",
			func(r Route, put func(float64, ...string)) { oneOf(standings(), r.Standing, put) }, "standing"),
		route("vipd_route_state_since_timestamp_seconds", "When the route was announced or withdrawn last.",
			func(r Route, put func(float64, ...string)) { put(seconds(r.Since)) }),
		route("vipd_route_holding", "Whether the addresses of a VIP of mode bgp are on the interface.",
			func(r Route, put func(float64, ...string)) { put(truth(r.Holding)) }),
		route("vipd_route_problems", "What is wrong with a route: vipd status has it in words.",
			func(r Route, put func(float64, ...string)) { put(float64(r.Problems)) }),
		session("vipd_bgp_session_state", "The state of the session with a router: 1 for the one that it is in.", gauge,
			func(s Session, put func(float64, ...string)) { oneOf(sessionStates(), s.State, put) }, "state"),
		session("vipd_bgp_session_routes", "How many routes are announced over a session.", gauge,
			func(s Session, put func(float64, ...string)) { put(float64(s.Routes)) }),
		session("vipd_bgp_session_hold_time_seconds", "The hold time that was agreed on; 0: the session is not up.", gauge,
			func(s Session, put func(float64, ...string)) { put(s.Hold.Seconds()) }),
		session("vipd_bgp_session_bfd_up", "Whether BFD with the router is up; none if it is off.", gauge,
			func(s Session, put func(float64, ...string)) {
				if s.BFD != "" {
					put(truth(s.BFD == "up"))
				}
			}),
		session("vipd_bgp_session_established_total", "How often a session has come up.", counter,
			func(s Session, put func(float64, ...string)) { put(float64(s.Established)) }),
		session("vipd_bgp_session_dropped_total", "How often a session that was up has ended.", counter,
			func(s Session, put func(float64, ...string)) { put(float64(s.Dropped)) }),
		session("vipd_bgp_session_failed_total", "Attempts to bring a session up that failed, by why: refused, unreachable, unanswered (as with another password), closed, disagreed (as with another AS), other.", counter,
			func(s Session, put func(float64, ...string)) {
				for _, why := range slices.Sorted(maps.Keys(s.Failed)) {
					put(float64(s.Failed[why]), why)
				}
			}, "reason"),
		session("vipd_bgp_messages_total", "Messages, by direction.", counter,
			func(s Session, put func(float64, ...string)) { both(put, s.Sent, s.Received) }, "direction"),
		session("vipd_bgp_updates_total", "Updates, by direction. No route is imported from those received.", counter,
			func(s Session, put func(float64, ...string)) { both(put, s.UpdatesSent, s.UpdatesReceived) }, "direction"),
		session("vipd_bgp_updates_malformed_total", "Updates received that could not be read, and were ignored.", counter,
			func(s Session, put func(float64, ...string)) { put(float64(s.Malformed)) }),
		session("vipd_bgp_notifications_total", "Notifications, each of which ended a session, by direction.", counter,
			func(s Session, put func(float64, ...string)) { both(put, s.NotificationsSent, s.NotificationsReceived) }, "direction"),
	}
}

func both(put func(float64, ...string), sent, received uint64) {
	put(float64(sent), "sent")
	put(float64(received), "received")
}

// route is a family with values of each route.
func route(name, help string, values func(Route, func(float64, ...string)), labels ...string) family {
	return family{name: name, help: help, kind: gauge, labels: append([]string{"vip", "family"}, labels...),
		values: func(s Snapshot, put func(float64, ...string)) {
			for _, r := range s.Routes {
				values(r, func(v float64, more ...string) { put(v, append([]string{r.VIP, r.Family}, more...)...) })
			}
		}}
}

// session is a family with values of each session.
func session(name, help string, kind kind, values func(Session, func(float64, ...string)), labels ...string) family {
	return family{name: name, help: help, kind: kind, labels: append([]string{"peer", "as"}, labels...),
		values: func(s Snapshot, put func(float64, ...string)) {
			for _, x := range s.Sessions {
				values(x, func(v float64, more ...string) { put(v, append([]string{x.Peer, x.AS}, more...)...) })
			}
		}}
}
