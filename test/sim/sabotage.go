package sim

import "github.com/vipd/vipd/vrrp"

// sabotage breaks a rule on purpose, to show that the invariants notice.
type sabotage struct {
	// drops says which events do not get to the machine.
	drops func(*node, vrrp.Event) bool
	// config changes that of a new machine.
	config func(*vrrp.Config)
	// effects changes what the machine wants in answer to an event.
	effects func(*node, vrrp.Event, []vrrp.Effect) []vrrp.Effect
	// leaseForever makes addresses permanent.
	leaseForever bool
	// timersFirst runs the timers before what was received, after a stall.
	timersFirst bool
	// inherits makes every process believe that it has been ready.
	inherits bool
	// blind makes the agent see nothing of the API server's process: its probes alone tell.
	blind bool
	// hasty makes the judge wait for nothing before it calls a server degraded.
	hasty bool
	// noHold leaves out the damping of the judge.
	noHold bool
	// noRenewal leaves leases to run out.
	noRenewal bool
	// resumes decides whether a restarted agent resumes; nil: as it should.
	resumes func(should bool) bool
	// forgets drops what was received during a stall.
	forgets bool
	// hears changes an advertisement on its way in.
	hears func(*node, *vrrp.Advert)
}

func (s *sabotage) lets(n *node, e vrrp.Event) bool { return s.drops == nil || !s.drops(n, e) }

func (s *sabotage) configure(c vrrp.Config) vrrp.Config {
	if s.config != nil {
		s.config(&c)
	}
	return c
}

func (s *sabotage) change(n *node, e vrrp.Event, f []vrrp.Effect) []vrrp.Effect {
	if s.effects == nil {
		return f
	}
	return s.effects(n, e, f)
}
