package sim

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/vipd/vipd/vrrp"
)

// TestSabotage breaks one rule at a time, and wants the invariant that stands for
// it to notice within some seeds.
func TestSabotage(t *testing.T) {
	without := func(drop func(*node, vrrp.Event, vrrp.Effect, []vrrp.Effect) bool) sabotage {
		return sabotage{effects: func(n *node, e vrrp.Event, all []vrrp.Effect) []vrrp.Effect {
			return slices.DeleteFunc(slices.Clone(all), func(f vrrp.Effect) bool { return drop(n, e, f, all) })
		}}
	}
	tests := []struct {
		name      string
		sabotage  sabotage
		invariant string
	}{
		{"grades are not advertised", sabotage{effects: asConfigured}, "settle"},
		{"an Active is deaf", sabotage{drops: func(n *node, e vrrp.Event) bool {
			return e.String() == "received" && n.m.State() == vrrp.Active
		}}, "two actives"},
		{"a Backup has no timer", sabotage{drops: func(n *node, e vrrp.Event) bool {
			return e.String() == "tick" && n.m.State() == vrrp.Backup && !n.m.Holding()
		}}, "never nowhere"},
		{"a Backup is deaf", sabotage{drops: func(n *node, e vrrp.Event) bool {
			return e.String() == "received" && n.m.State() == vrrp.Backup
		}}, "silence"},
		{"the grade flutters", sabotage{effects: flutters}, "flapping"},
		{"the address is never released", without(func(_ *node, _ vrrp.Event, f vrrp.Effect, _ []vrrp.Effect) bool {
			return f.Kind == vrrp.Release
		}), "stale holder"},
		{"the address has no lease", sabotage{leaseForever: true}, "lease"},
		{"K3s may start with the address", sabotage{drops: func(_ *node, e vrrp.Event) bool {
			return e.String() == "permit"
		}}, "withdrawn"},
		{"no linger", sabotage{effects: atOnce}, "make before break"},
		{"a takeover needs no fresh probe", sabotage{effects: believes}, "common cause"},
		{"a fallen grade waits for the next advertisement", without(func(_ *node, e vrrp.Event, f vrrp.Effect, _ []vrrp.Effect) bool {
			return f.Kind == vrrp.Send && (e.String() == "verdict" || e.String() == "demote")
		}), "prompt"},
		{"never ready, and claims", sabotage{inherits: true}, "never ready"},
		{"timers before what was received", sabotage{timersFirst: true}, "silence"},
		{"a claim is announced once", without(func(_ *node, _ vrrp.Event, f vrrp.Effect, all []vrrp.Effect) bool {
			return f.Kind == vrrp.Announce && !has(all, vrrp.Claim)
		}), "clients"},
		{"the winner does not announce again", without(func(n *node, e vrrp.Event, f vrrp.Effect, _ []vrrp.Effect) bool {
			return f.Kind == vrrp.Announce && n.c.since(n.c.watch.nodes[n.id].roseAt) > pastLocktime
		}), "clients"},
		{"the loser says nothing", sabotage{effects: speechless}, "clients"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			const seeds = 400
			for s := range uint64(seeds) {
				_, err := simulate(s, test.sabotage, nil)
				if v := (*Violation)(nil); errors.As(err, &v) && v.Invariant == test.invariant {
					t.Logf("seed %d: %v", s, err)
					return
				}
			}
			t.Errorf("invariant %q has not noticed in %d seeds", test.invariant, seeds)
		})
	}
}

// asConfigured advertises the configured priority whatever the grade.
func asConfigured(n *node, _ vrrp.Event, all []vrrp.Effect) []vrrp.Effect {
	changed := slices.Clone(all)
	for i := range changed {
		if changed[i].Kind == vrrp.Send && changed[i].Priority != vrrp.PriorityLeave {
			changed[i].Priority = n.cfg.Priority
		}
	}
	return changed
}

// atOnce releases the address as soon as the router is not Active any more.
func atOnce(_ *node, _ vrrp.Event, all []vrrp.Effect) []vrrp.Effect {
	if !ceases(all) {
		return all
	}
	return append(slices.Clone(all), vrrp.Effect{Kind: vrrp.Release})
}

// flutters ranks an Active as down for a moment with each refresh.
func flutters(n *node, e vrrp.Event, all []vrrp.Effect) []vrrp.Effect {
	if e.String() == "tick" && has(all, vrrp.Announce) {
		n.inbox = append(n.inbox, vrrp.Demote(true))
		n.later(time.Second, func() { n.feed(vrrp.Demote(false)) })
	}
	return all
}

// believes takes for granted what a probe was to confirm.
func believes(n *node, _ vrrp.Event, all []vrrp.Effect) []vrrp.Effect {
	if has(all, vrrp.Probe) {
		n.inbox = append(n.inbox, vrrp.Observed(vrrp.Ready, n.c.now))
	}
	return all
}

// speechless leaves out the advertisement with which a loser yields.
func speechless(_ *node, _ vrrp.Event, all []vrrp.Effect) []vrrp.Effect {
	if !ceases(all) {
		return all
	}
	return slices.DeleteFunc(slices.Clone(all), func(f vrrp.Effect) bool {
		return f.Kind == vrrp.Send && f.Priority != vrrp.PriorityLeave
	})
}

func has(all []vrrp.Effect, k vrrp.EffectKind) bool {
	return slices.ContainsFunc(all, func(f vrrp.Effect) bool { return f.Kind == k })
}

func ceases(all []vrrp.Effect) bool {
	return slices.ContainsFunc(all, func(f vrrp.Effect) bool {
		return f.Kind == vrrp.Changed && f.Transition.From == vrrp.Active
	})
}
