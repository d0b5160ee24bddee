package watch

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/vipd/vipd/vrrp"
)

// Times of the observer.
const (
	sayAgain    = 10 * time.Second // between two reports of one conflict
	silentAfter = 3 * time.Second
	swapWindow  = 5 * time.Second // in which an address may change hands once
	longest     = time.Minute     // that anybody is believed to be there without being heard
	enough      = 3               // advertisements of each of two that show that neither yields
)

// observer remembers who said what, and finds contradictions. Time is an argument.
type observer struct {
	elections map[election]*contest
	vips      map[netip.Addr]*holders
	always    []netip.Addr // addresses whose announcements are shown, heard of or not
	quiet     map[election]*quiet
	told      map[string]time.Time
}

// election is a virtual router on an interface. Without a family or VRID it stands for
// all of them there.
type election struct {
	iface string
	f     vrrp.Family
	vrid  uint8
}

func (e election) String() string {
	switch {
	case e.vrid == 0:
		return "any VRID"
	case e.f == 0:
		return fmt.Sprintf("VRID %d", e.vrid)
	}
	return fmt.Sprintf("VRID %d, %v", e.vrid, e.f)
}

// contest is who advertises in an election.
type contest struct{ speakers map[netip.Addr]*speaker }

// speaker is one who advertises.
type speaker struct {
	last     time.Time
	interval time.Duration
	priority uint8
	count    int // since another one came
	refused  vrrp.Reason
}

func (s *speaker) there(now time.Time) bool {
	return now.Sub(s.last) <= min(4*s.interval, longest)
}

// holders is who advertises an address, and who announces it.
type holders struct {
	advertised map[string]expiry // by MAC
	claims     []claimed         // the last three changes of hands
}

type expiry struct {
	at      time.Time
	name    string
	virtual bool
}

type claimed struct {
	mac string
	at  time.Time
}

// quiet is how long nothing has been heard of an election.
type quiet struct {
	since time.Time
	next  time.Duration // when to say so
	last  string        // who spoke last; "" if nobody did
}

func newObserver(expected []election, always []netip.Addr, now time.Time) *observer {
	o := &observer{
		elections: make(map[election]*contest), vips: make(map[netip.Addr]*holders), always: always,
		quiet: make(map[election]*quiet), told: make(map[string]time.Time),
	}
	for _, e := range expected {
		o.quiet[e] = &quiet{since: now, next: silentAfter}
	}
	return o
}

// advert takes note of an advertisement and returns the conflicts that it shows.
func (o *observer) advert(iface string, d *datagram, m message, reason vrrp.Reason, now time.Time) []Conflicting {
	e := election{iface, vrrp.FamilyOf(d.Src), m.vrid}
	o.hear(e, d.Src, m, now)
	if reason == vrrp.Accepted {
		o.credit(d, m, now)
	}
	c := o.elections[e]
	if c == nil {
		c = &contest{speakers: make(map[netip.Addr]*speaker)}
		o.elections[e] = c
	}
	if m.priority == vrrp.PriorityLeave {
		delete(c.speakers, d.Src)
		return nil
	}
	c.speak(d.Src, m, reason, now)
	return o.rivals(e, c, now)
}

// maxSpeakers bounds the memory of senders that a flood makes up.
const maxSpeakers = 256

func (c *contest) speak(src netip.Addr, m message, reason vrrp.Reason, now time.Time) {
	interval := max(m.interval, 10*time.Millisecond)
	if m.interval == 0 {
		interval = time.Second
	}
	s := c.speakers[src]
	if s == nil || !s.there(now) {
		for _, other := range c.speakers {
			other.count = 0
		}
		if len(c.speakers) >= maxSpeakers {
			clear(c.speakers)
		}
		s = &speaker{count: 1}
		c.speakers[src] = s
	} else if now.Sub(s.last) > interval/2 { // not a copy for another unicast peer, nor an answer
		s.count++
	}
	s.last, s.interval, s.priority, s.refused = now, interval, m.priority, reason
}

// Conflicting is a conflict, and where.
type Conflicting struct {
	Conflict
	iface, text string
}

// rivals reports two who go on advertising beside each other.
func (o *observer) rivals(e election, c *contest, now time.Time) []Conflicting {
	var names, words []string
	for _, src := range slices.SortedFunc(maps.Keys(c.speakers), netip.Addr.Compare) {
		s := c.speakers[src]
		if !s.there(now) {
			delete(c.speakers, src)
			continue
		}
		if s.count < enough {
			continue
		}
		names = append(names, src.String())
		text := fmt.Sprintf("%s (priority %d)", src, s.priority)
		if s.refused != vrrp.Accepted {
			text = fmt.Sprintf("%s (priority %d, refused here: %v)", src, s.priority, s.refused)
		}
		words = append(words, text)
	}
	about := fmt.Sprintf("VRID %d", e.vrid)
	if len(names) < 2 || !o.tell(fmt.Sprint(e, names), now) {
		return nil
	}
	return []Conflicting{{Conflict{about, names}, e.iface, strings.Join(words, " and ") +
		" are both Active: they do not hear each other, or refuse what they hear, or are two groups that use one VRID"}}
}

// credit notes that whoever sent an accepted advertisement may announce its addresses.
func (o *observer) credit(d *datagram, m message, now time.Time) {
	until := now.Add(min(4*m.interval, longest) + time.Second)
	virtual := vrrp.VirtualMAC(vrrp.FamilyOf(d.Src), m.vrid)
	for _, a := range m.addrs {
		h := o.holders(a)
		h.advertised[d.mac.String()] = expiry{until, d.Src.String(), false}
		if m.priority != vrrp.PriorityLeave {
			h.advertised[net.HardwareAddr(virtual[:]).String()] = expiry{until, d.Src.String(), true}
		}
	}
}

// maxAddresses bounds the memory of addresses that strangers make up.
const maxAddresses = 4096

func (o *observer) holders(a netip.Addr) *holders {
	h := o.vips[a]
	if h == nil {
		if len(o.vips) >= maxAddresses {
			clear(o.vips)
		}
		h = &holders{advertised: make(map[string]expiry)}
		o.vips[a] = h
	}
	return h
}

// claim takes note of one, and returns whether its address is a VIP, and the conflict if
// there is one.
func (o *observer) claim(iface string, c *claim, now time.Time) (isVIP bool, found []Conflicting) {
	if o.vips[c.addr] == nil && !slices.Contains(o.always, c.addr) {
		return false, nil
	}
	h := o.holders(c.addr)
	mac := c.mac.String()
	rival, ok := h.rival(mac, now)
	if !ok || !o.tell(c.addr.String()+mac, now) {
		return true, nil
	}
	return true, []Conflicting{{Conflict{c.addr.String(), []string{mac, rival.mac}}, iface,
		fmt.Sprintf("%s is claimed by %s, but also by %s%s: another host has the address, or answers for it", c.addr, mac, rival.mac, rival.name)}}
}

type rival struct{ mac, name string }

// rival returns who else has the address. Whoever advertises it may claim it; while
// nobody does, it may change hands once within the window.
func (h *holders) rival(mac string, now time.Time) (rival, bool) {
	before := h.changed(mac, now)
	maps.DeleteFunc(h.advertised, func(_ string, x expiry) bool { return now.After(x.at) })
	if _, may := h.advertised[mac]; may {
		return rival{}, false
	}
	for _, other := range slices.Sorted(maps.Keys(h.advertised)) {
		if x := h.advertised[other]; !x.virtual {
			return rival{other, fmt.Sprintf(", as %s advertises", x.name)}, true
		}
	}
	return rival{before, ""}, before != ""
}

// changed notes a claim, and returns the MAC that claimed the address between this claim
// and an earlier one of the same station, not long ago.
func (h *holders) changed(mac string, now time.Time) (between string) {
	n := len(h.claims)
	if n > 0 && h.claims[n-1].mac == mac {
		h.claims[n-1].at = now
		return ""
	}
	if n > 1 && h.claims[n-2].mac == mac && now.Sub(h.claims[n-2].at) < swapWindow {
		between = h.claims[n-1].mac
	}
	h.claims = append(h.claims, claimed{mac, now})
	h.claims = h.claims[max(0, len(h.claims)-3):]
	return between
}

// tell reports whether something is to be said now, which was not said lately.
func (o *observer) tell(what string, now time.Time) bool {
	if last, ok := o.told[what]; ok && now.Sub(last) < sayAgain {
		return false
	}
	if len(o.told) >= maxAddresses {
		clear(o.told)
	}
	o.told[what] = now
	return true
}

// hear ends a silence.
func (o *observer) hear(e election, src netip.Addr, m message, now time.Time) {
	for _, key := range []election{e, {e.iface, 0, e.vrid}, {e.iface, 0, 0}} {
		if q := o.quiet[key]; q != nil {
			q.since, q.next = now, max(silentAfter, min(4*m.interval, longest))
			q.last = fmt.Sprintf("%s (priority %d, %s)", src, m.priority, m.grade())
		}
	}
}

// Silent is a silence that is to be told of.
type Silent struct {
	iface, text string
}

// silences returns those that have lasted long enough to be told of, or told of again.
func (o *observer) silences(now time.Time) []Silent {
	var list []Silent
	for e, q := range o.quiet {
		lasted := now.Sub(q.since)
		if lasted < q.next {
			continue
		}
		text := fmt.Sprintf("nothing heard for %v on %s (%v): ", lasted.Round(time.Second), e.iface, e)
		if q.last == "" {
			text += "nobody is Active here, or the network between drops IP protocol 112 (this host's firewall does not hide it from here); unicast is heard by its peers alone"
		} else {
			text += q.last + " was the last, and nobody has taken over"
		}
		list = append(list, Silent{e.iface, text})
		q.next *= 10
	}
	slices.SortFunc(list, func(a, b Silent) int { return strings.Compare(a.text, b.text) })
	return list
}
