package sim

import "github.com/vipd/vipd/vrrp"

// sabotage breaks a rule on purpose, to show that the invariants notice.
type sabotage struct {
	// drops says which events do not get to the machine.
	drops func(*node, vrrp.Event) bool
	// effects changes what the machine wants in answer to an event.
	effects func(*node, vrrp.Event, []vrrp.Effect) []vrrp.Effect
	// leaseForever makes addresses permanent.
	leaseForever bool
	// timersFirst runs the timers before what was received, after a stall.
	timersFirst bool
	// inherits makes every process believe that it has been ready.
	inherits bool
}

func (s *sabotage) lets(n *node, e vrrp.Event) bool { return s.drops == nil || !s.drops(n, e) }

func (s *sabotage) change(n *node, e vrrp.Event, f []vrrp.Effect) []vrrp.Effect {
	if s.effects == nil {
		return f
	}
	return s.effects(n, e, f)
}
