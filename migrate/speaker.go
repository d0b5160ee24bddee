package migrate

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vipd/vipd/config"
	"github.com/vipd/vipd/vrrp"
)

// What kube-vip has where its manifest says nothing.
const (
	kubeVipAS  = 65000 // of both ends
	kubeVipTTL = 50    // to peers that are not neighbours
)

const (
	absent    = "its value is not in this file (valueFrom): write it into vipd.toml by hand"
	ownServer = "it is this server's own, so the file is not for the others. Take it out where what vipd finds is right, and one file serves all"
)

// remediesOfBGP are the settings of BGP that have no place in vipd.toml.
var remediesOfBGP = []remedy{
	{"bgp_sourceif", "vipd connects from the address that the kernel chooses: where that is the wrong one, write source into the [[bgp.peer]]"},
	{"bgp_routerinterface", "vipd's router id is the server's IPv4 address on the way to a peer or to the default route, kept over restarts: where another is wanted, write router_id into [bgp]"},
	{"zebra_*", "vipd does not speak to zebra: it announces to the routers itself"},
}

// speaker is what a manifest says of BGP, on its way to [bgp].
type speaker struct {
	notes     *notes
	settings  map[string]setting
	addresses []netip.Addr // of the VIP
	bgp       *BGP
	peers     []*kubePeer
}

// ofBGP tells whether a setting is one of BGP.
func ofBGP(name string) bool {
	return strings.HasPrefix(name, "bgp_") || strings.HasPrefix(name, "mpbgp_") || strings.HasPrefix(name, "zebra_")
}

// newSpeaker takes what counts of the settings: of several with a name the last.
func newSpeaker(n *notes, list []setting) *speaker {
	s := &speaker{notes: n, settings: make(map[string]setting), bgp: &BGP{Why: make(map[string]string)}}
	for _, x := range list {
		if ofBGP(x.name) && (x.value != "" || x.elsewhere) {
			s.settings[x.name] = x
		}
	}
	return s
}

// translate returns the routers that a VIP of these addresses is announced to, none if
// there are none.
func (s *speaker) translate(addresses []netip.Addr) *BGP {
	s.addresses = addresses
	s.bgp.LocalAS = s.number("bgp_as")
	if x, ok := s.settings["bgp_as"]; !ok || x.elsewhere {
		s.bgp.Why["local_as"] = "kube-vip's default"
	}
	s.routerID()
	s.listed()
	s.single()
	s.source()
	s.timers()
	s.nextHops()
	s.families()
	s.passwords()
	for _, p := range s.peers {
		s.bgp.Peers = append(s.bgp.Peers, p.BGPPeer)
	}
	return s.bgp
}

// remark says of a setting that is not translated what to do.
func (s *speaker) remark(x setting) {
	switch x.name {
	case "bgp_enable", "bgp_as", "bgp_routerid", "bgp_peers", "bgp_peeraddress", "bgp_peeras", "bgp_peerpass", "bgp_multihop",
		"bgp_sourceip", "bgp_hold_time", "bgp_keepalive_interval", "mpbgp_nexthop", "mpbgp_ipv4", "mpbgp_ipv6":
		return
	}
	if x.name == "bgp_sourceif" && s.sourceInterface() != "" {
		return
	}
	if x.value != "" && x.value != "false" || x.elsewhere {
		s.notes.remedy(x.at, x.name, remediesOfBGP)
	}
}

// text returns the value of a setting, if it has one that the file holds.
func (s *speaker) text(name string) (string, bool) {
	x, ok := s.settings[name]
	if !ok {
		return "", false
	}
	if x.elsewhere {
		s.notes.gather(x.at, x.name, absent)
		return "", false
	}
	return x.value, true
}

// number returns an AS number, kube-vip's default if there is none.
func (s *speaker) number(name string) uint32 {
	text, ok := s.text(name)
	if !ok {
		return kubeVipAS
	}
	n, ok := asNumber(text)
	if !ok {
		s.notes.add(s.settings[name].at, name, "is no AS number: kube-vip's default, %d, is in its place", kubeVipAS)
		return kubeVipAS
	}
	return n
}

func asNumber(s string) (uint32, bool) {
	n, err := strconv.ParseUint(s, 10, 32)
	return uint32(n), err == nil && n > 0
}

// own returns an address of this server, and what to do about the others.
func (s *speaker) own(name, found string) (netip.Addr, bool) {
	x, ok := s.settings[name]
	if !ok {
		return netip.Addr{}, false
	}
	if x.elsewhere {
		s.notes.gather(x.at, name, byItself+found)
		return netip.Addr{}, false
	}
	a, ok := ownAddress(x.value)
	if !ok {
		s.notes.add(x.at, name, "is no address that a server can have: left out")
		return a, false
	}
	s.notes.gather(x.at, name, ownServer)
	return a, true
}

func ownAddress(s string) (netip.Addr, bool) {
	a, err := netip.ParseAddr(s)
	if err != nil {
		return a, false
	}
	a = a.WithZone("").Unmap()
	return a, config.UnfitHost(a) == ""
}

func (s *speaker) routerID() {
	a, ok := s.own("bgp_routerid", "its router id is the server's IPv4 address on the way to a peer or to the default route, kept over restarts")
	if !ok {
		return
	}
	if !a.Is4() {
		s.notes.add(s.settings["bgp_routerid"].at, "bgp_routerid", "is no IPv4 address: left out")
		return
	}
	s.bgp.RouterID = a
}

// listed reads bgp_peers.
func (s *speaker) listed() {
	text, ok := s.text("bgp_peers")
	if !ok {
		return
	}
	x := s.settings["bgp_peers"]
	n := 0
	for one := range strings.SplitSeq(text, ",") {
		one = strings.TrimSpace(one)
		if one == "" {
			continue
		}
		n++
		p, ok := readPeer(one)
		if !ok {
			// Not what it is: a password may be in it.
			s.notes.add(x.at, x.name, "number %d is not of the form address:AS:password:multihop, with an IPv6 address in brackets: left out", n)
			continue
		}
		p.from = x
		s.add(p)
	}
}

// single reads the settings of the one peer that has some of its own.
func (s *speaker) single() {
	text, ok := s.text("bgp_peeraddress")
	if !ok {
		for _, name := range []string{"bgp_peeras", "bgp_peerpass", "bgp_multihop"} {
			if x, ok := s.settings[name]; ok {
				s.notes.gather(x.at, name, "has no effect without bgp_peeraddress: left out")
			}
		}
		return
	}
	x := s.settings["bgp_peeraddress"]
	a, err := netip.ParseAddr(strings.Trim(text, "[]"))
	if err != nil {
		s.notes.add(x.at, x.name, "is no IP address: left out")
		return
	}
	p := &kubePeer{BGPPeer: config.BGPPeer{Address: peerAddress(a), AS: s.number("bgp_peeras")}, from: x}
	if password, ok := s.settings["bgp_peerpass"]; ok {
		p.hasPassword, p.from = true, password
	}
	if far, ok := s.text("bgp_multihop"); ok {
		p.far(isOn(far))
	}
	s.add(p)
}

// add takes a peer that vipd can have.
func (s *speaker) add(p *kubePeer) {
	why := ""
	switch a := p.Address; {
	case config.UnfitHost(a) != "":
		why = "is " + config.UnfitHost(a) + ", not a router"
	case a.Zone() == "" && a.Is6() && a.IsLinkLocalUnicast():
		why = "is link-local, and its interface is missing, as in fe80::1%eth0"
	case a.Zone() != "" && !interfaceName(a.Zone()):
		why = "is behind an interface that vipd does not take"
		p.Address = a.WithZone("")
	case slices.Contains(s.addresses, a):
		why = "is a virtual address"
	case slices.ContainsFunc(s.peers, func(o *kubePeer) bool { return o.Address == a }):
		why = "is there twice, and the first counts"
	}
	if why != "" {
		s.notes.add(p.from.at, p.Address.String(), "left out of the routers: it %s", why)
		return
	}
	s.peers = append(s.peers, p)
}

// sourceInterface is the interface to connect from; "": an address is named, or neither.
func (s *speaker) sourceInterface() string {
	name := s.settings["bgp_sourceif"].value
	if _, ok := s.settings["bgp_sourceip"]; ok || !interfaceName(name) || strings.Trim(name, "0123456789.") == "" { // like an address
		return ""
	}
	return name
}

// source is the address to connect from, or its interface.
func (s *speaker) source() {
	for _, p := range s.peers {
		p.SourceInterface = s.sourceInterface()
	}
	a, ok := s.own("bgp_sourceip", "it connects from the address that the kernel chooses, the one towards the router")
	if !ok {
		return
	}
	for _, p := range s.peers {
		if vrrp.FamilyOf(p.Address) != vrrp.FamilyOf(a) {
			s.notes.add(s.settings["bgp_sourceip"].at, "bgp_sourceip", "is of the other family than %s: left out there", p.Address)
			continue
		}
		p.Source = a
	}
}

// timers are the same for all peers.
func (s *speaker) timers() {
	const usual = 3 * time.Second // vipd's hold time
	hold, keepalive := s.seconds("bgp_hold_time"), s.seconds("bgp_keepalive_interval")
	if hold != 0 && (hold < usual || hold > 65535*time.Second) {
		s.notes.add(s.settings["bgp_hold_time"].at, "bgp_hold_time", "%v is not from 3s to 65535s: it became vipd's default, %v", hold, usual)
		hold = 0
	}
	if hold == usual {
		hold = 0
	}
	most := max(hold, usual) / 3
	if keepalive > most {
		s.notes.add(s.settings["bgp_keepalive_interval"].at, "bgp_keepalive_interval", "%v is more than a third of the hold time: left out, it is %v with vipd", keepalive, most)
	}
	if keepalive >= most {
		keepalive = 0
	}
	s.bgp.Why["hold_time"] = "as kube-vip's; 3s is vipd's default: a server that dies is missed for so long"
	s.bgp.Why["keepalive"] = "as kube-vip's; a third of the hold time is vipd's default"
	s.bgp.Why["multihop"] = "as kube-vip's: the most hops there may be to it"
	for _, p := range s.peers {
		p.HoldTime = hold
		p.Keepalive = min(keepalive, time.Hour)
	}
}

// seconds returns a length of time, 0 if there is none.
func (s *speaker) seconds(name string) time.Duration {
	text, ok := s.text(name)
	if !ok {
		return 0
	}
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		s.notes.add(s.settings[name].at, name, "is no number of seconds: left out")
		return 0
	}
	return time.Duration(n) * time.Second
}

// nextHops reads what is told of both families, which kube-vip calls MP-BGP.
func (s *speaker) nextHops() {
	mode, _ := s.text("mpbgp_nexthop")
	ipv4, _ := s.text("mpbgp_ipv4")
	ipv6, _ := s.text("mpbgp_ipv6")
	for _, p := range s.peers {
		if p.multiprotocol == "" {
			p.multiprotocol = mode
		}
		if p.multiprotocol == "fixed" {
			p.NextHop4 = s.nextHop(p, vrrp.IPv4, p.ipv4, ipv4)
			p.NextHop6 = s.nextHop(p, vrrp.IPv6, p.ipv6, ipv6)
		}
	}
}

// nextHop returns the address that routes of a family lead to, if it is given: for this
// peer, or for all.
func (s *speaker) nextHop(p *kubePeer, f vrrp.Family, own, all string) netip.Addr {
	x, name := p.from, "mpbgp_"+strings.ToLower(f.String())
	if own == "" {
		own, x = all, s.settings[name]
	}
	if own == "" {
		return netip.Addr{}
	}
	a, ok := ownAddress(own)
	if !ok || vrrp.FamilyOf(a) != f {
		s.notes.add(x.at, name, "is no %s address that a server can have: left out", f)
		return netip.Addr{}
	}
	s.notes.gather(x.at, name, ownServer)
	return a
}

// families says which addresses each peer is told of: those of its own family, those that
// nobody else would be told of, and all where kube-vip has MP-BGP.
func (s *speaker) families() {
	all := config.VIP{Addresses: s.addresses}.Families()
	missing := slices.DeleteFunc(slices.Clone(all), func(f vrrp.Family) bool {
		return slices.ContainsFunc(s.peers, func(p *kubePeer) bool { return p.multiprotocol != "" || vrrp.FamilyOf(p.Address) == f })
	})
	var useful []*kubePeer
	for _, p := range s.peers {
		own := vrrp.FamilyOf(p.Address)
		var told []vrrp.Family
		for _, f := range all {
			if f == own || p.multiprotocol != "" || slices.Contains(missing, f) {
				told = append(told, f)
			}
		}
		if len(told) == 0 {
			s.notes.add(p.from.at, p.Address.String(), "left out of the routers: the VIP has no %s address", own)
			continue
		}
		for _, f := range missing {
			s.notes.add(p.from.at, p.Address.String(), "is told of %s addresses too, for no router has an address of that family: it needs the family for this neighbour", f)
		}
		if !slices.Equal(told, []vrrp.Family{own}) {
			p.Families = told
		}
		useful = append(useful, p)
	}
	s.peers = useful
}

// passwords says where they belong. They are neither copied nor repeated.
func (s *speaker) passwords() {
	for _, p := range s.peers {
		if !p.hasPassword {
			continue
		}
		p.Password = config.Key{File: "/etc/vipd/keys/bgp-" + p.Address.String()}
		s.notes.add(p.from.at, p.from.name, "the password was not copied: on every server, write that of %s into %s, which root alone may read (umask 077)",
			p.Address, p.Password.File)
	}
}
