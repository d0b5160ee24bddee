package doctor

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/vipd/vipd/agent/control"
	"github.com/vipd/vipd/config"
	"github.com/vipd/vipd/vrrp"
)

func checkWire(ctx context.Context, p *patient) ([]Finding, error) {
	places, err := p.places()
	if err != nil {
		return nil, err
	}
	frames, err := p.heard()
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	cfg, err := p.cfg()
	if err != nil {
		return nil, errNoConfig
	}
	keys, err := p.keys(cfg.Auth)
	if err != nil {
		return nil, err // the check of the credentials says which
	}
	// Asked now: by the time that something was heard here the agent has heard it too.
	status, err := p.Agent.Status(ctx)
	if err != nil {
		status = control.Status{} // the check of the agent says why
	}
	var list []Finding
	var unsure error
	for _, at := range places {
		if at.link == nil {
			continue
		}
		own := at.ears(frames)
		e := &ear{patient: p, at: at, auth: cfg.Auth, keys: keys, status: status}
		found, why := e.judge(own)
		list = append(list, found...)
		unsure = cmp.Or(unsure, why)
	}
	return list, unsure
}

// ears are the packets of the place's interface and family that others sent.
func (at place) ears(frames []Frame) []Frame {
	var own []Frame
	for _, f := range frames {
		if f.Link == at.link.Name && vrrp.FamilyOf(f.Header.Src) == at.family &&
			!bytes.Equal(f.MAC, at.link.MAC) && !at.link.holds(f.Header.Src) {
			own = append(own, f)
		}
	}
	return own
}

// keys returns what packets are verified with. Those that systemd gives to the unit
// alone are not there: without any, nothing is verified.
func (p *patient) keys(auth *config.Auth) ([]vrrp.Key, error) {
	if auth == nil {
		return nil, nil
	}
	here := readable(auth)
	if len(here.Keys) < len(auth.Keys) {
		return nil, nil
	}
	secrets, err := p.Secrets.Keys(here)
	if err != nil {
		return nil, err
	}
	var keys []vrrp.Key
	for id, secret := range secrets {
		keys = append(keys, vrrp.Key{ID: id, Secret: secret})
	}
	return keys, nil
}

// readable leaves the keys out that are systemd's.
func readable(auth *config.Auth) *config.Auth {
	here := *auth
	if os.Getenv("CREDENTIALS_DIRECTORY") == "" {
		here.Keys = slices.DeleteFunc(slices.Clone(auth.Keys), func(k config.Key) bool { return k.Credential != "" })
	}
	return &here
}

// ear judges what was heard for one virtual router.
type ear struct {
	*patient
	at     place
	auth   *config.Auth
	keys   []vrrp.Key
	status control.Status

	list []Finding
	said map[string]bool // kinds, by sender
	// friends are senders of advertisements that are as they should be, or nearly, and
	// when the last one came.
	friends map[netip.Addr]time.Time
}

// judge goes through the packets, and then asks who was not heard.
func (e *ear) judge(frames []Frame) ([]Finding, error) {
	e.said, e.friends = make(map[string]bool), make(map[netip.Addr]time.Time)
	in := &vrrp.Inspector{
		Family: e.at.family, VRID: e.at.vip.VRID, Interval: e.at.vip.AdvertInterval, Addrs: e.at.addrs,
		Peers: e.at.peers(), Counters: new(vrrp.Counters),
	}
	for _, a := range e.at.link.Addrs {
		in.Own = append(in.Own, a.Addr())
	}
	if len(e.keys) > 0 {
		in.Verifier = e.auth.Verifier(e.keys, e.at.vip.AdvertInterval)
	}
	for _, f := range frames {
		e.packet(in, f)
	}
	err := e.silence()
	return e.list, err
}

func (e *ear) packet(in *vrrp.Inspector, f Frame) {
	var p vrrp.Packet
	n, why := p.Parse(e.at.family, f.Payload)
	if p.VRID != in.VRID {
		if why == vrrp.Accepted && slices.ContainsFunc(p.Addrs, e.at.has) {
			e.say("vrid-differs", f, fmt.Sprintf("%s advertises %s with VRID %d, and ours is %d", who(f), names(p.Addrs), p.VRID, in.VRID),
				"use one vipd.toml on all servers")
		}
		return
	}
	if p.Version == 2 {
		e.say("peer-version-2", f, fmt.Sprintf("%s speaks VRRP version 2 for VRID %d", who(f), p.VRID), "keepalived: vrrp_version 3 in global_defs")
		return
	}
	if why == vrrp.Accepted && e.stranger(f, p.Addrs) {
		e.say("vrid-stranger", f, fmt.Sprintf("%s uses VRID %d for %s", who(f), p.VRID, names(p.Addrs)),
			"choose another vrid in vipd.toml on all servers; a free one: vipd init --output - --address "+e.at.addrs[0].String())
		return
	}
	e.clock(f, n)
	_, why, notice := in.Inspect(f.Header, f.Payload, 0, f.At)
	if in.Verifier == nil && e.auth != nil && why == vrrp.AuthUnexpected {
		why = vrrp.Accepted // there are keys, but not to be read here
	}
	if why != vrrp.Accepted {
		e.refused(f, why)
		return
	}
	e.notices(f, &p, notice)
	e.friends[f.Header.Src] = f.At
}

// stranger tells whether a sender has nothing to do with the VIP.
func (e *ear) stranger(f Frame, addrs []netip.Addr) bool {
	return !slices.ContainsFunc(addrs, e.at.has) && !slices.Contains(e.at.peers(), f.Header.Src)
}

func (at place) has(a netip.Addr) bool { return slices.Contains(at.addrs, a) }

func (e *ear) refused(f Frame, why vrrp.Reason) {
	kind := "peer-refused"
	switch why {
	case vrrp.AuthStale:
		return // the offset has been said
	case vrrp.AuthMissing, vrrp.AuthUnexpected, vrrp.AuthMalformed, vrrp.AuthUnknownKey, vrrp.AuthBadHMAC:
		kind = "peer-auth-differs"
	}
	fault, remedy := why.Explain(who(f))
	if fault == "" {
		return // nobody is to blame
	}
	if why == vrrp.BadDestination {
		fault += ", " + f.Header.Dst.String()
	}
	e.say(kind, f, fault, remedy)
}

func (e *ear) notices(f Frame, p *vrrp.Packet, n vrrp.Notice) {
	ours := vrrp.NoticeRFCChecksum
	if e.at.vip.Checksum == config.RFC9568 {
		ours = 0
	}
	if n&vrrp.NoticeInterval != 0 {
		e.say("peer-interval-differs", f, fmt.Sprintf("%s advertises each %v, this server each %v", who(f), p.Interval, e.at.vip.AdvertInterval),
			"use one vipd.toml on all servers; keepalived: advert_int "+fmt.Sprint(e.at.vip.AdvertInterval.Seconds()))
	}
	if n&vrrp.NoticeAddresses != 0 {
		e.say("peer-addresses-differ", f, fmt.Sprintf("%s advertises %s, this server has %s", who(f), names(p.Addrs), names(e.at.addrs)),
			"use one vipd.toml on all servers; keepalived: the same virtual_ipaddress")
	}
	if e.at.family == vrrp.IPv4 && (n&vrrp.NoticeRFCChecksum != 0) == (ours != 0) {
		e.say("peer-checksum-differs", f, who(f)+" computes the checksum in another way than this server", "use the same checksum in vipd.toml everywhere; beside keepalived or FRR: \"pseudo-header\"")
	}
	if n&vrrp.NoticeUnsigned != 0 && e.auth != nil && e.auth.Mode == config.Permissive {
		e.say("peer-auth-differs", f, who(f)+" does not sign its advertisements yet", "give it the [auth] of this server before mode = \"enforce\"")
	}
}

// Places in the trailer, whose sequence begins with the seconds of the sender's clock.
const (
	trailerSeconds  = 4
	trailerFraction = 8
)

// clock compares the time in a trailer with ours.
func (e *ear) clock(f Frame, message int) {
	trailer := f.Payload[min(message, len(f.Payload)):]
	if e.auth == nil || e.auth.AntiReplay != config.ByTime || len(trailer) != vrrp.TrailerLen {
		return
	}
	sent := time.Unix(int64(binary.BigEndian.Uint32(trailer[trailerSeconds:])),
		int64(binary.BigEndian.Uint16(trailer[trailerFraction:]))*int64(time.Second)>>16)
	window := e.auth.WindowFor(e.at.vip.AdvertInterval)
	if off := sent.Sub(f.At); off.Abs() > window/2 {
		e.say("clock-offset", f, fmt.Sprintf("the clock of %s is %v off ours; the window is %v", who(f), off.Round(100*time.Millisecond), window),
			"synchronise both: timedatectl set-ntp true; to see: timedatectl timesync-status, or chronyc tracking")
	}
}

// stampError is by how much the agent may have been late with a packet.
const stampError = time.Second

// silence says what follows from who was not heard. Its error is that it was not listened for
// long enough to know.
func (e *ear) silence() error {
	r, known := routerOf(e.status, e.at)
	for a, last := range e.friends {
		heard := slices.ContainsFunc(r.Peers, func(p control.Peer) bool {
			return p.Address == a.String() && p.LastHeard.After(last.Add(-stampError))
		})
		if known && !heard && r.State != "Initialize" {
			e.list = append(e.list, found("peer-filtered", e.at.String(),
				fmt.Sprintf("%s advertises on %s, and the agent does not hear it", a, e.at.link.Name),
				"let IP protocol 112 in: nft list ruleset, and see /usr/share/doc/vipd/examples"))
		}
	}
	if len(e.friends) > 0 || len(e.list) > 0 {
		return nil
	}
	switch needed := silent(e.at.vip.AdvertInterval); {
	case known && r.State == "Active" && len(r.Peers) > 0:
		// The Active alone advertises, and it has heard others.
	case known && r.State == "Active":
		e.list = append(e.list, found("peers-unheard", e.at.String(), "this server is Active and has heard no other",
			"if there are others, run vipd doctor on one of them: it has to hear this one"))
	case e.Listen < needed:
		return fmt.Errorf("heard nothing for %s within %v, which with an advert_interval of %v says little: run vipd doctor --listen %v", e.at, e.Listen, e.at.vip.AdvertInterval, needed)
	default:
		e.list = append(e.list, found("no-advertisement", e.at.String(), fmt.Sprintf("nobody advertised %s on %s within %v", names(e.at.addrs), e.at.link.Name, e.Listen),
			"on each server: systemctl enable --now vipd; if they run, let IP protocol 112 through between them"))
	}
	return nil
}

// say adds a finding, once for each sender.
func (e *ear) say(id string, f Frame, evidence, remedy string) {
	key := id + f.Header.Src.String()
	if e.said[key] {
		return
	}
	e.said[key] = true
	e.list = append(e.list, found(id, e.at.String(), evidence, remedy))
}

func who(f Frame) string { return fmt.Sprintf("%s (%s)", f.Header.Src, f.MAC) }

// names lists addresses, not too many of them.
func names(addrs []netip.Addr) string {
	var s []string
	for i, a := range addrs {
		if i == 3 {
			s = append(s, "...")
			break
		}
		s = append(s, a.String())
	}
	return strings.Join(s, ", ")
}
