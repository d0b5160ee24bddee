package agent

import (
	"net/netip"
	"slices"
	"time"

	"github.com/vipd/vipd/config"
	"github.com/vipd/vipd/vrrp"
)

// view is what the loop publishes.
type view struct {
	cfg       config.VIP
	state     vrrp.State
	since     vrrp.Instant
	cause     string
	holding   bool
	priority  uint8
	grade     vrrp.Grade
	hasReady  bool
	permitted bool
	mute      bool
	heard     vrrp.Advert
	leads     vrrp.Instant // since when heard's sender is the Active
	interval  time.Duration
	rival     vrrp.Rival
	sentAt    vrrp.Instant
	iface     string
	src       netip.Addr
	claimErr  error
	blocked   error // why it has no network although the interface is usable
}

func (r *router) publish(now vrrp.Instant, sent bool) {
	m := r.machine
	r.mu.Lock()
	defer r.mu.Unlock()
	v := &r.view
	heard, _ := m.Heard()
	if v.state == vrrp.Active || heard.Src != v.heard.Src {
		v.leads = heard.At
	}
	v.heard = heard
	v.cfg, v.state, v.holding, v.priority, v.grade = r.cfg, m.State(), m.Holding(), m.Priority(), m.Grade()
	v.mute, v.interval, v.rival = m.Mute(), m.Interval(), m.Rival(now)
	v.hasReady, v.permitted = m.HasBeenReady(), m.Permitted()
	if sent {
		v.sentAt = now
	}
	v.iface = r.iface()
	v.src = netip.Addr{}
	if r.link != nil {
		v.src = r.link.src
	}
}

func (r *router) snapshot() view {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.view
}

// has reports whether an address is one of the VIP's. Of many routers it is asked for
// each change of an address, so it copies nothing.
func (r *router) has(a netip.Addr) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Contains(r.view.cfg.Addresses, a)
}

// setBlocked notes why the router has no network although others have.
func (r *router) setBlocked(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.view.blocked = err
}
