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
		{"the end of K3s is not told", sabotage{drops: func(_ *node, e vrrp.Event) bool {
			return e.String() == "permit"
		}}, "withdrawn"},
		{"K3s starts with the address", sabotage{drops: func(_ *node, e vrrp.Event) bool {
			return e.String() == "withdraw"
		}}, "K3s starts"},
		{"no linger", sabotage{effects: atOnce}, "make before break"},
		{"a takeover needs no fresh probe", sabotage{effects: believes}, "common cause"},
		{"an Active takes its successor's first word for the last", sabotage{drops: func(n *node, e vrrp.Event) bool {
			return e.String() == "received" && n.m.State() == vrrp.Active && n.c.since(n.c.watch.lastRise()) < 20*time.Millisecond
		}}, "succession"},
		{"who fell takes everything for a last word until an interval ends", sabotage{drops: func(n *node, e vrrp.Event) bool {
			fell := n.c.watch.nodes[n.id].sankAt
			return e.String() == "received" && n.m.State() == vrrp.Active && fell != vrrp.Never && n.c.since(fell) < n.cfg.AdvertInterval
		}}, "sunk"},
		{"the address comes before the advertisement", sabotage{effects: foremost(vrrp.Claim)}, "order"},
		{"the address is announced before it is there", sabotage{effects: foremost(vrrp.Announce)}, "order"},
		{"preempt = false is not heeded", sabotage{config: func(c *vrrp.Config) { c.Preempt = true }}, "preemption"},
		{"who becomes ready does not let others heal", sabotage{hears: func(_ *node, a *vrrp.Advert) {
			if vrrp.GradeOf(a.Priority) == vrrp.Degraded {
				a.Priority = vrrp.WirePriority(vrrp.Down, a.Priority)
			}
		}}, "healing"},
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

		{"who is unwell does not rise", sabotage{drops: func(n *node, e vrrp.Event) bool {
			return e.String() == "tick" && n.m.State() == vrrp.Backup && n.m.Grade() == vrrp.Down && !n.m.Holding()
		}}, "never nowhere"},
		{"equally bad nodes are ranked by their priorities", sabotage{hears: ranks}, "common cause"},
		{"degraded at the first failure", sabotage{hasty: true}, "patience"},
		{"flapping is not damped", sabotage{noHold: true}, "damping"},
		{"a better grade counts unconfirmed", sabotage{effects: believesUnseen}, "fresh probe"},
		{"a fall to down releases nothing", sabotage{drops: func(n *node, e vrrp.Event) bool {
			return e.String() == "verdict" && n.cfg.ReleaseOnDown && n.api.grade == vrrp.Down && n.m.State() == vrrp.Active
		}}, "unready"},
		{"polls alone tell of a crash", sabotage{blind: true}, "fall"},
		{"priority 0 is said once", without(func(n *node, e vrrp.Event, f vrrp.Effect, _ []vrrp.Effect) bool {
			return f.Kind == vrrp.Send && f.Priority == vrrp.PriorityLeave && e.String() == "tick"
		}), "leaver"},
		{"one that falls to down says that it leaves", sabotage{effects: leavesWhenDown}, "leave"},
		{"a fall to down lets the address go", sabotage{effects: letsGoWhenDown}, "without address"},
		{"leases are not renewed", sabotage{noRenewal: true}, "renewal"},
		{"a restarted agent never resumes", sabotage{resumes: func(bool) bool { return false }}, "resume"},
		{"a restarted agent resumes, however late", sabotage{resumes: func(bool) bool { return true }}, "resume"},
		{"what came during a stall is forgotten", sabotage{forgets: true}, "stall"},
		{"failed sends are not noticed", sabotage{drops: func(_ *node, e vrrp.Event) bool {
			return e.String() == "send-failed"
		}}, "mute"},
		{"each lower advertisement is answered", sabotage{effects: answers}, "answers"},
		{"each lower advertisement is announced against", sabotage{effects: shouts}, "announcements"},
		{"a deleted address stays away", sabotage{drops: func(_ *node, e vrrp.Event) bool {
			return e.String() == "address-lost"
		}}, "without address"},
		{"no tie-break", sabotage{hears: equalsAreLower}, "two actives"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			const seeds = 400
			for s := range uint64(seeds) {
				_, err := simulate(s, test.sabotage, nil)
				if v := (*Violation)(nil); errors.As(err, &v) && v.Invariant == test.invariant {
					t.Logf("seed %d: %v", s, err)
					noticesWhenAlwaysChecking(t, s, test.sabotage, err)
					return
				}
			}
			t.Errorf("invariant %q has not noticed in %d seeds", test.invariant, seeds)
		})
	}
}

// noticesWhenAlwaysChecking holds that what is left out of the checks does no harm.
func noticesWhenAlwaysChecking(t *testing.T, seed uint64, s sabotage, want error) {
	c := randomCluster(seed, s, nil)
	c.watch.always = true
	if err := c.scenario(); err == nil || err.Error() != want.Error() {
		t.Errorf("checked after each event: %v", err)
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

// foremost does what is of a kind before all else.
func foremost(k vrrp.EffectKind) func(*node, vrrp.Event, []vrrp.Effect) []vrrp.Effect {
	return func(_ *node, _ vrrp.Event, all []vrrp.Effect) []vrrp.Effect {
		changed := slices.Clone(all)
		slices.SortStableFunc(changed, func(a, b vrrp.Effect) int {
			switch {
			case a.Kind == k && b.Kind != k:
				return -1
			case a.Kind != k && b.Kind == k:
				return 1
			}
			return 0
		})
		return changed
	}
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

// believesUnseen takes a probe for granted that has not been made.
func believesUnseen(n *node, _ vrrp.Event, all []vrrp.Effect) []vrrp.Effect {
	if !has(all, vrrp.Probe) {
		return all
	}
	n.inbox = append(n.inbox, vrrp.Observed(vrrp.Ready, n.c.now))
	return slices.DeleteFunc(slices.Clone(all), func(f vrrp.Effect) bool { return f.Kind == vrrp.Probe })
}

// ranks has a node that is unwell take one that is too, and of a lower configured
// priority, for one that leaves.
func ranks(n *node, a *vrrp.Advert) {
	if own := n.m.Grade(); own < vrrp.Ready && vrrp.GradeOf(a.Priority) == own && n.c.node(a.Src).cfg.Priority < n.cfg.Priority {
		a.Priority = vrrp.PriorityLeave
	}
}

// equalsAreLower has an Active hold its own for more than an equal priority.
func equalsAreLower(n *node, a *vrrp.Advert) {
	if n.m.State() == vrrp.Active && a.Priority == n.m.Priority() && a.Priority > 1 {
		a.Priority--
	}
}

// leavesWhenDown has an Active that is down say that it leaves.
func leavesWhenDown(n *node, _ vrrp.Event, all []vrrp.Effect) []vrrp.Effect {
	changed := slices.Clone(all)
	for i := range changed {
		if changed[i].Kind == vrrp.Send && n.m.State() == vrrp.Active && n.m.Grade() == vrrp.Down {
			changed[i].Priority = vrrp.PriorityLeave
		}
	}
	return changed
}

// letsGoWhenDown has it release the address.
func letsGoWhenDown(n *node, e vrrp.Event, all []vrrp.Effect) []vrrp.Effect {
	if e.String() != "verdict" || n.m.State() != vrrp.Active || n.m.Grade() != vrrp.Down {
		return all
	}
	return append(slices.Clone(all), vrrp.Effect{Kind: vrrp.Release})
}

// answers answers each advertisement that does not make an Active yield.
func answers(n *node, e vrrp.Event, all []vrrp.Effect) []vrrp.Effect {
	return defends(n, e, all, vrrp.Effect{Kind: vrrp.Send, Priority: n.m.Priority()})
}

// shouts announces against each of them.
func shouts(n *node, e vrrp.Event, all []vrrp.Effect) []vrrp.Effect {
	return defends(n, e, all, vrrp.Effect{Kind: vrrp.Announce})
}

func defends(n *node, e vrrp.Event, all []vrrp.Effect, with vrrp.Effect) []vrrp.Effect {
	if e.String() != "received" || n.m.State() != vrrp.Active || has(all, with.Kind) {
		return all
	}
	return append(slices.Clone(all), with)
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
