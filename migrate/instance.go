package migrate

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vipd/vipd/config"
	"github.com/vipd/vipd/vrrp"
)

// instance is a vrrp_instance on its way to a VIP.
type instance struct {
	k       *keepalived
	d       *directive
	vip     VIP
	version string
	source  netip.Addr
	unicast []*directive
	notify  []*directive

	priorities priorities
}

func (r *instance) note(d *directive, format string, args ...any) {
	what := shown(d.name())
	if d == r.d {
		what += " " + d.arg(0)
	}
	r.k.notes.add(d.at, what, format, args...)
}

func (r *instance) line(d *directive) {
	if d.name() == "priority" && d.host != "" && !strings.HasPrefix(d.host, "^") {
		r.priorities.setHost(r, d)
		return
	}
	if !r.k.holds(d) {
		r.note(d, "left out: it is for the host %s", d.host)
		return
	}
	switch d.name() {
	case "interface": // was read
	case "virtual_router_id":
		r.number(d, 1, 255, &r.vip.VRID)
	case "priority":
		r.priorities.set(r, d)
	case "advert_int":
		r.interval(d)
	case "version":
		r.version = d.arg(0)
	case "preempt":
		r.vip.Preempt = true
	case "nopreempt":
		r.vip.Preempt = false
		r.note(d, "became preempt = false. As long as keepalived runs on other servers take it out of theirs: one with it leaves the VIP with a vipd whose API server is down")
	case "preempt_delay":
		r.delay(d)
	case "virtual_ipaddress":
		r.addresses(d)
	case "virtual_ipaddress_excluded":
		r.excluded(d)
	case "unicast_src_ip":
		r.source, _, _ = parseAddr(d.arg(0))
	case "unicast_peer":
		r.unicast = append(r.unicast, d)
	case "use_vmac":
		r.vip.VirtualMAC = true
	case "v3_checksum_as_v2":
		r.checksum(d)
	case "track_script":
		r.track(d)
	case "authentication":
		r.authentication(d)
	default:
		if strings.HasPrefix(d.name(), "notify") {
			r.notify = append(r.notify, d)
			return
		}
		r.k.remark(d, remediesOfInstance)
	}
}

// finish completes the VIP and adds it to the plan.
func (r *instance) finish() {
	if len(r.vip.Addresses) == 0 {
		r.note(r.d, "left out: it has no virtual_ipaddress")
		return
	}
	if r.version != "3" && r.vip.Addresses[0].Is4() {
		r.note(r.d, "it speaks VRRP version 2, keepalived's default for IPv4: put vrrp_version 3 into global_defs on every server before the first of them changes to vipd")
	}
	if !r.vip.Preempt && r.vip.PreemptDelay > 0 {
		r.vip.PreemptDelay = 0
		r.note(r.d, "preempt_delay has no effect with nopreempt: left out")
	}
	if r.vip.VRID == 0 {
		r.note(r.d, "it has no virtual_router_id: one that is free was chosen")
	}
	r.peers()
	r.priorities.translate(r)
	name, why := r.k.plan.admit(r.vip)
	if why != "" {
		r.note(r.d, "%s", why)
		return
	}
	for _, d := range r.notify {
		r.k.notify = append(r.k.notify, notified{line: d, instance: r.d.arg(0), vip: name})
	}
}

func (r *instance) iface(d *directive) {
	if !interfaceName(d.arg(0)) {
		r.note(d, "%q is no interface that vipd takes: each server finds the one whose subnet holds the address", d.arg(0))
		return
	}
	r.vip.Interface = d.arg(0)
}

// number reads a whole number into n, which stays as it is if there is none.
func (r *instance) number(d *directive, lo, hi int, n *uint8) bool {
	v, err := strconv.Atoi(d.arg(0))
	if err != nil || v < lo || v > hi {
		r.note(d, "%q is not a number from %d to %d: left out", d.arg(0), lo, hi)
		return false
	}
	*n = uint8(v)
	return true
}

func (r *instance) interval(d *directive) {
	v, ok := seconds(d.arg(0))
	if !ok {
		r.note(d, "%q is not a number of seconds: left out", d.arg(0))
		return
	}
	r.vip.AdvertInterval = advertInterval(v)
	if r.vip.AdvertInterval != v {
		r.note(d, "%s became %v: version 3 has 10ms to 40.95s, in steps of 10ms. Set keepalived to the same", d.arg(0), r.vip.AdvertInterval)
	}
}

func (r *instance) delay(d *directive) {
	v, ok := seconds(d.arg(0))
	if !ok || v > time.Hour {
		r.note(d, "%q is not a number of seconds up to an hour: left out", d.arg(0))
		return
	}
	r.vip.PreemptDelay = v
}

// seconds reads a number of seconds, with a fraction or without.
func seconds(s string) (time.Duration, bool) {
	const most = 24 * 3600
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || !(v >= 0 && v <= most) {
		return 0, false
	}
	return time.Duration(v*1e6+0.5) * time.Microsecond, true
}

func (r *instance) checksum(d *directive) {
	r.vip.Checksum = config.PseudoHeader
	if isTrue(d) {
		r.vip.Checksum = config.RFC9568
	}
}

// addresses reads virtual_ipaddress.
func (r *instance) addresses(d *directive) {
	for _, line := range d.block {
		a, ok := r.address(line)
		if !ok || slices.Contains(r.vip.Addresses, a) {
			continue
		}
		if len(r.vip.Addresses) > 0 && vrrp.FamilyOf(a) != vrrp.FamilyOf(r.vip.Addresses[0]) {
			r.k.notes.add(line.at, a.String(), "left out: it is of the other family, which keepalived does not advertise either. It is in a comment in the file")
			r.vip.Later = append(r.vip.Later, a)
			continue
		}
		if len(r.vip.Addresses) == vrrp.MaxAddresses {
			r.k.notes.add(line.at, a.String(), "left out: an advertisement holds %d addresses", vrrp.MaxAddresses)
			return
		}
		r.vip.Addresses = append(r.vip.Addresses, a)
	}
}

// excluded reads the addresses that keepalived puts without advertising them.
func (r *instance) excluded(d *directive) {
	for _, line := range d.block {
		if a, ok := r.address(line); ok && !slices.Contains(r.vip.Later, a) {
			r.vip.Later = append(r.vip.Later, a)
		}
	}
	r.note(d, "vipd advertises all that it holds, and the lists must be the same while keepalived runs on other servers. So these are in a comment, to be added when it does not")
}

// address reads a line of one of the two, and says what of it is lost.
func (r *instance) address(d *directive) (netip.Addr, bool) {
	if !r.k.holds(d) {
		r.k.notes.add(d.at, d.name(), "left out: it is for the host %s", d.host)
		return netip.Addr{}, false
	}
	a, length, ok := parseAddr(d.name())
	if !ok {
		r.k.notes.add(d.at, d.name(), "is not an address: left out")
		return a, false
	}
	if why := config.UnfitVIP(a); why != "" {
		r.k.notes.add(d.at, d.name(), "is %s: left out", why)
		return a, false
	}
	if length != a.BitLen() {
		r.k.notes.once(d.at, fmt.Sprintf("/%d", length), bare)
	}
	if i := slices.Index(d.words, "dev"); i > 0 && d.arg(i) != r.vip.Interface {
		r.k.notes.add(d.at, "dev "+d.arg(i), "vipd puts the address on the interface that it advertises on")
	}
	return a, true
}

// peers makes the list of peers, this node's own address included, so that the file
// serves all servers.
func (r *instance) peers() {
	if len(r.unicast) == 0 || len(r.vip.Addresses) == 0 {
		return
	}
	r.peer(r.unicast[0].at, r.source)
	for _, d := range r.unicast {
		for _, line := range d.block {
			a, _, ok := parseAddr(line.name())
			if !ok {
				r.k.notes.add(line.at, line.name(), "is not the address of a peer: left out")
				continue
			}
			r.peer(line.at, a)
		}
	}
	if !r.source.IsValid() {
		r.note(r.unicast[0], "on the other servers, peers has to hold this server's address too. Add it here, and one file serves all")
	}
}

func (r *instance) peer(at place, a netip.Addr) {
	if !a.IsValid() || slices.Contains(r.vip.Peers, a) {
		return
	}
	switch {
	case config.UnfitHost(a) != "":
		r.k.notes.add(at, a.String(), "is %s, not a peer: left out", config.UnfitHost(a))
	case vrrp.FamilyOf(a) != vrrp.FamilyOf(r.vip.Addresses[0]):
		r.k.notes.add(at, a.String(), "left out of the peers: vipd advertises an address to peers of its own family")
	case slices.Contains(r.vip.Addresses, a):
		r.k.notes.add(at, a.String(), "left out of the peers: it is a virtual address")
	default:
		r.vip.Peers = append(r.vip.Peers, a)
	}
}

// authentication never repeats what it reads.
func (r *instance) authentication(d *directive) {
	for _, line := range d.block {
		if strings.Contains(line.name(), "hmac") {
			r.note(d, "put the key into a file and add [auth], see vipd.toml(5): until then vipd refuses what keepalived signs")
			return
		}
	}
	r.note(d, "version 3 has no passwords, and keepalived does not use this one then. vipd signs advertisements, which keepalived before 2.4 does not understand: add [auth] when vipd runs on all servers")
}
