package main

import (
	"context"
	"fmt"
	"time"

	"github.com/vipd/vipd/test/cluster"
)

// strain is an agent that advertises in an interval while the CPUs have too much to do.
type strain struct {
	Agent    string        `json:"agent"`
	Interval time.Duration `json:"interval"`
	Lasted   time.Duration `json:"lasted"`
	// False is how often an address came to a node although the holder was well.
	False int `json:"false"`
}

// hogs is how many processes want each CPU for themselves.
const hogs = 4

// strained returns agents that may sustain an interval, without checks of an API.
func strained(interval time.Duration) []entrant {
	plain := &cluster.Keepalived{Global: []string{"vrrp_version 3"}, Interval: interval}
	return []entrant{
		{name: "vipd", interval: interval, realTime: true},
		{name: "vipd, ordinary scheduling", interval: interval},
		{name: "keepalived", interval: interval, keepalived: plain},
		{name: "keepalived, real-time scheduling", interval: interval, keepalived: tuned(interval, nil)},
	}
}

// sustained looks for takeovers without a cause, at ever longer intervals until there
// are none.
func (w *workshop) sustained(ctx context.Context, b *book) error {
	calmAt := make(map[string]bool)
	for _, ms := range []time.Duration{10, 20, 50, 100, 250, 1000} {
		for _, e := range strained(ms * time.Millisecond) {
			if calmAt[e.name] || !w.wanted(e.name) {
				continue
			}
			s, err := w.strain(ctx, e)
			if err != nil {
				return fmt.Errorf("%s: %w", e.name, err)
			}
			fmt.Printf("sustained %-34s %6s %d takeovers without a cause in %s\n", s.Agent, s.Interval, s.False, short(s.Lasted))
			calmAt[e.name] = s.False == 0
			b.strain(s, ms == 10)
		}
	}
	return nil
}

func (w *workshop) strain(ctx context.Context, e entrant) (s strain, err error) {
	p := plan{servers: 2, agent: e.agent(), config: func(s *cluster.Server) string {
		return fmt.Sprintf("[[check]]\ntype = \"none\"\n[[vip]]\nname = \"k3s\"\naddresses = [%q]\nvrid = 51\npriority = %d\nadvert_interval = %q\n", cluster.VIP4, s.Priority(), e.interval)
	}}
	k, err := w.contender(e, p)
	if err != nil {
		return s, err
	}
	defer func() {
		if cerr := k.close(); err == nil {
			err = cerr
		}
	}()
	for _, v := range k.Servers {
		if err := v.StartAgent(); err != nil {
			return s, err
		}
	}
	start, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := k.heldBy(start, k.first(), calm); err != nil {
		return s, err
	}
	relieve, err := cluster.Starve(hogs)
	if err != nil {
		return s, err
	}
	began := time.Now()
	pause(ctx, w.load)
	relieve()
	s = strain{Agent: e.name, Interval: e.interval, Lasted: time.Since(began)}
	for _, x := range k.ledger.Entries(began, time.Now()) {
		if x.Addr == cluster.VIP4 && x.There {
			s.False++
		}
	}
	return s, k.ledger.Err()
}
