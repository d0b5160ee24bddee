package migrate

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/vipd/vipd/config"
	"github.com/vipd/vipd/vrrp"
)

// Render returns the plan as a commented vipd.toml. Values that are vipd's defaults
// are left out. Every VIP needs its VRID.
func (p *Plan) Render() ([]byte, error) {
	b := &builder{}
	b.line("# vipd keeps a virtual IP in front of the K3s API. This file may be the same on")
	b.line("# every server. After a change: vipd check && vipd reload. All the options, with")
	b.line("# their defaults: man vipd.toml")
	for _, c := range p.Checks {
		b.check(c)
	}
	for _, v := range p.VIPs {
		b.vip(v)
	}
	if p.BGP != nil {
		b.bgp(p.BGP)
	}
	for _, h := range p.Hooks {
		b.hook(h)
	}
	if _, err := config.Parse("", []byte(b.String()), config.Host{}); err != nil {
		return nil, fmt.Errorf("what was translated is no valid vipd.toml: %w", err)
	}
	return []byte(b.String()), nil
}

// builder writes TOML.
type builder struct {
	strings.Builder
	why map[string]string
}

func (b *builder) line(s string) { b.WriteString(s + "\n") }

func (b *builder) check(c config.Check) {
	b.why = nil
	b.line("\n[[check]]")
	b.entry("type", quote(string(c.Type)))
	if c.Type == config.CheckExec {
		b.entry("command", list(c.Command, quote))
		b.entry("interval", quote(c.Interval.String()))
		b.entry("timeout", quote(c.Timeout.String()))
		b.entry("fall", strconv.Itoa(c.Fall))
		b.entry("rise", strconv.Itoa(c.Rise))
		return
	}
	usual := config.Default().Checks[0]
	if c.URL != usual.URL {
		b.entry("url", quote(c.URL))
	}
	if c.DataDir != usual.DataDir {
		b.entry("data_dir", quote(c.DataDir))
	}
	if c.Unit != usual.Unit {
		b.entry("unit", quote(c.Unit))
	}
}

func (b *builder) vip(v VIP) {
	usual := config.Default().VIPs[0]
	b.why = v.Why
	b.line("\n[[vip]]")
	b.entry("name", quote(v.Name))
	if v.Mode == config.ModeBGP {
		b.route(v)
		return
	}
	b.entry("addresses", addressList(v.Addresses))
	if len(v.Later) > 0 {
		b.line("# When vipd runs on all servers, add to addresses: " + strings.Trim(addressList(v.Later), "[]"))
	}
	if v.Interface != "" {
		b.entry("interface", quote(v.Interface))
	}
	b.entry("vrid", strconv.Itoa(int(v.VRID)))
	b.entry("priority", strconv.Itoa(int(v.Priority)))
	if len(v.PriorityByHost) > 0 || v.PriorityShared {
		b.entry("priority_by_host", hostTable(v.PriorityByHost))
	}
	if v.AdvertInterval != usual.AdvertInterval {
		b.entry("advert_interval", spell(v.AdvertInterval))
	}
	if !v.Preempt {
		b.entry("preempt", "false")
	}
	if v.PreemptDelay > 0 {
		b.entry("preempt_delay", spell(v.PreemptDelay))
	}
	if len(v.Peers) > 0 {
		b.entry("peers", addressList(v.Peers))
	}
	if v.VirtualMAC {
		b.entry("virtual_mac", "true")
	}
	if v.Checksum != usual.Checksum {
		b.entry("checksum", quote(string(v.Checksum)))
	}
}

// route writes the rest of a VIP that is announced by BGP.
func (b *builder) route(v VIP) {
	b.entry("mode", quote(string(v.Mode)))
	b.entry("addresses", addressList(v.Addresses))
	if v.Interface != "lo" {
		b.entry("interface", quote(v.Interface))
	}
}

func (b *builder) bgp(g *BGP) {
	b.why = g.Why
	b.line("\n[bgp]")
	b.entry("local_as", fmt.Sprint(g.LocalAS))
	b.address("router_id", g.RouterID)
	for _, p := range g.Peers {
		b.bgpPeer(p)
	}
}

func (b *builder) bgpPeer(p config.BGPPeer) {
	b.line("\n[[bgp.peer]]")
	b.address("address", p.Address)
	b.entry("as", fmt.Sprint(p.AS))
	b.address("source", p.Source)
	if p.SourceInterface != "" {
		b.entry("source", quote(p.SourceInterface))
	}
	if p.Password.File != "" {
		b.entry("password_file", quote(p.Password.File))
	}
	if p.Multihop > 0 {
		b.entry("multihop", fmt.Sprint(p.Multihop))
	}
	if p.HoldTime > 0 {
		b.entry("hold_time", spell(p.HoldTime))
	}
	if p.Keepalive > 0 {
		b.entry("keepalive", spell(p.Keepalive))
	}
	if len(p.Families) > 0 {
		b.entry("families", list(p.Families, quoteFamily))
	}
	b.address("next_hop_ipv4", p.NextHop4)
	b.address("next_hop_ipv6", p.NextHop6)
}

func quoteFamily(f vrrp.Family) string { return quote(strings.ToLower(f.String())) }

// address writes a key, if there is an address for it.
func (b *builder) address(key string, a netip.Addr) {
	if a.IsValid() {
		b.entry(key, quote(a.String()))
	}
}

func (b *builder) hook(h config.Hook) {
	b.why = nil
	b.line("\n[[hook]]")
	b.entry("on", list(h.On, quoteHappening))
	b.entry("command", list(h.Command, quote))
	if h.Timeout != hookTime {
		b.entry("timeout", spell(h.Timeout))
	}
}

// entry writes a key, behind what is to be said of it: in one line, so that nothing
// can end the comment.
func (b *builder) entry(key, text string) {
	if why := plain(strings.Join(strings.Fields(b.why[key]), " ")); why != "" {
		b.line("# " + why)
	}
	b.line(key + " = " + text)
}

func spell(d time.Duration) string { return quote(d.String()) }

func addressList(addrs []netip.Addr) string {
	return list(addrs, func(a netip.Addr) string { return quote(a.String()) })
}

func list[T any](items []T, write func(T) string) string {
	texts := make([]string, len(items))
	for i, item := range items {
		texts[i] = write(item)
	}
	return "[" + strings.Join(texts, ", ") + "]"
}

func hostTable(m map[string]uint8) string {
	if len(m) == 0 {
		return "{}"
	}
	var entries []string
	for _, host := range slices.Sorted(maps.Keys(m)) {
		entries = append(entries, fmt.Sprintf("%s = %d", quote(host), m[host]))
	}
	return "{ " + strings.Join(entries, ", ") + " }"
}

// quote writes s as a TOML string.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range strings.ToValidUTF8(s, string(utf8.RuneError)) {
		switch {
		case r == '"' || r == '\\':
			b.WriteString(`\` + string(r))
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String() + `"`
}
