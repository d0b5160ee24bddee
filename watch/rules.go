package watch

import (
	"net/netip"
	"slices"
	"time"

	"github.com/vipd/vipd/config"
	"github.com/vipd/vipd/vrrp"
)

// rules are this host's: what it would make of an advertisement.
type rules struct {
	routers []*router
	auth    *config.Auth // nil: none, or no configuration
	blind   map[uint8]bool
	own     []netip.Addr
}

// router is a virtual router of vipd.toml.
type router struct {
	vip   config.VIP
	iface string // "" if it was not found
	f     vrrp.Family

	// Two, for what this host sends itself would be refused as forged.
	others, ours *vrrp.Inspector
}

// newRules makes the rules of a configuration; nil for none. Keys that cannot be read
// are left out, and named by their ids.
func newRules(cfg *config.Config, own []netip.Addr, find func(config.VIP) string) *rules {
	r := &rules{own: own, blind: make(map[uint8]bool)}
	if cfg == nil {
		return r
	}
	r.auth = cfg.Auth
	keys := r.readKeys()
	for _, v := range cfg.VIPs {
		if v.Mode == config.ModeBGP {
			continue
		}
		for _, f := range v.Families() {
			r.routers = append(r.routers, r.router(v, f, find(v), keys))
		}
	}
	return r
}

// readKeys reads each key by itself, so that one that is missing hides no other.
func (r *rules) readKeys() []vrrp.Key {
	var keys []vrrp.Key
	if r.auth == nil {
		return nil
	}
	for _, k := range r.auth.Keys {
		secrets, err := (&config.Auth{Keys: []config.Key{k}}).ReadKeys()
		if err != nil {
			r.blind[k.ID] = true
			continue
		}
		keys = append(keys, vrrp.Key{ID: k.ID, Secret: secrets[k.ID]})
	}
	return keys
}

func (r *rules) router(v config.VIP, f vrrp.Family, iface string, keys []vrrp.Key) *router {
	in := vrrp.Inspector{
		Family: f, VRID: v.VRID, Interval: v.AdvertInterval, Addrs: ofFamily(v.Addresses, f), Own: r.own,
		Peers: ofFamily(v.Peers, f), Counters: new(vrrp.Counters),
	}
	if r.auth != nil {
		in.Verifier = r.auth.Verifier(keys, v.AdvertInterval)
	}
	own := in
	own.Own = nil
	if len(own.Peers) > 0 {
		own.Peers = slices.Concat(own.Peers, r.own)
	}
	return &router{vip: v, iface: iface, f: f, others: &in, ours: &own}
}

// find returns the router that an advertisement is for, nil if it is none of ours.
func (r *rules) find(iface string, f vrrp.Family, vrid uint8) *router {
	for _, x := range r.routers {
		if x.f == f && x.vip.VRID == vrid && (x.iface == "" || x.iface == iface) {
			return x
		}
	}
	return nil
}

// verdict is what the rules make of an advertisement.
type verdict struct {
	router   *router // nil: a virtual router that is not in vipd.toml
	reason   vrrp.Reason
	notices  vrrp.Notice
	verified bool
	blind    bool // its key could not be read, so the signature says nothing
}

// judge applies the rules. Without a router for it, those that hold for every one.
func (r *rules) judge(iface string, d *datagram, own bool, key uint8, now time.Time) verdict {
	if d.part {
		return verdict{reason: vrrp.BadLength}
	}
	f := vrrp.FamilyOf(d.Src)
	if f == vrrp.IPv6 && !d.checksumOK() {
		return verdict{reason: vrrp.BadChecksum} // the kernel drops it
	}
	var vrid uint8
	if len(d.payload) > 1 {
		vrid = d.payload[1]
	}
	x := r.find(iface, f, vrid)
	if x == nil {
		return verdict{reason: judgeStranger(d, f, vrid)}
	}
	in := x.others
	if own {
		in = x.ours
	}
	_, reason, notices := in.Inspect(d.Header, d.payload, 0, now)
	v := verdict{router: x, reason: reason, notices: notices}
	if reason == vrrp.AuthUnknownKey && r.blind[key] {
		v.reason, v.blind = vrrp.Accepted, true
	}
	v.verified = key != 0 && r.auth != nil && v.reason == vrrp.Accepted && !v.blind
	return v
}

// judgeStranger applies what holds whatever the configuration: a signature is no fault.
func judgeStranger(d *datagram, f vrrp.Family, vrid uint8) vrrp.Reason {
	var p vrrp.Packet
	payload := d.payload
	n, reason := p.Parse(f, payload)
	if reason == vrrp.Accepted && len(payload) == n+vrrp.TrailerLen {
		payload = payload[:n]
	}
	in := vrrp.Inspector{Family: f, VRID: vrid, Interval: p.Interval, Addrs: p.Addrs, Counters: new(vrrp.Counters)}
	if !d.Dst.IsMulticast() {
		in.Peers = []netip.Addr{d.Src}
	}
	_, reason, _ = in.Inspect(d.Header, payload, 0, time.Time{})
	return reason
}

func ofFamily(addrs []netip.Addr, f vrrp.Family) []netip.Addr {
	var out []netip.Addr
	for _, a := range addrs {
		if vrrp.FamilyOf(a) == f {
			out = append(out, a)
		}
	}
	return out
}
