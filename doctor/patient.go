package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/vipd/vipd/agent/control"
	"github.com/vipd/vipd/config"
	"github.com/vipd/vipd/health"
	"github.com/vipd/vipd/vrrp"
)

// Options say what is looked at, and how.
type Options struct {
	Version    string // of the program
	Node       string
	ConfigPath string
	Listen     time.Duration // to the wire; 0: not at all
	Patience   time.Duration // for which to listen at most where advert_interval is longer than Listen is made for
	Root       bool          // what needs root can be done
	Progress   func(string)  // told what takes long; may be nil
}

// patient is what the checks share. What several of them want is found out once.
type patient struct {
	Options
	Sources

	cfg    func() (*config.Config, error)
	links  func() ([]Link, error)
	places func() ([]place, error)
	heard  func() ([]Frame, error)
	status func() (control.Status, error)
}

// place is where a virtual router belongs: the addresses of one family of a VIP.
type place struct {
	vip     config.VIP
	family  vrrp.Family
	addrs   []netip.Addr
	link    *Link // nil: there is none
	why     string
	several []string // interfaces that could be meant
	dead    []string // and those that have no carrier, if there is none
}

func newPatient(ctx context.Context, o Options, s Sources) *patient {
	p := &patient{Options: o, Sources: s}
	p.cfg = sync.OnceValues(func() (*config.Config, error) { return load(o, s.Files) })
	p.links = sync.OnceValues(s.Network.Links)
	p.places = sync.OnceValues(p.placed)
	p.heard = sync.OnceValues(func() ([]Frame, error) { return p.listen(ctx) })
	p.status = sync.OnceValues(func() (control.Status, error) {
		ctx, cancel := context.WithTimeout(ctx, control.Timeout)
		defer cancel()
		return s.Agent.Status(ctx)
	})
	return p
}

func load(o Options, files Files) (*config.Config, error) {
	data, err := files.Read(o.ConfigPath)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	return config.Parse(o.ConfigPath, data, config.Host{Name: o.Node})
}

// longEnough is for how long to listen: until silence means that nobody advertises, within
// patience.
func longEnough(o Options, files Files) time.Duration {
	cfg, err := load(o, files)
	if err != nil || o.Listen == 0 {
		return o.Listen
	}
	needed := o.Listen
	for _, v := range cfg.VIPs {
		if v.Mode == config.ModeVRRP {
			needed = max(needed, silent(v.AdvertInterval))
		}
	}
	return max(o.Listen, min(needed, o.Patience))
}

// silent is for how long at most nobody advertises a VIP that has a server: the
// Active_Down_Interval, whose Skew_Time is below one interval (RFC 9568, section 6.1).
func silent(interval time.Duration) time.Duration { return 4 * interval }

// errNoConfig is met by all checks that need a configuration. The check of the
// configuration says why.
var errNoConfig = errors.New("needs a valid configuration")

func (p *patient) placed() ([]place, error) {
	cfg, err := p.cfg()
	if err != nil {
		return nil, errNoConfig
	}
	links, err := p.links()
	if err != nil {
		return nil, err
	}
	var all []place
	for _, v := range cfg.VIPs {
		if v.Mode == config.ModeBGP {
			continue // neither advertised nor answered for: see checkBGP
		}
		for _, f := range v.Families() {
			at := place{vip: v, family: f}
			for _, a := range v.Addresses {
				if vrrp.FamilyOf(a) == f {
					at.addrs = append(at.addrs, a)
				}
			}
			at.find(links)
			all = append(all, at)
		}
	}
	return all, nil
}

// find looks for the interface as the agent does: the one that is named, or the one
// whose subnet holds the address, the longest prefix winning.
func (at *place) find(links []Link) {
	best := -1
	for i := range links {
		l := &links[i]
		if at.vip.Interface != "" {
			if l.Name == at.vip.Interface {
				at.link = l
				return
			}
			continue
		}
		bits := l.subnet(at.addrs[0])
		switch {
		case bits < 0 || l.Loopback || bits < best:
		case bits == best:
			at.several = append(at.several, l.Name)
		default:
			best, at.link, at.several = bits, l, []string{l.Name}
		}
	}
	if at.vip.Interface != "" {
		at.why = fmt.Sprintf("there is no interface %s", at.vip.Interface)
		return
	}
	if at.link == nil {
		at.why = fmt.Sprintf("no interface has a subnet that holds %s", at.addrs[0])
		for _, l := range links {
			if l.Up && !l.Carrier && !l.Loopback && l.leadsOut() {
				at.dead = append(at.dead, l.Name)
			}
		}
	}
	if len(at.several) > 1 {
		at.link = nil
		at.why = fmt.Sprintf("several interfaces have a subnet that holds %s: %v", at.addrs[0], at.several)
	}
}

// leadsOut tells whether the interface may lead to other hosts. Bridges without a carrier
// are mostly those of containers.
func (l *Link) leadsOut() bool {
	return slices.Contains([]string{"device", "bond", "vlan", "veth"}, l.Kind)
}

// subnet returns the longest prefix of the interface that holds a, or -1. One address
// alone, as VIPs are put, is no subnet.
func (l *Link) subnet(a netip.Addr) int {
	best := -1
	for _, p := range l.Addrs {
		if p.Bits() < a.BitLen() && p.Contains(a) {
			best = max(best, p.Bits())
		}
	}
	return best
}

// holds tells whether the address is on the interface.
func (l *Link) holds(a netip.Addr) bool {
	return slices.ContainsFunc(l.Addrs, func(p netip.Prefix) bool { return p.Addr() == a })
}

func (at place) String() string { return at.vip.Name + " " + at.family.String() }

// unicast returns the peers of the family.
func (at place) peers() []netip.Addr {
	var list []netip.Addr
	for _, a := range at.vip.Peers {
		if vrrp.FamilyOf(a) == at.family {
			list = append(list, a)
		}
	}
	return list
}

// listen listens on all interfaces that VIPs belong to.
func (p *patient) listen(ctx context.Context) ([]Frame, error) {
	places, err := p.places()
	if err != nil {
		return nil, err
	}
	var on []Link
	for _, at := range places {
		if at.link != nil && at.link.Up && !slices.ContainsFunc(on, func(l Link) bool { return l.Name == at.link.Name }) {
			on = append(on, *at.link)
		}
	}
	for _, l := range on {
		p.say(fmt.Sprintf("listening on %s for %v", l.Name, p.Listen))
	}
	if len(on) == 0 {
		return nil, nil
	}
	return p.Wire.Listen(ctx, on, p.Listen)
}

func (p *patient) say(what string) {
	if p.Progress != nil {
		p.Progress(what)
	}
}

// router returns what the agent says of a virtual router.
func (p *patient) router(at place) (control.Router, bool) {
	s, err := p.status()
	if err != nil {
		return control.Router{}, false
	}
	return routerOf(s, at)
}

func routerOf(s control.Status, at place) (control.Router, bool) {
	for _, r := range s.Routers {
		if r.VIP == at.vip.Name && r.Family == at.family.String() {
			return r, true
		}
	}
	return control.Router{}, false
}

// probes returns the checks of the configuration that ask over TLS.
func (p *patient) probes() ([]health.Check, error) {
	cfg, err := p.cfg()
	if err != nil {
		return nil, errNoConfig
	}
	var list []health.Check
	for _, c := range cfg.Checks {
		if c.Type != config.CheckK3s && c.Type != config.CheckHTTPS {
			continue
		}
		list = append(list, health.Check{
			Type: string(c.Type), URL: c.URL, DataDir: c.DataDir, Unit: c.Unit,
			CAFile: c.CAFile, CertFile: c.CertFile, KeyFile: c.KeyFile,
			InsecureSkipVerify: c.InsecureSkipVerify, ExpectStatus: c.ExpectStatus,
		})
	}
	return list, nil
}
