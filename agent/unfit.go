package agent

import (
	"time"

	"github.com/vipd/vipd/vrrp"
)

// demotion is a set of reasons for which a node ranks as down.
type demotion uint8

const (
	drained   demotion = 1 << iota // by the operator
	preparing                      // before K3s is stopped, until it is ready again
	stopping                       // K3s is being stopped
	unable                         // the addresses cannot be put on the interface
)

// tryAgain ends the pause after a claim that failed. One that still holds without
// success, because nobody better is there, goes on ranking as down.
func (r *router) tryAgain(now vrrp.Instant) {
	if r.machine.Holding() {
		r.pauseEnds = now.Add(minPause)
		return
	}
	r.able()
}

// able forgets that a claim failed, but not for how long the next one pauses.
func (r *router) able() {
	r.pauseEnds = vrrp.Never
	r.mu.Lock()
	r.view.claimErr = nil
	r.mu.Unlock()
	r.setDemotion(unable, false)
}

// forgive forgets what failed on an interface that is gone: a claim fails as it goes,
// and that says nothing about the next one.
func (r *router) forgive() {
	r.pause, r.retryAt = 0, vrrp.Never
	r.able()
}

// words say why the node ranks as down; "" if it does not.
func (d demotion) words() string {
	switch {
	case d&drained != 0:
		return "drained by the operator"
	case d&preparing != 0:
		return "drained for a stop of K3s, until it is ready again"
	case d&stopping != 0:
		return "K3s is being stopped"
	case d&unable != 0:
		return "cannot put the addresses on the interface"
	}
	return ""
}

// unfit says why this node is not ready; "" if it is.
func (r *router) unfit() string {
	if r.demotion != 0 {
		return r.demotion.words()
	}
	if r.machine.Grade() == vrrp.Ready {
		return ""
	}
	return r.health
}

// demote adds a reason to rank as down, or takes it away.
func (r *router) demote(why demotion, on bool) {
	r.call(func() { r.setDemotion(why, on) })
}

func (r *router) setDemotion(why demotion, on bool) {
	old := r.demotion
	r.demotion &^= why
	if on {
		r.demotion |= why
	}
	if (old == 0) != (r.demotion == 0) {
		r.step(vrrp.Demote(r.demotion != 0))
	}
}

// verdict tells the router how fit the API server is.
func (r *router) verdict(g vrrp.Grade, hold time.Duration, cause string) {
	r.call(func() { r.setVerdict(g, hold, cause) })
}

// permit says whether the addresses may be on the interface.
func (r *router) permit(on, urgent bool) {
	r.step(vrrp.Permit(on))
	if urgent {
		r.step(vrrp.Withdraw())
	}
}

func (r *router) setVerdict(g vrrp.Grade, hold time.Duration, cause string) {
	r.health = cause
	r.step(vrrp.Verdict(g, hold))
}

// claimed notes whether the addresses could be put on the interface. A node that
// cannot hold them ranks as down, so that one that can takes over.
func (r *router) claimed(err error) {
	if err != nil && !r.machine.Holding() {
		return // it was released meanwhile
	}
	r.mu.Lock()
	was := r.view.claimErr
	r.view.claimErr = err
	r.mu.Unlock()
	if err != nil {
		r.retryAt = r.clock.now().Add(claimRetry)
	}
	if (err == nil) == (was == nil) {
		return
	}
	r.record.claimed(r.id, r.cfg, err)
	if err == nil {
		r.pause, r.pauseEnds = 0, vrrp.Never
		r.setDemotion(unable, false)
		return
	}
	r.pause = min(max(2*r.pause, minPause), maxPause)
	r.pauseEnds = r.clock.now().Add(r.pause)
	r.setDemotion(unable, true)
}
