package agent

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/vipd/vipd/config"
	"github.com/vipd/vipd/vrrp"
	"github.com/vipd/vipd/vrrp/transport"
)

const (
	// partingLimit bounds how long a successor is waited for; the lease of the address
	// that is kept meanwhile has 1.5 s or more to run, and less only after a hang.
	partingLimit = 1500 * time.Millisecond
	// partingExtra is how long the address is kept after a successor was heard, unless it
	// announces it sooner: one that was there already may have done so before. It is also
	// what a Backup is allowed beside four intervals.
	partingExtra = 100 * time.Millisecond
)

// parting is what is left to do for a router whose agent died while it was Active: to
// tell the Backups, and to keep the address, behind which the API server may well go on
// answering, until one of them has taken over. It goes by what the agent saved, for the
// configuration may have changed since.
type parting struct {
	name   string
	router *router
	silent error // why it cannot sign what it says
	once   sync.Once
	taken  chan struct{} // closed when another was heard

	missing   map[netip.Addr]bool // not announced by another yet; only the line's ear looks
	announced chan struct{}       // closed when none is missing
}

// newParting goes on after the last sequence that the agent may have signed with.
func newParting(c clock, name string, s savedState, keys *auth, last uint64) (*parting, error) {
	src, err := netip.ParseAddr(s.Source)
	if err != nil {
		return nil, fmt.Errorf("read its source address: %w", err)
	}
	v := config.VIP{
		Addresses: parseAddrs(s.Addresses), VRID: s.VRID, AdvertInterval: s.Interval,
		Peers: s.Peers, Checksum: s.Checksum, VirtualMAC: s.VirtualMAC,
	}
	if len(v.Addresses) == 0 || v.AdvertInterval <= 0 {
		return nil, errors.New("the saved state does not say what it held, or how often it advertised")
	}
	f := vrrp.FamilyOf(v.Addresses[0])
	v.Name = strings.TrimSuffix(name, "/"+f.String())
	r := &router{id: id{v.Name, f}, clock: c, record: newRecorder(nil)}
	r.sequence.Restore(last)
	r.take(v, keys)
	r.link = &link{src: src}
	p := &parting{name: name, router: r, taken: make(chan struct{}), missing: make(map[netip.Addr]bool), announced: make(chan struct{})}
	for _, a := range v.Addresses {
		p.missing[a] = true
	}
	return p, nil
}

func (p *parting) say() error {
	if p.silent != nil {
		return p.silent
	}
	if !p.router.send(vrrp.PriorityLeave) {
		return errors.New("the advertisement did not go out")
	}
	return nil
}

// heard need not know whether an advertisement is genuine: without one the address
// would go no later.
func (p *parting) heard(d *transport.Datagram) {
	var a vrrp.Packet
	_, why := a.Parse(p.router.id.Family, d.Payload)
	if why == vrrp.Accepted && a.Priority != vrrp.PriorityLeave && d.Src != p.router.link.src {
		p.once.Do(func() { close(p.taken) })
	}
}

// hearsOf notes that another announced an address.
func (p *parting) hearsOf(a netip.Addr) {
	if !p.missing[a] {
		return
	}
	delete(p.missing, a)
	if len(p.missing) == 0 {
		close(p.announced)
	}
}

// await waits for a successor, and repeats meanwhile that this node left, and then until the
// successor has announced itself. An announcement alone, whoever sent it, takes nothing off.
func (p *parting) await(ctx context.Context) {
	interval := p.router.cfg.AdvertInterval
	ctx, cancel := context.WithTimeout(ctx, min(4*interval+partingExtra, partingLimit))
	defer cancel()
	again := time.NewTicker(interval)
	defer again.Stop()
	for {
		select {
		case <-p.taken:
			select {
			case <-p.announced:
			case <-time.After(partingExtra):
			case <-ctx.Done():
			}
			return
		case <-again.C:
			_ = p.say() // its first word was reported
		case <-ctx.Done():
			return
		}
	}
}
