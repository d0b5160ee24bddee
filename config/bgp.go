package config

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vipd/vipd/vrrp"
)

// BGP is what the VIPs of mode "bgp" are announced with, resolved for one host.
type BGP struct {
	LocalAS    uint32
	RouterID   netip.Addr    // zero: the node's IPv4 address on the way to a peer
	DrainDelay time.Duration // from the announcement that this node leaves to the withdrawal
	Peers      []BGPPeer     // of this host, at least one
}

// BGPPeer is a router that the VIPs are announced to.
type BGPPeer struct {
	Address          netip.Addr
	AS               uint32
	Port             uint16
	Source           netip.Addr // zero: that on SourceInterface
	SourceInterface  string     // "": the kernel chooses
	Password         Key        // a file or a credential; its ID means nothing
	Multihop         uint8      // the TTL of what is sent; 0: 1 to external peers, 64 to internal ones
	TTLSecurity      uint8      // hops to it; 0: off
	HoldTime         time.Duration
	Keepalive        time.Duration // 0: a third of the hold time
	ConnectRetry     time.Duration
	BFD              time.Duration // interval; 0: none
	Families         []vrrp.Family
	ExtendedNextHop  bool
	NextHop4         netip.Addr
	NextHop6         netip.Addr
	Communities      []uint32
	LargeCommunities [][3]uint32
	LocalPreference  uint32
	MED              uint32
	WorseBy          WorseBy
	WorseStep        uint32
	hosts            []string
}

// WorseBy is what makes the route of a node that is not ready less preferred.
type WorseBy string

// The values of WorseBy.
const (
	WorseByPath       WorseBy = "as-path"
	WorseByPreference WorseBy = "local-preference"
	WorseByMED        WorseBy = "med"
)

// Internal tells whether a peer is in the AS of this node.
func (b *BGP) Internal(p BGPPeer) bool { return p.AS == b.LocalAS }

// Equal tells whether b and o are configured alike.
func (b *BGP) Equal(o *BGP) bool { return reflect.DeepEqual(b, o) }

const maxAS = 1<<32 - 1

// bgpKeys are those of [bgp], where what many peers share may stand too.
var bgpKeys = append(schema[BGP]{
	{"local_as", func(v value, b *BGP) { number(v, &b.LocalAS, 1, maxAS) }},
	{"local_as_by_host", nil},
	{"router_id", func(v value, b *BGP) { readOwnAddress(v, &b.RouterID, vrrp.IPv4) }},
	{"drain_delay", func(v value, b *BGP) { v.duration(&b.DrainDelay, 0, 10*time.Second) }},
	{"peer", nil},
}, namesOf[BGP](sharedPeerKeys)...)

// bgpPeerKeys are the keys of [[bgp.peer]].
var bgpPeerKeys = append(schema[BGPPeer]{
	{"address", readPeerAddress},
	{"next_hop_ipv4", func(v value, p *BGPPeer) { readOwnAddress(v, &p.NextHop4, vrrp.IPv4) }},
	{"next_hop_ipv6", func(v value, p *BGPPeer) { readOwnAddress(v, &p.NextHop6, vrrp.IPv6) }},
	{"hosts", readHosts},
}, sharedPeerKeys...)

// sharedPeerKeys are those that [bgp] takes too, for peers that lack them.
var sharedPeerKeys = schema[BGPPeer]{
	{"as", func(v value, p *BGPPeer) { number(v, &p.AS, 1, maxAS) }},
	{"port", func(v value, p *BGPPeer) { number(v, &p.Port, 1, 65535) }},
	{"source", readSource},
	{"password_file", readPasswordFile},
	{"password_credential", func(v value, p *BGPPeer) { readCredential(v, &p.Password) }},
	{"multihop", func(v value, p *BGPPeer) { whole(v, &p.Multihop, 2, 255, ", the hops to it") }},
	{"ttl_security", func(v value, p *BGPPeer) { whole(v, &p.TTLSecurity, 1, 254, ", the hops to it") }},
	{"hold_time", readHoldTime},
	{"keepalive", readKeepalive},
	{"connect_retry", func(v value, p *BGPPeer) { v.duration(&p.ConnectRetry, 100*time.Millisecond, 10*time.Minute) }},
	{"bfd", readBFD},
	{"families", readFamilies},
	{"extended_next_hop", func(v value, p *BGPPeer) { v.flag(&p.ExtendedNextHop) }},
	{"communities", readCommunities},
	{"large_communities", readLargeCommunities},
	{"local_preference", func(v value, p *BGPPeer) { number(v, &p.LocalPreference, 0, maxAS) }},
	{"med", func(v value, p *BGPPeer) { number(v, &p.MED, 0, 1<<31) }},
	{"worse_by", func(v value, p *BGPPeer) { oneOf(v, &p.WorseBy, WorseByPath, WorseByPreference, WorseByMED) }},
	{"worse_step", func(v value, p *BGPPeer) { number(v, &p.WorseStep, 1, 1<<20) }},
}

// number reads an integer that may be larger than what [whole] takes.
func number[T ~uint16 | ~uint32](v value, into *T, lo, hi int64) bool {
	n, ok := v.data.(int64)
	if !ok {
		v.fail("is %s: write a number from %d to %d without quotes", v.kind(), lo, hi)
		return false
	}
	if n < lo || n > hi {
		v.fail("%d is out of range: choose %d to %d", n, lo, hi)
		return false
	}
	*into = T(n)
	return true
}

// foreignToBGP are the keys of a VIP that only VRRP has a use for.
var foreignToBGP = []string{"vrid", "advert_interval", "preempt", "preempt_delay", "peers", "virtual_mac", "checksum"}

// finishBGP completes a VIP of mode "bgp".
func finishBGP(t value, vip *VIP) {
	for _, name := range foreignToBGP {
		if t.has(name) {
			t.failKey(name, "does not belong to mode \"bgp\": remove it")
		}
	}
	if !t.has("spread") {
		vip.Spread = true
	}
	for _, name := range []string{"priority", "priority_by_host"} {
		if t.has(name) && vip.Spread {
			t.failKey(name, "has no effect while all nodes announce alike: add spread = false, or remove it")
		}
	}
	if !vip.Spread && !t.has("priority") && !t.has("priority_by_host") {
		t.failKey("spread", "false needs priorities that differ, for routers share the traffic among equal ones: add priority_by_host")
	}
	if vip.Interface == "" {
		vip.Interface = "lo"
	}
}

// readBGP reads [bgp], if there is a VIP that needs it.
func readBGP(root value, vips []placedVIP, host Host) *BGP {
	var used []placedVIP
	for _, v := range vips {
		if v.Mode == ModeBGP {
			used = append(used, v)
		}
	}
	t, ok := root.entry("bgp")
	switch {
	case ok && len(used) == 0:
		t.fail("has no effect: no [[vip]] has mode = \"bgp\"")
	case !ok && len(used) > 0:
		used[0].table.failKey("mode", "needs a table [bgp], with local_as and a [[bgp.peer]] for each router")
		return nil
	}
	if !ok {
		return nil
	}
	b := defaultBGP()
	bgpKeys.read(t, &b)
	as := readLocalAS(t, b.LocalAS)
	b.LocalAS = as.of(host.Name)
	if b.LocalAS == 0 {
		t.failKey("local_as", "missing: write the AS number of this node, such as 64512")
	}
	b.Peers = readBGPPeers(t, as, host)
	checkBGP(t, &b, used)
	return &b
}

// localAS is the AS of each host.
type localAS struct {
	all    uint32
	byHost map[string]uint32
}

func (l localAS) of(host string) uint32 {
	for name, as := range l.byHost {
		if sameHost(name, host) {
			return as
		}
	}
	return l.all
}

func readLocalAS(t value, all uint32) localAS {
	l := localAS{all, make(map[string]uint32)}
	table, ok := t.entry("local_as_by_host")
	if !ok {
		return l
	}
	entries, ok := table.data.(map[string]any)
	if !ok {
		table.fail("is %s: write a table, such as { k3s1 = 64601, k3s2 = 64602 }", table.kind())
		return l
	}
	for name := range entries {
		v, _ := table.entry(name)
		var as uint32
		if number(v, &as, 1, maxAS) {
			l.byHost[name] = as
		}
	}
	return l
}

func readBGPPeers(t value, as localAS, host Host) []BGPPeer {
	tables := t.tables("peer")
	if !t.has("peer") {
		t.failKey("peer", "missing: describe each router under [[bgp.peer]]")
	}
	common := readCommonPeer(t)
	var here []BGPPeer
	for _, pt := range tables {
		p := readBGPPeer(peerTable{own: pt, common: t}, common, as, host)
		if !p.isFor(host) {
			continue
		}
		p.hosts = nil
		if slices.ContainsFunc(here, func(o BGPPeer) bool { return o.Address == p.Address && p.Address.IsValid() }) {
			pt.failKey("address", "%s is the address of another [[bgp.peer]] too: remove one", p.Address)
			continue
		}
		here = append(here, p)
	}
	if len(here) == 0 && len(tables) > 0 && host.Name != "" {
		t.failKey("peer", "none is for this host, which calls itself %q: add it to hosts of one", host.Name)
	}
	return here
}

func (p BGPPeer) isFor(host Host) bool {
	return p.hosts == nil || slices.ContainsFunc(p.hosts, func(h string) bool { return sameHost(h, host.Name) })
}

// ranks is by how much the MED of ready nodes may differ with spread = false.
const ranks = vrrp.MaxPriority - vrrp.MinPriority

// checkBGP refuses a VIP that no peer would hear of.
func checkBGP(t value, b *BGP, used []placedVIP) {
	if len(b.Peers) == 0 {
		return
	}
	for _, v := range used {
		for _, f := range v.Families() {
			if !slices.ContainsFunc(b.Peers, func(p BGPPeer) bool { return slices.Contains(p.Families, f) }) {
				t.failKey("peer", "none takes %s, of which %s has addresses: add %q to families of one", f, describe(v), strings.ToLower(f.String()))
			}
		}
		for _, p := range b.Peers {
			if !v.Spread && p.WorseBy == WorseByMED && p.WorseStep <= ranks {
				t.failKey("peer", "worse_step of %s, %d, is less than what MED tells priorities apart by with spread = false: choose %d or more", p.Address, p.WorseStep, ranks+1)
			}
			if slices.Contains(v.Addresses, p.Address) {
				t.failKey("peer", "%s is an address of %s: write the router's own address", p.Address, describe(v))
			}
		}
	}
}

func readPeerAddress(v value, p *BGPPeer) {
	var s string
	if !v.text(&s, "203.0.113.1") {
		return
	}
	a, err := netip.ParseAddr(s)
	switch {
	case err == nil && a.Is6() && a.IsLinkLocalUnicast():
		if a.Zone() == "" {
			v.fail("%s is link-local: name the interface, as in \"%s%%eth0\"", s, s)
			return
		}
	default:
		var ok bool
		if a, ok = v.address("203.0.113.1"); !ok {
			return
		}
	}
	if why := UnfitHost(a); why != "" {
		v.fail("%s is %s, not a router: write the router's own address", a, why)
		return
	}
	p.Address = a
}

// readOwnAddress reads an address of this node, of a family or (0) of either.
func readOwnAddress(v value, into *netip.Addr, f vrrp.Family) {
	example := "203.0.113.11"
	if f == vrrp.IPv6 {
		example = "2001:db8::11"
	}
	var s string
	if !v.text(&s, example) {
		return
	}
	if s == "" {
		*into = netip.Addr{}
		return
	}
	a, ok := v.address(example)
	switch {
	case !ok:
	case f != 0 && vrrp.FamilyOf(a) != f:
		v.fail("%s is not %s: write one such as %q", a, f, example)
	case UnfitHost(a) != "":
		v.fail("%s is %s: write one such as %q", a, UnfitHost(a), example)
	default:
		*into = a
	}
}

// readPasswordFile reads a path; "" is none.
func readPasswordFile(v value, p *BGPPeer) {
	if s, ok := v.data.(string); ok && s == "" {
		p.Password = Key{}
		return
	}
	readKeyFile(v, &p.Password)
}

func readKeepalive(v value, p *BGPPeer) {
	d := time.Second                            // the example
	if v.duration(&d, time.Second, time.Hour) { // RFC 4271, section 4.4: not more often
		p.Keepalive = d
	}
}

// readSource reads an address of this node, or an interface that has one.
func readSource(v value, p *BGPPeer) {
	p.Source, p.SourceInterface = netip.Addr{}, ""
	name, _ := v.data.(string)
	if strings.Trim(name, digits+".") != "" && IsInterfaceName(name) { // an address has a colon else
		p.SourceInterface = name
		return
	}
	readOwnAddress(v, &p.Source, 0)
}

func readHoldTime(v value, p *BGPPeer) {
	d := p.HoldTime
	if !v.duration(&d, 3*time.Second, 65535*time.Second) {
		return
	}
	if whole := d.Truncate(time.Second); whole != d {
		v.fail("%s is not a whole number of seconds, the unit on the wire: write %q", Spell(d), Spell(whole))
		return
	}
	p.HoldTime = d
}

// readBFD reads an interval; "" is none.
func readBFD(v value, p *BGPPeer) {
	if s, ok := v.data.(string); ok && s == "" {
		p.BFD = 0
		return
	}
	d := 300 * time.Millisecond // the example
	if v.duration(&d, 50*time.Millisecond, 10*time.Second) {
		p.BFD = d
	}
}

func readFamilies(v value, p *BGPPeer) {
	p.Families = nil
	list := v.strings("ipv4")
	if elements, ok := v.elements(); ok && len(elements) == 0 {
		v.fail("is empty: list \"ipv4\", \"ipv6\" or both")
	}
	for _, e := range list {
		f := map[string]vrrp.Family{"ipv4": vrrp.IPv4, "ipv6": vrrp.IPv6}[e.data.(string)]
		switch {
		case f == 0:
			e.fail("%q is not known: choose \"ipv4\" or \"ipv6\"", e.data)
		case slices.Contains(p.Families, f):
			e.fail("%q is listed twice: remove one", e.data)
		default:
			p.Families = append(p.Families, f)
		}
	}
}

// maxCommunities keeps an update within one message.
const maxCommunities = 64

func readCommunities(v value, p *BGPPeer) {
	p.Communities = nil
	list := v.strings("64512:100")
	if len(list) > maxCommunities {
		v.fail("has %d: at most %d are sent", len(list), maxCommunities)
		return
	}
	for _, e := range list {
		n, ok := colons(e.data.(string), 2, 65535)
		if !ok {
			e.fail("%q is not a community: write two numbers up to 65535, such as \"64512:100\"", e.data)
			continue
		}
		p.Communities = append(p.Communities, n[0]<<16|n[1])
	}
}

func readLargeCommunities(v value, p *BGPPeer) {
	p.LargeCommunities = nil
	list := v.strings("64512:1:100")
	if len(list) > maxCommunities {
		v.fail("has %d: at most %d are sent", len(list), maxCommunities)
		return
	}
	for _, e := range list {
		n, ok := colons(e.data.(string), 3, maxAS)
		if !ok {
			e.fail("%q is not a large community: write three numbers, such as \"64512:1:100\"", e.data)
			continue
		}
		p.LargeCommunities = append(p.LargeCommunities, [3]uint32(n))
	}
}

// colons reads n numbers with colons between them.
func colons(s string, n int, limit uint64) ([]uint32, bool) {
	parts := strings.Split(s, ":")
	if len(parts) != n {
		return nil, false
	}
	var out []uint32
	for _, x := range parts {
		i, err := strconv.ParseUint(x, 10, 32)
		if err != nil || i > limit {
			return nil, false
		}
		out = append(out, uint32(i))
	}
	return out, true
}

func readHosts(v value, p *BGPPeer) {
	for _, e := range v.strings("k3s1") {
		name := e.data.(string)
		if !madeOf(name, letters+digits+"._-", 253) {
			e.fail("%q is not a host name: write what \"hostname\" prints there", name)
			continue
		}
		p.hosts = append(p.hosts, name)
	}
	if p.hosts == nil {
		p.hosts = []string{} // of nobody
	}
}

// maxPassword is what the kernel takes for TCP MD5.
const maxPassword = 80

// ReadPassword reads the password of a peer; nil if it has none. As for keys, everybody
// else must be kept from reading it.
func (p BGPPeer) ReadPassword() ([]byte, error) {
	if p.Password == (Key{}) {
		return nil, nil
	}
	b, err := p.Password.contents(maxPassword)
	if err == nil && len(b) == 0 {
		err = fmt.Errorf("it is empty")
	}
	if err != nil {
		return nil, fmt.Errorf("reading the password of %v: %w", p.Address, err)
	}
	if len(b) > maxPassword {
		return nil, fmt.Errorf("reading the password of %v: more than %d bytes", p.Address, maxPassword)
	}
	return b, nil
}
