package agent

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/vipd/vipd/config"
	"github.com/vipd/vipd/vrrp"
	"github.com/vipd/vipd/vrrp/transport"
)

const (
	// partingLimit bounds how long a successor is waited for; the lease of the address
	// that is kept meanwhile has 1.5 s or more to run.
	partingLimit = 1500 * time.Millisecond
	// partingExtra is how long the address is kept after a successor was heard, so that
	// it has announced itself, and what a Backup is allowed beside four intervals.
	partingExtra = 100 * time.Millisecond
)

// parting is what is left to do for a router whose agent died while it was Active: to
// tell the Backups, and to keep the address, behind which the API server may well go on
// answering, until one of them has taken over.
type parting struct {
	router   *router
	receiver *transport.Receiver
	sender   *transport.Sender
	silent   error // why it cannot sign what it says
	once     sync.Once
	taken    chan struct{} // closed when another was heard
}

// part does that for the routers of the saved state, all at once, and returns what it
// did, a line each. A virtual MAC must be gone before another has it: those that are
// virtual are not waited for.
func part(ctx context.Context, c clock, cfg *config.Config, saved map[string]savedState) ([]string, error) {
	var done []string
	var errs []error
	var leaving []*parting
	for _, name := range slices.Sorted(maps.Keys(saved)) {
		if saved[name].State != vrrp.Active.String() {
			continue
		}
		p, err := newParting(c, cfg, name, saved[name])
		if err == nil {
			defer p.close()
			leaving = append(leaving, p) // in silence if need be
			err = p.say()
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("tell the peers of %s: %w", name, err))
			continue
		}
		done = append(done, "told the peers of "+name+" that this node left")
	}
	var wg sync.WaitGroup
	for _, p := range leaving {
		if !p.router.cfg.VirtualMAC {
			wg.Go(func() { p.await(ctx) })
		}
	}
	wg.Wait()
	return done, errors.Join(errs...)
}

// newParting opens the sockets for a router that was saved under that name.
func newParting(c clock, cfg *config.Config, name string, s savedState) (*parting, error) {
	v, f, ok := find(cfg, name)
	if !ok {
		return nil, errors.New("it is not in the configuration any more")
	}
	src, err := netip.ParseAddr(s.Source)
	if err != nil {
		return nil, fmt.Errorf("read its source address: %w", err)
	}
	ifi, err := net.InterfaceByName(s.Interface)
	if err != nil {
		return nil, fmt.Errorf("find interface %s: %w", s.Interface, err)
	}
	// Credentials end with the process that had them.
	keys, silent := readAuth(cfg.Auth)
	recv, err := transport.NewReceiver(ifi, f, c.now)
	if err != nil {
		return nil, err
	}
	out, err := transport.NewSender(ifi, f)
	if err != nil {
		return nil, errors.Join(err, recv.Close())
	}
	r := &router{id: id{v.Name, f}, record: newRecorder(nil)}
	r.take(v, keys)
	r.link = &link{src: src, sender: out}
	p := &parting{router: r, receiver: recv, sender: out, silent: silent, taken: make(chan struct{})}
	if err := recv.Handle(v.VRID, p.heard); err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

func (p *parting) close() error {
	return errors.Join(p.receiver.Close(), p.sender.Close())
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

// await waits for a successor, and repeats meanwhile that this node left.
func (p *parting) await(ctx context.Context) {
	interval := p.router.cfg.AdvertInterval
	ctx, cancel := context.WithTimeout(ctx, min(4*interval+partingExtra, partingLimit))
	defer cancel()
	var reading sync.WaitGroup
	defer reading.Wait()
	// It ends with ctx. If it fails sooner nobody is heard, and the time runs out.
	reading.Go(func() { _ = p.receiver.Run(ctx) })
	defer cancel()
	again := time.NewTicker(interval)
	defer again.Stop()
	for {
		select {
		case <-p.taken:
			select {
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

func find(cfg *config.Config, name string) (config.VIP, vrrp.Family, bool) {
	for _, v := range cfg.VIPs {
		for _, f := range v.Families() {
			if (id{v.Name, f}).String() == name {
				return v, f, true
			}
		}
	}
	return config.VIP{}, 0, false
}
