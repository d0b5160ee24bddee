package config

import (
	"slices"

	"github.com/vipd/vipd/vrrp"
)

// peerTable is a [[bgp.peer]], and [bgp] with what it shares with others.
type peerTable struct{ own, common value }

func (t peerTable) has(name string) bool { return t.own.has(name) || t.common.has(name) }

// failKey reports a problem with a key where it stands.
func (t peerTable) failKey(name, format string, args ...any) {
	if !t.own.has(name) && t.common.has(name) {
		t.common.failKeyOnce(name, format, args...)
		return
	}
	t.own.failKey(name, format, args...)
}

// namesOf returns the keys of another table, which are read on their own.
func namesOf[T, O any](s schema[O]) schema[T] {
	var out schema[T]
	for _, name := range s.names() {
		out = append(out, entry[T]{name, nil})
	}
	return out
}

// readCommonPeer reads what [bgp] has for all peers.
func readCommonPeer(t value) BGPPeer {
	p := defaultBGPPeer()
	sharedPeerKeys.pick(t, &p)
	refusePairs(t)
	return p
}

// refusePairs reports keys that exclude each other in one table.
func refusePairs(t value) {
	if t.has("password_file") && t.has("password_credential") {
		t.failKey("password_credential", "excludes password_file: keep one of the two")
	}
	if t.has("multihop") && t.has("ttl_security") {
		t.failKey("ttl_security", "excludes multihop: keep one of the two")
	}
}

// inherit returns what a peer starts from: what all have, without that which its own
// choice excludes.
func (t peerTable) inherit(common BGPPeer) BGPPeer {
	if t.own.has("password_file") || t.own.has("password_credential") {
		common.Password = Key{}
	}
	if t.own.has("multihop") || t.own.has("ttl_security") {
		common.Multihop, common.TTLSecurity = 0, 0
	}
	if t.own.has("worse_by") {
		common.WorseStep = 0 // a step of something else
	}
	return common
}

func readBGPPeer(t peerTable, common BGPPeer, as localAS, host Host) BGPPeer {
	p := t.inherit(common)
	bgpPeerKeys.read(t.own, &p)
	refusePairs(t.own)
	if !t.own.has("address") {
		t.own.failKey("address", "missing: write that of the router")
	}
	if !t.has("as") {
		t.own.failKey("as", "missing: write that of the router")
	}
	if p.Families == nil && p.Address.IsValid() {
		p.Families = []vrrp.Family{vrrp.FamilyOf(p.Address)}
	}
	speaker := host.Name // that of another rack is judged as its own hosts do
	if !p.isFor(host) && len(p.hosts) > 0 {
		speaker = p.hosts[0]
	}
	internal := p.AS == as.of(speaker)
	if p.WorseBy == "" {
		p.WorseBy = WorseByPath
		if internal {
			p.WorseBy = WorseByPreference
		}
	}
	if p.WorseStep == 0 {
		p.WorseStep = map[WorseBy]uint32{WorseByPath: 4, WorseByPreference: 30, WorseByMED: 1000}[p.WorseBy]
	}
	checkBGPPeer(t, p)
	checkPreference(t, p, internal)
	return p
}

func checkBGPPeer(t peerTable, p BGPPeer) {
	if p.BFD > 0 && p.Multihop > 0 {
		t.failBFD()
	}
	if p.Source.IsValid() && p.Address.IsValid() && vrrp.FamilyOf(p.Source) != vrrp.FamilyOf(p.Address) {
		t.failKey("source", "%s is %s, and that of peer %s is not: write one of the same family, or the interface that has both", p.Source, vrrp.FamilyOf(p.Source), p.Address)
	}
	if p.Keepalive > p.HoldTime/3 {
		t.failKeepalive(p)
	}
}

// failBFD reports BFD with a peer beyond the next hop, at the key that this peer has of its own.
func (t peerTable) failBFD() {
	if t.own.has("multihop") && !t.own.has("bfd") {
		t.own.failKey("multihop", "is for others than neighbours, and bfd in [bgp] for those alone: add bfd = \"\" here")
		return
	}
	t.failKey("bfd", "is for neighbours, and multihop for others: remove one of the two")
}

// failKeepalive reports a keepalive that is too long, likewise.
func (t peerTable) failKeepalive(p BGPPeer) {
	if t.own.has("hold_time") && !t.own.has("keepalive") {
		t.own.failKey("hold_time", "%s is less than three times the keepalive in [bgp], %s: choose more, or add a keepalive here", Spell(p.HoldTime), Spell(p.Keepalive))
		return
	}
	t.failKey("keepalive", "%s is more than a third of hold_time, %s: choose less, or leave it out", Spell(p.Keepalive), Spell(p.HoldTime))
}

// maxPrepend bounds how often the own AS is prepended for one step: three steps of it
// still fit into what routers take.
const maxPrepend = 10

// checkPreference holds what makes a route more or less preferred against the kind of peer.
func checkPreference(t peerTable, p BGPPeer, internal bool) {
	if p.WorseBy == WorseByPreference && !internal {
		t.failKey("worse_by", "\"local-preference\" is not sent to external peers: choose \"as-path\" or \"med\"")
	}
	if p.WorseBy == WorseByPath && internal {
		t.failKey("worse_by", "\"as-path\" would have internal peers take the route for a loop: choose \"local-preference\" or \"med\"")
	}
	if t.own.has("local_preference") && !internal {
		t.own.failKey("local_preference", "is not sent to external peers: remove it")
	}
	if p.WorseBy == WorseByPath && p.WorseStep > maxPrepend {
		t.failKey("worse_step", "%d is out of range: the AS is prepended 1 to %d times for a step", p.WorseStep, maxPrepend)
	}
}

// failKeyOnce reports a problem as failKey does, unless that was done: what many peers
// share is wrong once.
func (v value) failKeyOnce(name, format string, args ...any) {
	n := len(v.report.errs)
	v.failKey(name, format, args...)
	if last := v.report.errs[n]; slices.Contains(v.report.errs[:n], last) {
		v.report.errs = v.report.errs[:n]
	}
}
