package config

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/vipd/vipd/vrrp"
)

// Draft is what is known of a host before it has a vipd.toml. Fields left empty
// are left to their defaults, except for Addresses and VRID, which have none.
type Draft struct {
	Addresses      []netip.Addr
	Interface      string
	VRID           uint8
	Priority       uint8
	AdvertInterval time.Duration
	Peers          []netip.Addr

	// For mode "bgp", which has no VRID.
	LocalAS uint32
	Routers []DraftRouter

	// Of the K3s probe.
	URL, DataDir, Unit string

	// Why gives for a key, as in "vip.interface", where its value comes from. It
	// becomes the comment above it.
	Why map[string]string
}

// DraftRouter is a BGP peer.
type DraftRouter struct {
	Address netip.Addr
	AS      uint32
}

// Render returns a commented vipd.toml, which [Parse] accepts. The error is of
// type [Errors] without a file name, for what is wrong is in the Draft.
func (d Draft) Render() ([]byte, error) {
	b := &builder{why: d.Why}
	b.line("# vipd keeps a virtual IP in front of the K3s API. This file may be the same on")
	b.line("# every server. After a change: vipd check && vipd reload. All the options, with")
	b.line("# their defaults: man vipd.toml")

	if d.URL != "" || d.DataDir != "" || d.Unit != "" {
		b.table("[[check]]")
		b.text("check", "type", string(CheckK3s))
		b.text("check", "url", d.URL)
		b.text("check", "data_dir", d.DataDir)
		b.text("check", "unit", d.Unit)
	}

	b.table("[[vip]]")
	b.text("vip", "name", defaultVIP().Name)
	if d.LocalAS > 0 {
		b.text("vip", "mode", string(ModeBGP))
	}
	b.addresses("vip", "addresses", d.Addresses)
	b.text("vip", "interface", d.Interface)
	b.number("vip", "vrid", d.VRID)
	b.number("vip", "priority", d.Priority)
	if d.AdvertInterval != 0 {
		b.text("vip", "advert_interval", Spell(d.AdvertInterval))
	}
	b.addresses("vip", "peers", d.Peers)
	d.renderBGP(b)

	if _, err := Parse("", []byte(b.String()), Host{}); err != nil {
		return nil, err
	}
	return []byte(b.String()), nil
}

func (d Draft) renderBGP(b *builder) {
	if d.LocalAS == 0 {
		return
	}
	b.table("[bgp]")
	b.entry("bgp", "local_as", fmt.Sprint(d.LocalAS))
	for _, r := range d.Routers {
		b.table("[[bgp.peer]]")
		b.text("bgp.peer", "address", r.Address.String())
		b.entry("bgp.peer", "as", fmt.Sprint(r.AS))
		if families := d.otherFamilies(r); families != "" {
			b.entry("bgp.peer", "families", families)
		}
	}
}

// otherFamilies is the list of what a session has to carry, if that is not just the family
// of the router's address.
func (d Draft) otherFamilies(r DraftRouter) string {
	var names []string
	for _, f := range (VIP{Addresses: d.Addresses}).Families() {
		names = append(names, quote(strings.ToLower(f.String())))
	}
	if len(names) == 1 && vrrp.FamilyOf(r.Address) == vrrp.FamilyOf(d.Addresses[0]) {
		return ""
	}
	return "[" + strings.Join(names, ", ") + "]"
}

// builder writes TOML. What is empty it leaves out.
type builder struct {
	strings.Builder
	why map[string]string
}

func (b *builder) line(s string) { b.WriteString(s + "\n") }

func (b *builder) table(header string) { b.line("\n" + header) }

func (b *builder) text(table, key, s string) {
	if s != "" {
		b.entry(table, key, quote(s))
	}
}

func (b *builder) number(table, key string, n uint8) {
	if n != 0 {
		b.entry(table, key, fmt.Sprint(n))
	}
}

func (b *builder) addresses(table, key string, list []netip.Addr) {
	if len(list) == 0 {
		return
	}
	quoted := make([]string, len(list))
	for i, a := range list {
		quoted[i] = quote(a.String())
	}
	b.entry(table, key, "["+strings.Join(quoted, ", ")+"]")
}

func (b *builder) entry(table, key, text string) {
	// In one line, so that a reason cannot end its comment.
	if why := strings.Join(strings.Fields(b.why[table+"."+key]), " "); why != "" {
		b.line("# " + why)
	}
	b.line(key + " = " + text)
}

// quote writes s as a TOML string. Go's escapes for control characters are not
// all TOML's; a string that holds such a one is refused when it is parsed.
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
