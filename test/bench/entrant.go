package main

import (
	"fmt"
	"time"

	"github.com/vipd/vipd/test/cluster"
)

// entrant is an agent with settings, as it takes part.
type entrant struct {
	name       string
	interval   time.Duration       // of its advertisements
	peer       string              // the entrant whose figures it is held against; "" for none
	keepalived *cluster.Keepalived // nil: vipd
	realTime   bool
	// nextCheck is how long it takes on average until a check of the API server begins;
	// crashTells and hangTells are how long from then until as many have failed as count.
	nextCheck, crashTells, hangTells time.Duration
}

// The entrants by name.
const (
	vipdDefault = "vipd"
	vipdSlow    = "vipd, 1 s"
	vipdFast    = "vipd, 0.1 s"
	peerDefault = "keepalived"
	peerTwice   = "keepalived, fall 2"
	peerFast    = "keepalived, 0.1 s"
)

// entrants returns all, vipd and its peers in turn. vipd has the scheduling of its unit;
// keepalived has that of Debian's, which is the ordinary one, unless it was tuned.
func entrants() []entrant {
	vipd := func(name, peer string, interval time.Duration) entrant {
		// Three probes have to fail, one begins each 0.5 s, and each has 0.75 s.
		return entrant{name: name, interval: interval, peer: peer, realTime: true, hangTells: 1750 * time.Millisecond, nextCheck: 250 * time.Millisecond}
	}
	return []entrant{
		vipd(vipdDefault, peerDefault, 250*time.Millisecond),
		{name: peerDefault, interval: time.Second, nextCheck: 500 * time.Millisecond, hangTells: time.Second, keepalived: &cluster.Keepalived{Check: readyz()}},
		{name: peerTwice, interval: time.Second, peer: peerDefault, nextCheck: 500 * time.Millisecond, crashTells: time.Second, hangTells: 2 * time.Second,
			keepalived: &cluster.Keepalived{Check: readyz("interval 1", "timeout 1", "fall 2", "rise 2")}},
		vipd(vipdFast, peerFast, 100*time.Millisecond),
		{name: peerFast, interval: 100 * time.Millisecond, nextCheck: 500 * time.Millisecond, crashTells: time.Second, hangTells: 2 * time.Second,
			keepalived: tuned(100*time.Millisecond, readyz("interval 1", "timeout 1", "fall 2", "rise 2"))},
		vipd(vipdSlow, peerDefault, time.Second),
	}
}

// readyz is the check that keepalived's users write, with further lines.
func readyz(options ...string) func(*cluster.Server) cluster.KeepalivedScript {
	return func(s *cluster.Server) cluster.KeepalivedScript {
		return cluster.KeepalivedScript{Command: cluster.CurlReadyz(s), Options: options}
	}
}

// tuned is a keepalived whose owner has read its manual: VRRPv3, real-time scheduling,
// and announcements that follow each other sooner.
func tuned(interval time.Duration, check func(*cluster.Server) cluster.KeepalivedScript) *cluster.Keepalived {
	return &cluster.Keepalived{
		Global:   []string{"vrrp_version 3", "vrrp_rt_priority 50"},
		Instance: []string{"garp_master_delay 1", "garp_master_repeat 3", "garp_lower_prio_repeat 3", "higher_prio_send_advert true"},
		Interval: interval, Check: check,
	}
}

// find returns the entrants of these names.
func find(names ...string) []entrant {
	var out []entrant
	for _, n := range names {
		for _, e := range entrants() {
			if e.name == n {
				out = append(out, e)
			}
		}
	}
	return out
}

// agent returns what the servers run; nil is vipd.
func (e entrant) agent() cluster.Agent {
	if e.keepalived == nil {
		return nil
	}
	return *e.keepalived
}

func (e entrant) vipd() bool { return e.keepalived == nil }

// config is the vipd.toml of a server.
func (e entrant) config(s *cluster.Server) string {
	return cluster.DefaultConfig(s) + fmt.Sprintf("advert_interval = %q\n", e.interval)
}

// skew is the Skew_Time of the server that is second in priority.
func (e entrant) skew() time.Duration { return time.Duration(256-secondPriority) * e.interval / 256 }

// secondPriority is that of the second server of a cluster.
const secondPriority = 240
