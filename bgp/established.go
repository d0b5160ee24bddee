package bgp

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/vipd/vipd/vrrp"
)

// established runs a session that is up. Routes that a predecessor announced are left as
// they are for a moment, until it is known what becomes of them.
func (t *talk) established(k *Kept) error {
	var inherited []Announced
	var bfd *KeptBFD
	if k != nil {
		inherited, bfd = k.Routes, k.BFD
	}
	t.up(inherited)
	t.startBFD(bfd)
	for _, r := range inherited {
		t.sent[r.Addr] = &announced{hop: r.Hop}
		t.adopted = time.Now()
	}
	if err := t.talk(); err != nil {
		return t.ended(err)
	}
	return nil
}

func (t *talk) up(inherited []Announced) {
	t.enter(Established)
	t.mu.Lock()
	t.state.Problem, t.said, t.told = "", "", ""
	t.state.Families = t.families
	t.state.Counters.Established++
	t.mu.Unlock()
	words := fmt.Sprintf("session with %s, AS %d, is up", t.speaks(), t.p.AS)
	if len(inherited) > 0 {
		words = fmt.Sprintf("session with %s, AS %d, goes on", t.speaks(), t.p.AS)
	}
	t.speaker.report(Event{Peer: t.state.Peer, Up: true, Words: words})
}

// startBFD has both ends watch each other more closely than the hold time does.
func (t *talk) startBFD(kept *KeptBFD) {
	if t.p.BFD == 0 {
		return
	}
	b, err := t.speaker.bfd.start(t.local(), t.p.Address, t.p.BFD, kept)
	if err != nil {
		t.suffers(noBFD, err.Error())
		return
	}
	t.bfd = b
}

// unseen is closed when BFD says that the router is gone.
func (t *talk) unseen() <-chan struct{} {
	if t.bfd == nil {
		return nil
	}
	return t.bfd.down
}

// ended ends the connection, or keeps it for a successor.
func (t *talk) ended(err error) error {
	if errors.Is(err, errEnding) && t.lastWord() == nil {
		if k := t.keep(); k != nil {
			t.kept = k
			return errEnding
		}
	}
	return t.end(err)
}

// talk says what there is to say until the session ends.
func (t *talk) talk() error {
	timers := newTimers(t.hold, t.p.Keepalive)
	defer timers.stop()
	if !t.adopted.IsZero() { // the router has waited
		if err := t.write(keepalive()); err != nil {
			return err
		}
	}
	if err := t.sync(); err != nil {
		return err
	}
	if t.adopted.IsZero() {
		for _, f := range t.families {
			if err := t.write(marshalEnd(f)); err != nil {
				return err
			}
		}
	}
	leaving := t.leaving
	var left <-chan time.Time
	for {
		var err error
		select {
		case <-t.ending:
			return errEnding
		case <-left:
			return errEnding
		case <-leaving:
			leaving, left = nil, time.After(t.linger())
			err = t.sync()
		case <-t.kick:
			err = t.sync()
		case <-timers.look.C:
			err = t.sync()
		case <-timers.keepalive.C:
			err = t.write(keepalive())
		case m, ok := <-t.inbox:
			if !ok {
				return errEnding
			}
			timers.heard()
			err = t.handle(m)
		case <-t.unseen():
			return &Error{Code: codeCease, Subcode: ceaseBFD, Words: fmt.Sprintf("BFD: it is gone; packets were due each %v", t.p.BFD)}
		case <-timers.hold.C:
			if len(t.inbox) > 0 {
				timers.heard() // it was this host that was late
				continue
			}
			return &Error{Code: codeHold, Words: fmt.Sprintf("nothing was heard of it for the hold time of %v", t.hold)}
		}
		if err != nil {
			return err
		}
	}
}

// linger is how long a session that leaves goes on: not at all without a route.
func (t *talk) linger() time.Duration {
	if len(t.sent) == 0 {
		return 0
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.lingers
}

func (t *talk) handle(m message) error {
	t.count(m)
	switch {
	case m.err != nil:
		return m.err
	case m.kind == typeNotification:
		return &received{parseNotification(m.body)}
	case m.malformed:
		t.malformed()
	case m.kind == typeRefresh:
		t.asked = true
		if time.Since(t.refreshed) < refreshLeast {
			return nil // the next look answers
		}
		return t.sync()
	case m.kind == typeOpen:
		return &Error{Code: codeFSM, Words: "it sent a second OPEN"}
	}
	return nil
}

// malformed notes an update that cannot be read. Nothing is imported, so nothing is lost,
// and the routes of this node are worth more than the router's good manners.
func (t *talk) malformed() {
	t.note(func(s *Status) { s.Counters.Malformed++ })
	t.suffers(malformed, "it sends malformed updates; they are ignored, as all of its routes are")
}

// again announces everything once more, for a router that has asked for it. One that does
// not stop asking waits.
func (t *talk) again() {
	if !t.asked || time.Since(t.refreshed) < refreshLeast {
		return
	}
	t.asked, t.refreshed = false, time.Now()
	for _, a := range t.sent {
		a.known = false
	}
}

// sync tells the router what has changed, withdrawals first.
func (t *talk) sync() error {
	t.again()
	t.p = t.config()
	avoid, wanted := t.speaker.avoided(), t.wanted()
	is := func(addr netip.Addr) func(Route) bool {
		return func(r Route) bool { return r.Addr == addr && t.takes(r.Addr) }
	}
	if time.Since(t.adopted) >= resumeGrace {
		for addr, a := range t.sent {
			if slices.ContainsFunc(wanted, is(addr)) {
				continue
			}
			if err := t.write(marshalWithdraw(addr, a.hop)); err != nil {
				return err
			}
			delete(t.sent, addr)
		}
	}
	clear(t.noHop)
	for _, r := range wanted {
		if err := t.announce(r, avoid); err != nil {
			return err
		}
	}
	t.suffers(noHop4, t.noHop[vrrp.IPv4])
	t.suffers(noHop6, t.noHop[vrrp.IPv6])
	t.note(func(s *Status) { s.Routes = len(t.sent) })
	t.lookAtBFD()
	return nil
}

// wanted returns the routes that the router is to know, and how: those of a session that
// leaves do too.
func (t *talk) wanted() []Route {
	routes := t.speaker.routes()
	if t.leaves() {
		for i, r := range routes {
			routes[i].Standing = min(r.Standing, Leaving)
		}
	}
	return routes
}

// lookAtBFD notes how BFD fares. One that does not come up leaves the session as it is, and
// the node's death to the hold time.
func (t *talk) lookAtBFD() {
	if t.p.BFD == 0 {
		return
	}
	if t.bfd != nil && t.bfd.up() {
		t.note(func(s *Status) { s.BFD = "up" })
		t.suffers(noBFD, "")
		return
	}
	t.note(func(s *Status) { s.BFD = "down" })
	if t.bfd != nil && time.Since(t.status().Since) > bfdPatience {
		t.suffers(noBFD, fmt.Sprintf("BFD is not up: is it on at the router for %v, is UDP port %d open, and is the router a neighbour?", t.local(), bfdPort))
	}
}

func (t *talk) takes(addr netip.Addr) bool { return slices.Contains(t.families, vrrp.FamilyOf(addr)) }

func (t *talk) announce(r Route, avoid []netip.Addr) error {
	if !t.takes(r.Addr) {
		return nil
	}
	hops, err := t.nextHops(vrrp.FamilyOf(r.Addr), avoid)
	if err != nil {
		t.noHop[vrrp.FamilyOf(r.Addr)] = err.Error()
		return nil
	}
	a := t.p.Policy.attributes(r, t.cfg.AS, t.p.AS, hops)
	old := t.sent[r.Addr]
	if old != nil && old.known && old.attrs.equal(a) {
		return nil
	}
	if err := t.write(marshalAnnounce(r.Addr, a, t.fourOctets)); err != nil {
		return err
	}
	t.sent[r.Addr] = &announced{attrs: a, hop: vrrp.FamilyOf(hops[0]), known: true}
	return nil
}

// timers are those of a session that is up.
type timers struct {
	time      time.Duration
	hold      *time.Timer
	look      *time.Ticker
	keepalive *time.Ticker
}

// newTimers returns the timers for the hold time that was agreed on.
func newTimers(hold, keepalive time.Duration) *timers {
	every := hold / 3
	if keepalive > 0 {
		every = min(every, keepalive)
	}
	return &timers{time: hold, hold: time.NewTimer(hold), look: time.NewTicker(lookAgain), keepalive: time.NewTicker(every)}
}

func (t *timers) heard() { t.hold.Reset(t.time) }

func (t *timers) stop() {
	t.hold.Stop()
	t.look.Stop()
	t.keepalive.Stop()
}
