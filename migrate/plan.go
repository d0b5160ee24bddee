package migrate

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/vipd/vipd/config"
	"github.com/vipd/vipd/vrrp"
)

// bare is what is lost of an address that has a prefix length.
const bare = "vipd puts a VIP without its subnet (/32, /128), and only where the interface has an address of that subnet already"

// Plan is a vipd.toml in the making, and what did not go into it.
type Plan struct {
	Checks []config.Check // none: the K3s probe with its defaults
	VIPs   []VIP
	BGP    *BGP // nil: without
	Hooks  []config.Hook
	Notes  []Note
}

// VIP is a [[vip]] in the making. A VRID of 0 is still to be chosen.
type VIP struct {
	config.VIP
	PriorityByHost map[string]uint8
	PriorityShared bool              // other servers may have the priority too
	Later          []netip.Addr      // to be added when the other program is gone from all servers
	Why            map[string]string // by key: the comment above it
}

// BGP is a [bgp] in the making. What is zero is left to its default.
type BGP struct {
	config.BGP
	Why map[string]string // by key, of [bgp] or [[bgp.peer]]: the comment above it
}

// NeedsVRID tells whether the VRID is still to be chosen; a route has none.
func (v *VIP) NeedsVRID() bool { return v.Mode == config.ModeVRRP && v.VRID == 0 }

// newVIP returns a VIP with vipd's defaults.
func newVIP() VIP { return VIP{VIP: config.Default().VIPs[0], Why: make(map[string]string)} }

// UseK3s has the probe of K3s look where K3s is on this host, unless the source knew. What
// is empty changes nothing.
func (p *Plan) UseK3s(url, dataDir, unit string) {
	if url == "" && dataDir == "" && unit == "" {
		return
	}
	usual := config.Default().Checks[0]
	at := slices.IndexFunc(p.Checks, func(c config.Check) bool { return c.Type == config.CheckK3s })
	if at < 0 && len(p.Checks) > 0 {
		return
	}
	if at < 0 {
		p.Checks, at = []config.Check{usual}, 0
	}
	c := &p.Checks[at]
	if c.URL == usual.URL {
		c.URL = cmp.Or(url, c.URL)
	}
	c.DataDir, c.Unit = cmp.Or(dataDir, c.DataDir), cmp.Or(unit, c.Unit)
}

// Override sets what the operator wants otherwise; zero values change nothing.
func (v *VIP) Override(iface string, vrid, priority uint8, advertInterval time.Duration) {
	if iface != "" {
		v.Interface = iface
	}
	if vrid != 0 {
		v.VRID = vrid
	}
	if priority != 0 {
		v.Priority = priority
	}
	if advertInterval != 0 {
		v.AdvertInterval = advertInterval
	}
}

// Choose sets the VRID that was found, and the interval of those that use it already.
func (v *VIP) Choose(vrid uint8, advertInterval time.Duration, why string) {
	v.VRID = vrid
	v.Why["vrid"] = why
	if advertInterval != 0 {
		v.AdvertInterval = advertInterval
	}
}

// admit adds a VIP to the plan, unless a vipd.toml could not hold it beside the
// others; then it says why. It returns the name that it is under.
func (p *Plan) admit(v VIP) (name, refusal string) {
	for _, other := range p.VIPs {
		for _, a := range v.Addresses {
			if slices.Contains(other.Addresses, a) {
				return "", fmt.Sprintf("left out: %s is an address of %q too", a, other.Name)
			}
			if slices.Contains(other.Peers, a) {
				return "", fmt.Sprintf("left out: %s is a peer of %q", a, other.Name)
			}
		}
		if slices.ContainsFunc(v.Peers, func(a netip.Addr) bool { return slices.Contains(other.Addresses, a) }) {
			return "", fmt.Sprintf("left out: a peer of it is an address of %q", other.Name)
		}
		sameLink := v.Interface == other.Interface || v.Interface == "" || other.Interface == ""
		if v.VRID != 0 && v.VRID == other.VRID && sameLink && shareFamily(v, other) {
			return "", fmt.Sprintf("left out: %q has VRID %d too", other.Name, v.VRID)
		}
	}
	v.Name = p.freeName(v.Name)
	p.VIPs = append(p.VIPs, v)
	return v.Name, ""
}

func shareFamily(a, b VIP) bool {
	return slices.ContainsFunc(a.Families(), func(f vrrp.Family) bool { return slices.Contains(b.Families(), f) })
}

// freeName makes a name that vipd takes and no other VIP of the plan has.
func (p *Plan) freeName(name string) string {
	const longest = 32
	name = strings.Map(func(r rune) rune {
		if r < 0x80 && (r == '.' || r == '_' || r == '-' || isLetterOrDigit(r)) {
			return r
		}
		return '-'
	}, name)
	if name == "" {
		name = "k3s"
	}
	name = name[:min(len(name), longest)]
	free := name
	for i := 2; slices.ContainsFunc(p.VIPs, func(v VIP) bool { return v.Name == free }); i++ {
		tail := fmt.Sprintf("-%d", i)
		free = name[:min(len(name), longest-len(tail))] + tail
	}
	return free
}

func isLetterOrDigit(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}

// advertInterval returns the nearest interval that vipd has.
func advertInterval(d time.Duration) time.Duration {
	return min(max(d.Round(10*time.Millisecond), vrrp.MinInterval), vrrp.MaxInterval)
}

// parseAddr reads an address that may have a prefix length and a zone.
func parseAddr(s string) (a netip.Addr, length int, ok bool) {
	bare, bits, cut := strings.Cut(s, "/")
	a, err := netip.ParseAddr(bare)
	if err != nil {
		return a, 0, false
	}
	a = a.WithZone("").Unmap()
	if !cut {
		return a, a.BitLen(), true
	}
	p, err := netip.ParsePrefix(a.String() + "/" + bits)
	return a, p.Bits(), err == nil
}

// interfaceName tells whether vipd takes the name of an interface towards other nodes.
func interfaceName(s string) bool { return s != "lo" && config.IsInterfaceName(s) }
