package metrics

import (
	"maps"
	"runtime"
	"slices"
	"strconv"
	"time"
)

// family is a metric: how it is called, and how its values come out of a Snapshot.
type family struct {
	name, help string
	kind       kind
	labels     []string
	values     func(s Snapshot, put func(v float64, labels ...string))
	readings   func(s Snapshot, put func(r Reading, labels ...string)) // of a histogram, in place of values
}

// kind is the type of a metric.
type kind string

const (
	counter   kind = "counter"
	gauge     kind = "gauge"
	histogram kind = "histogram"
)

// The values of labels that stand for one of a set: each has its series, of which one is 1.
func states() []string { return []string{"Initialize", "Backup", "Active"} }
func grades() []string { return []string{"ready", "degraded", "down"} }

// families returns all metrics of vipd's own.
func families() []family {
	return append(agentFamilies(), append(stateFamilies(), append(advertFamilies(), append(durationFamilies(), routingFamilies()...)...)...)...)
}

func agentFamilies() []family {
	return []family{
		{name: "vipd_build_info", help: "The version of vipd and of Go. Always 1.", kind: gauge, labels: []string{"version", "goversion"},
			values: func(s Snapshot, put func(float64, ...string)) { put(1, s.Version, runtime.Version()) }},
		{name: "vipd_drained", help: "Whether the operator has drained this node.", kind: gauge,
			values: func(s Snapshot, put func(float64, ...string)) { put(truth(s.Drained)) }},
		{name: "vipd_problems", help: "What is wrong with the agent as a whole: vipd status has it in words.", kind: gauge,
			values: func(s Snapshot, put func(float64, ...string)) { put(float64(s.Problems)) }},
		{name: "vipd_health_grade", help: "The verdict on the local API server: 1 for its grade.", kind: gauge, labels: []string{"grade"},
			values: func(s Snapshot, put func(float64, ...string)) { oneOf(grades(), s.Grade, put) }},
		{name: "vipd_health_settled", help: "Whether each check has risen or fallen since the start.", kind: gauge,
			values: func(s Snapshot, put func(float64, ...string)) { put(truth(s.Settled)) }},
		{name: "vipd_health_preempt_hold_seconds", help: "How long this node must have been ready before it preempts. It grows when the grade flaps.", kind: gauge,
			values: func(s Snapshot, put func(float64, ...string)) { put(s.Hold.Seconds()) }},
		{name: "vipd_check_grade", help: "What one check makes of the API server: 1 for its grade.", kind: gauge, labels: []string{"type", "check", "grade"},
			values: func(s Snapshot, put func(float64, ...string)) {
				for _, c := range s.Checks {
					oneOf(grades(), c.Grade, put, c.Type, c.Name)
				}
			}},
		{name: "vipd_check_probe_duration_seconds", help: "How long the probes of a check took.", kind: histogram, labels: []string{"type", "check", "result"},
			readings: func(s Snapshot, put func(Reading, ...string)) {
				for _, c := range s.Checks {
					put(c.Succeeded, c.Type, c.Name, "success")
					put(c.Failed, c.Type, c.Name, "failure")
				}
			}},
	}
}

func stateFamilies() []family {
	return []family{
		each("vipd_router_info", "A virtual router, where it runs and the address that it advertises from. Always 1.", gauge,
			func(r Router, put func(float64, ...string)) {
				put(1, strconv.Itoa(int(r.VRID)), r.Interface, r.Source)
			}, "vrid", "interface", "source"),
		each("vipd_router_state", "The state of a virtual router (RFC 9568): 1 for the one that it is in.", gauge,
			func(r Router, put func(float64, ...string)) { oneOf(states(), r.State, put) }, "state"),
		each("vipd_router_state_since_timestamp_seconds", "When the state last changed.", gauge,
			func(r Router, put func(float64, ...string)) { put(seconds(r.Since)) }),
		each("vipd_router_holding", "Whether the addresses are on the interface.", gauge,
			func(r Router, put func(float64, ...string)) { put(truth(r.Holding)) }),
		each("vipd_router_mute", "Whether advertisements fail to go out.", gauge,
			func(r Router, put func(float64, ...string)) { put(truth(r.Mute)) }),
		each("vipd_router_grade", "What this node ranks as: 1 for its grade.", gauge,
			func(r Router, put func(float64, ...string)) { oneOf(grades(), r.Grade, put) }, "grade"),
		each("vipd_router_priority", "The priority as advertised.", gauge,
			func(r Router, put func(float64, ...string)) { put(float64(r.Priority)) }),
		each("vipd_router_configured_priority", "The priority as configured.", gauge,
			func(r Router, put func(float64, ...string)) { put(float64(r.Configured)) }),
		each("vipd_router_advert_interval_seconds", "The configured advert_interval.", gauge,
			func(r Router, put func(float64, ...string)) { put(r.Interval.Seconds()) }),
		each("vipd_router_peers", "How many other routers were heard since the start.", gauge,
			func(r Router, put func(float64, ...string)) { put(float64(r.Peers)) }),
		each("vipd_router_problems", "What is wrong with a virtual router: vipd status has it in words.", gauge,
			func(r Router, put func(float64, ...string)) { put(float64(r.Problems)) }),
		each("vipd_router_transitions_total", "Changes of state, by cause: silence, left, unfit, preempt, resumed and owner make it Active.", counter,
			func(r Router, put func(float64, ...string)) { by(r.Transitions, put) }, "cause"),
		each("vipd_router_conflicts_total", "How often another station had an address that is held here.", counter,
			func(r Router, put func(float64, ...string)) { put(float64(r.Conflicts)) }),
	}
}

func advertFamilies() []family {
	return []family{
		each("vipd_router_adverts_sent_total", "Advertisements sent, those of priority 0 included.", counter,
			func(r Router, put func(float64, ...string)) { put(float64(r.Sent)) }),
		each("vipd_router_priority_zero_sent_total", "Advertisements sent that gave the addresses up.", counter,
			func(r Router, put func(float64, ...string)) { put(float64(r.LeavesSent)) }),
		each("vipd_router_send_errors_total", "Advertisements that did not go out.", counter,
			func(r Router, put func(float64, ...string)) { put(float64(r.SendErrors)) }),
		each("vipd_router_adverts_received_total", "Advertisements accepted, those of priority 0 included.", counter,
			func(r Router, put func(float64, ...string)) { put(float64(r.Received)) }),
		each("vipd_router_priority_zero_received_total", "Advertisements accepted whose sender gave the addresses up.", counter,
			func(r Router, put func(float64, ...string)) { put(float64(r.LeavesReceived)) }),
		each("vipd_router_adverts_refused_total", "Packets refused, by reason (the counters of RFC 6527, and those of authentication).", counter,
			func(r Router, put func(float64, ...string)) { by(r.Refused, put) }, "reason"),
		each("vipd_router_adverts_overflow_total", "Advertisements accepted that found no room.", counter,
			func(r Router, put func(float64, ...string)) { put(float64(r.Overflow)) }),
		each("vipd_router_adverts_unsigned_total", "Advertisements accepted without a signature although [auth] is configured.", counter,
			func(r Router, put func(float64, ...string)) { put(float64(r.Unsigned)) }),
		each("vipd_router_checksums_total", "Packets received with a good checksum, by its kind.", counter,
			func(r Router, put func(float64, ...string)) {
				put(float64(r.ChecksumPseudoHeader), "pseudo-header")
				put(float64(r.ChecksumPlain), "rfc9568")
			}, "kind"),
	}
}

func durationFamilies() []family {
	return []family{
		reading("vipd_router_failover_gap_seconds", "At a takeover: the time from the last advertisement before, as far as it is known, to our first.",
			func(r Router) Reading { return r.Gap }),
		reading("vipd_router_lease_margin_seconds", "What was left of the addresses' lease when it was renewed: 1.5 s if all is well.",
			func(r Router) Reading { return r.LeaseMargin }),
		reading("vipd_router_timer_lateness_seconds", "How late the election's timers woke.",
			func(r Router) Reading { return r.Lateness }),
	}
}

// each is a family with values of each router.
func each(name, help string, kind kind, values func(Router, func(float64, ...string)), labels ...string) family {
	return family{name: name, help: help, kind: kind, labels: append([]string{"vip", "family"}, labels...),
		values: func(s Snapshot, put func(float64, ...string)) {
			for _, r := range s.Routers {
				values(r, func(v float64, more ...string) { put(v, append([]string{r.VIP, r.Family}, more...)...) })
			}
		}}
}

// reading is a histogram of each router.
func reading(name, help string, read func(Router) Reading) family {
	return family{name: name, help: help, kind: histogram, labels: []string{"vip", "family"},
		readings: func(s Snapshot, put func(Reading, ...string)) {
			for _, r := range s.Routers {
				put(read(r), r.VIP, r.Family)
			}
		}}
}

// oneOf puts 1 for the value that is, and 0 for the others.
func oneOf(all []string, is string, put func(float64, ...string), labels ...string) {
	for _, x := range all {
		put(truth(x == is), append(labels[:len(labels):len(labels)], x)...)
	}
}

func by(counts map[string]uint64, put func(float64, ...string)) {
	for _, label := range slices.Sorted(maps.Keys(counts)) {
		put(float64(counts[label]), label)
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
