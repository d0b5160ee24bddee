package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/vipd/vipd/config"
)

// Wish is what the operator wants of a new configuration. What is left empty is
// found out.
type Wish struct {
	Addresses      []netip.Addr
	Interface      string
	VRID           uint8
	Priority       uint8
	AdvertInterval time.Duration

	// RuntimeDir is where an agent of this host is asked whether it is the one that has
	// put the addresses there.
	RuntimeDir string
}

// Discovery is what became of a wish.
type Discovery struct {
	config.Draft
	// Notes are for the operator, a line each: what could not be found out, and what is
	// to be done elsewhere.
	Notes []string
}

// newDiscovery has what was asked for, with nothing found out yet.
func newDiscovery(w Wish) *Discovery {
	return &Discovery{Draft: config.Draft{
		Addresses: w.Addresses, Interface: w.Interface, VRID: w.VRID, Priority: w.Priority, AdvertInterval: w.AdvertInterval,
		Why: make(map[string]string),
	}}
}

// possible refuses what no vipd.toml can hold, before time is spent on it.
func (d *Discovery) possible() error {
	draft := d.Draft
	draft.VRID = cmp.Or(draft.VRID, 1) // it is chosen later
	_, err := draft.Render()
	return err
}

func (d *Discovery) note(format string, args ...any) {
	d.Notes = append(d.Notes, fmt.Sprintf(format, args...))
}

// Discover makes the draft of a configuration from a wish and from what it finds on the
// host and its network, where it listens for other routers and asks who has the addresses.
// It refuses addresses that others have, but for those of a group that it can join.
func Discover(ctx context.Context, w Wish) (*Discovery, error) {
	d := newDiscovery(w)
	if err := d.possible(); err != nil {
		return nil, err
	}
	homes, err := homesOf(w)
	if unseen := (unseenError{}); errors.As(err, &unseen) && w.VRID != 0 {
		d.note("%v; so it was not seen whether somebody has the addresses, or uses VRID %d", err, w.VRID)
		return d, nil
	}
	if err != nil {
		return nil, err
	}
	own := askTenants(ctx, w.RuntimeDir)
	if err := checkOnHost(homes, own); err != nil {
		return nil, err
	}
	found, err := surveyAll(ctx, homes)
	if errors.Is(err, os.ErrPermission) && w.VRID != 0 {
		d.note("without root it cannot be seen whether somebody has the addresses, or uses VRID %d: run vipd init as root to be sure", w.VRID)
		return d, nil
	}
	if err != nil {
		return nil, err
	}
	if err := d.choose(found, own); err != nil {
		return nil, err
	}
	if err := d.checkClaims(found); err != nil {
		return nil, err
	}
	d.explainAddresses(found)
	return d, nil
}

// DiscoverVRID only chooses a VRID, and what else routers have to agree on, for addresses
// that another program holds until vipd does.
func DiscoverVRID(ctx context.Context, w Wish) (*Discovery, error) {
	d := newDiscovery(w)
	homes, err := homesOf(w)
	if err != nil {
		return nil, err
	}
	found, err := surveyAll(ctx, homes)
	if err != nil {
		return nil, err
	}
	return d, d.choose(found, tenants{})
}

// choose takes the VRID of the group that has the addresses already, or the one that was
// asked for, or one that nobody uses.
func (d *Discovery) choose(found surveys, own tenants) error {
	group, err := found.group()
	if err != nil {
		return err
	}
	switch {
	case group != nil:
		return d.joinGroup(found, *group)
	case d.stays(found, own):
		return nil
	case d.VRID != 0:
		if s, r, used := found.stranger(d.VRID); used {
			return fmt.Errorf("VRID %d is in use: %s; leave --vrid out for a free one%s", d.VRID, r.on(s), found.suggestion(d.Addresses[0]))
		}
		d.Why["vip.vrid"] = fmt.Sprintf("as asked for; nobody on %s was heard to use it (others heard: %d)", found.where(), found.vrids())
		return nil
	}
	v, ok := found.free(d.Addresses[0])
	if !ok {
		return fmt.Errorf("every VRID is in use on %s", found.where())
	}
	d.VRID = v
	d.Why["vip.vrid"] = fmt.Sprintf("nobody on %s was heard to use it (others heard: %d); all servers need the same", found.where(), found.vrids())
	return nil
}

// stays has the server go on as it is, if its own agent has the addresses now and nobody
// else uses their VRID. Its advertisements are not heard here.
func (d *Discovery) stays(found surveys, own tenants) bool {
	r := own.of(d.Addresses[0])
	if r == nil || d.VRID != 0 && d.VRID != r.VRID {
		return false
	}
	if s, a, used := found.stranger(r.VRID); used {
		d.note("VRID %d, with which the agent of this server has the addresses, is in use: %s; so this is for another, on all servers", r.VRID, a.on(s))
		return false
	}
	d.VRID = r.VRID
	d.Why["vip.vrid"] = "the agent of this server has the addresses with it"
	d.takeInterval(time.Duration(r.AdvertInterval), "the agent of this server")
	d.note("what the vipd.toml of this server has besides, such as peers or [auth], is not in this one")
	return true
}

// takeInterval takes over the advert interval of another, unless one was asked for.
func (d *Discovery) takeInterval(interval time.Duration, whose string) {
	if d.AdvertInterval == 0 && interval >= 10*time.Millisecond && interval != config.Default().VIPs[0].AdvertInterval {
		d.AdvertInterval = interval
		d.Why["vip.advert_interval"] = "that of " + whose
	}
}

// joinGroup has the server join others, unless that would be a collision.
func (d *Discovery) joinGroup(found surveys, group announced) error {
	if d.VRID != 0 && d.VRID != group.vrid {
		return fmt.Errorf("%s advertises the addresses with VRID %d: leave --vrid out to join it, or take another address", group.src, group.vrid)
	}
	if group.unicast {
		return fmt.Errorf("%s advertises the addresses to its peers alone, with VRID %d: copy its vipd.toml here, which names them", group.src, group.vrid)
	}
	if s, r, used := found.stranger(group.vrid); used {
		if _, joins := s.group(); !joins {
			return fmt.Errorf("%s advertises %s with VRID %d, but %s: give %s a [[vip]] and a VRID of its own",
				group.src, addresses(group.addrs), group.vrid, r.on(s), addresses(s.addrs))
		}
		d.note("VRID %d has two users: %s; choose another on all servers, then: vipd reload%s", group.vrid, r.on(s), found.suggestion(d.Addresses[0]))
	}
	d.join(group)
	return nil
}

// join takes over what routers of a group have to agree on.
func (d *Discovery) join(a announced) {
	d.VRID = a.vrid
	d.Why["vip.vrid"] = fmt.Sprintf("%s advertises the addresses with it: this server joins", a.src)
	if a.signed {
		d.Why["vip.vrid"] += "; it signs them, so add the [auth] of its vipd.toml here"
	}
	d.takeInterval(a.interval, a.src.String())
}

// checkClaims refuses addresses that another station has. The Active of a group that is
// joined may have them.
func (d *Discovery) checkClaims(found surveys) error {
	for _, s := range found {
		_, joins := s.group()
		for _, a := range s.addrs {
			macs := s.claimants(a)
			if len(macs) == 0 || joins && len(macs) == 1 {
				continue
			}
			if joins {
				d.note("%s is answered by several stations (%s): if that lasts, vipd doctor says which is wrong", a, strings.Join(macs, ", "))
				continue
			}
			return fmt.Errorf("%s is taken: %s on %s answers for it%s; take a free address, or find that station (in the switch, or with: ip neigh | grep %s) and take it off there; "+
				"if it is a server of this cluster, its advertisements do not arrive here: let IP protocol 112 through the firewall, or if it has peers, copy its vipd.toml",
				a, strings.Join(macs, ", "), s.ifi.Name, s.version2(), macs[0])
		}
	}
	return nil
}

// explainAddresses says where the addresses belong, and that they are free.
func (d *Discovery) explainAddresses(found surveys) {
	it, holds := "it", "subnet holds"
	if len(d.Addresses) > 1 {
		it, holds = "them", "subnets hold"
	}
	free := ""
	if found.unclaimed() {
		free = "nobody else answered for " + it
	}
	if d.Interface != "" {
		d.Why["vip.addresses"] = free
		return
	}
	if free != "" {
		free = ", and where " + free
	}
	// The interface may have another name on the next server, so it is not written down.
	d.Why["vip.addresses"] = fmt.Sprintf("here on %s, whose %s %s%s; each server finds its own interface", found.where(), holds, it, free)
}
