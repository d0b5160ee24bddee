package agent

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/vipd/vipd/vip"
	"github.com/vipd/vipd/vrrp"
)

// suspects are stations that said they have an address held here, by address. A
// successor whose advertisement was lost says so too, and the loser of a split, so they
// are judged a while later.
type suspects struct {
	claims  map[netip.Addr]claim
	judgeAt vrrp.Instant // the first of them; Never: there are none
}

type claim struct {
	mac     net.HardwareAddr
	at      vrrp.Instant
	judgeAt vrrp.Instant
}

// othersClaim is told that another station says it has an address: the successor of a
// router that leaves, or else the loser of a split, or a thief.
func (r *router) othersClaim(h vip.Heard) {
	r.call(func() {
		// The successor's advertisement came before its announcement, but perhaps
		// by the other socket: without it this would look like a theft.
		r.readAll(r.clock.now())
		if r.machine.State() != vrrp.Active {
			r.step(vrrp.SuccessorAnnounced())
			return
		}
		virtual := vrrp.VirtualMAC(r.id.Family, r.cfg.VRID)
		if r.cfg.VirtualMAC && bytes.Equal(h.MAC, virtual[:]) {
			return // a peer's frames carry the same MAC
		}
		r.suspectTheft(h)
		r.step(vrrp.Contested())
		r.check()
	})
}

// suspectTheft remembers a claim until it can be judged. What comes meanwhile is not
// remembered: who goes on is heard again.
func (r *router) suspectTheft(h vip.Heard) {
	now, since := r.clock.now(), r.snapshot().since
	_, known := r.suspects.claims[h.Addr]
	if known || r.machine.State() != vrrp.Active || now.Sub(since) < conflictDelay {
		return // the predecessor may still answer
	}
	if r.suspects.claims == nil {
		r.suspects.claims = make(map[netip.Addr]claim)
	}
	judgeAt := now.Add(r.judgeAfter())
	r.suspects.claims[h.Addr] = claim{mac: h.MAC, at: now, judgeAt: judgeAt}
	r.suspects.judgeAt = min(r.suspects.judgeAt, judgeAt)
}

// resolveAgain is how long the kernel waits until it asks again for the MAC address of a
// unicast peer that did not answer.
const resolveAgain = time.Second

// judgeAfter is how long a router whose announcement was heard may take to be heard itself.
func (r *router) judgeAfter() time.Duration {
	d := max(conflictDelay, 2*r.cfg.AdvertInterval)
	if len(r.cfg.Peers) > 0 {
		d += resolveAgain
	}
	return d
}

// judge tells of the suspects whose time has come.
func (r *router) judge(now vrrp.Instant) {
	next := vrrp.Never
	for addr, c := range r.suspects.claims {
		if c.judgeAt > now {
			next = min(next, c.judgeAt)
			continue
		}
		delete(r.suspects.claims, addr)
		if !r.excused(c) {
			r.contested(addr, c.mac)
		}
	}
	r.suspects.judgeAt = next
}

// excused reports whether the claim was a router's: of one that has taken over since,
// or that was heard at the time, and is told of in its own way if it goes on.
func (r *router) excused(c claim) bool {
	if r.machine.State() != vrrp.Active || r.snapshot().since > c.at {
		return true
	}
	p := r.peers.latest()
	return len(p) > 0 && p[0].At > c.at.Add(-2*r.cfg.AdvertInterval)
}

// answered is told that a station has answered for an address held here.
func (r *router) answered(addr netip.Addr, mac net.HardwareAddr) {
	r.call(func() { r.suspectTheft(vip.Heard{Addr: addr, MAC: mac}) })
}

// contested notes that another station has one of the addresses held here.
func (r *router) contested(addr netip.Addr, mac net.HardwareAddr) {
	r.meter.conflicts.Add(1)
	o := oddity{src: addr, mac: mac.String()}
	words := func() string {
		return fmt.Sprintf("%s is also claimed by the station with MAC %s: find it and take the address from it", addr, mac)
	}
	if w, due := r.claims.due(o, time.Now(), words); due {
		r.record.conflict(r.id, r.cfg, r.iface(), w)
	}
}
