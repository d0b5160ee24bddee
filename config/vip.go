package config

import (
	"net/netip"
	"reflect"
	"time"

	"github.com/vipd/vipd/vrrp"
)

// VIP is a set of virtual addresses that move together; each address family in
// it is a virtual router of its own.
type VIP struct {
	Name      string       // label in logs, metrics and status
	Mode      Mode         // how the network is told where it is
	Addresses []netip.Addr // in the order of the file, at most 255 of a family
	Interface string       // empty: the one whose subnet holds the address; BGP: "lo" by default
	VRID      uint8        // 1 to 255
	Priority  uint8        // of this host, 100 to 254

	// PriorityUnique tells that, going by the file, no other host has this
	// Priority. Backups then do not spread their takeover, which would bring those
	// whose priorities are near out of order.
	PriorityUnique bool

	AdvertInterval time.Duration // Advertisement_Interval: 10 ms to 40.95 s in steps of 10 ms
	Preempt        bool          // Preempt_Mode
	PreemptDelay   time.Duration // 0 unless Preempt
	WhenDown       WhenDown
	Peers          []netip.Addr // a family without one uses multicast
	VirtualMAC     bool
	Checksum       Checksum

	Spread bool // BGP: every ready node announces alike; else by Priority
}

// Mode is how the network is told where a VIP is.
type Mode string

// The values of Mode.
const (
	ModeVRRP Mode = "vrrp" // elected by VRRP, told by ARP and neighbour advertisements
	ModeBGP  Mode = "bgp"  // announced as a route, by every node that is fit
)

// WhenDown is what a holder does when no node is fit to hold the VIP.
type WhenDown string

// The values of WhenDown.
const (
	LastResort WhenDown = "last-resort" // keep it: better there than nowhere
	Release    WhenDown = "release"     // give it up, with priority 0
)

// Checksum is the kind that IPv4 advertisements are sent with. Both are accepted.
type Checksum string

// The kinds of IPv4 checksum.
const (
	PseudoHeader Checksum = "pseudo-header" // over a pseudo header too, as keepalived and FRR want it
	RFC9568      Checksum = "rfc9568"       // over the message alone (RFC 9568, section 5.2.8)
)

// Families returns the address families of the VIP, IPv4 first.
func (v VIP) Families() []vrrp.Family {
	var families []vrrp.Family
	for _, f := range []vrrp.Family{vrrp.IPv4, vrrp.IPv6} {
		if v.has(f) {
			families = append(families, f)
		}
	}
	return families
}

func (v VIP) has(f vrrp.Family) bool {
	for _, a := range v.Addresses {
		if vrrp.FamilyOf(a) == f {
			return true
		}
	}
	return false
}

// Equal tells whether v and o are configured alike, the order of their
// addresses included.
func (v VIP) Equal(o VIP) bool { return reflect.DeepEqual(v, o) }

// vipKeys are the keys of [[vip]]. Those without a reader depend on the host or
// on other VIPs.
var vipKeys = schema[VIP]{
	{"mode", func(v value, vip *VIP) { oneOf(v, &vip.Mode, ModeVRRP, ModeBGP) }}, // first: others depend on it
	{"name", readName},
	{"addresses", readAddresses},
	{"interface", readInterface},
	{"vrid", func(v value, vip *VIP) { whole(v, &vip.VRID, 1, 255, ", unique on this network segment") }},
	{"priority", func(v value, vip *VIP) { readPriority(v, &vip.Priority) }},
	{"priority_by_host", nil},
	{"advert_interval", readAdvertInterval},
	{"preempt", func(v value, vip *VIP) { v.flag(&vip.Preempt) }},
	{"preempt_delay", func(v value, vip *VIP) { v.duration(&vip.PreemptDelay, 0, time.Hour) }},
	{"when_down", func(v value, vip *VIP) { oneOf(v, &vip.WhenDown, LastResort, Release) }},
	{"peers", readPeers},
	{"virtual_mac", func(v value, vip *VIP) { v.flag(&vip.VirtualMAC) }},
	{"checksum", func(v value, vip *VIP) { oneOf(v, &vip.Checksum, PseudoHeader, RFC9568) }},
	{"spread", func(v value, vip *VIP) { v.flag(&vip.Spread) }},
}

// placedVIP is a VIP and the table that it was read from.
type placedVIP struct {
	VIP
	table value
}

func readVIPs(root value, host Host) []placedVIP {
	if !root.has("vip") {
		root.failKey("vip", "missing: describe the virtual IP under [[vip]], or let \"vipd init\" write the file")
		return nil
	}
	tables := root.tables("vip")
	vips := make([]placedVIP, len(tables))
	for i, t := range tables {
		vips[i] = placedVIP{readVIP(t, host), t}
		if len(tables) > 1 && !t.has("name") {
			vips[i].Name = ""
			t.failKey("name", "missing: give each of several [[vip]] a name (a single one is called %q)", defaultVIP().Name)
		}
	}
	checkNames(vips)
	checkAddresses(vips)
	checkRouters(vips)
	checkPeers(vips)
	return vips
}

func readVIP(t value, host Host) VIP {
	vip := defaultVIP()
	vipKeys.read(t, &vip)
	readPriorityByHost(t, &vip, host)
	if !t.has("addresses") {
		t.failKey("addresses", "missing: list at least one, such as [\"192.0.2.100\"]")
	}
	if vip.Mode == ModeBGP {
		finishBGP(t, &vip)
		return vip
	}
	if t.has("spread") {
		t.failKey("spread", "does not belong to mode \"vrrp\", where one node holds the VIP: remove it")
	}
	if !t.has("vrid") {
		t.failKey("vrid", "missing: choose 1 to 255, unique on this network segment")
	}
	if !vip.Preempt && vip.PreemptDelay > 0 {
		t.failKey("preempt_delay", "has no effect with preempt = false: remove one of the two")
	}
	return vip
}

func readName(v value, vip *VIP) {
	var name string
	if !v.text(&name, vip.Name) {
		return
	}
	if !madeOf(name, letters+digits+"._-", 32) {
		v.fail("%q is not a name: use 1 to 32 letters, digits, dots, underscores and hyphens", name)
		return
	}
	vip.Name = name
}

func readInterface(v value, vip *VIP) {
	var name string
	if !v.text(&name, "eth0") {
		return
	}
	if name == "lo" && vip.Mode != ModeBGP {
		v.fail("\"lo\" reaches no other node: name the interface towards them, or remove the line to have it found")
		return
	}
	if !IsInterfaceName(name) {
		v.fail("%q is not an interface name: write one that \"ip link\" shows, or remove the line to have it found", name)
		return
	}
	vip.Interface = name
}

// IsInterfaceName tells whether the kernel takes name (dev_valid_name): 15 bytes, no slash,
// colon or space.
func IsInterfaceName(name string) bool {
	return printable(name, 15, "/:") && name != "." && name != ".."
}

func readPriority(v value, into *uint8) bool {
	return whole(v, into, vrrp.MinPriority, vrrp.MaxPriority, "")
}

func readAdvertInterval(v value, vip *VIP) {
	d := vip.AdvertInterval
	if !v.duration(&d, vrrp.MinInterval, vrrp.MaxInterval) {
		return
	}
	if below := d.Truncate(vrrp.MinInterval); below != d {
		v.fail("%s is not a multiple of 10ms, the unit on the wire: write %q or %q", Spell(d), Spell(below), Spell(below+vrrp.MinInterval))
		return
	}
	vip.AdvertInterval = d
}
