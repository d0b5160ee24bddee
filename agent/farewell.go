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

	"github.com/vipd/vipd/vip"
	"github.com/vipd/vipd/vrrp"
	"github.com/vipd/vipd/vrrp/transport"
)

// farewell is the parting of all routers of a dead agent. Those of one interface and
// family share their sockets: with many, opening them takes longer than a takeover.
type farewell struct {
	clock   clock
	lines   map[segmentKey]*line
	leaving []*parting
	did     []string // a line for each thing
	errs    []error
}

// line is what the partings of one interface and family say and hear through.
type line struct {
	receiver *transport.Receiver
	sender   *transport.Sender
	ifi      *net.Interface
	lingers  []*parting // that keep their addresses until a successor has announced them
}

// part says farewell for the routers that were saved as Active, all at once, and takes
// the addresses of each off when its own successor is there. It returns what it did, a
// line each.
func part(ctx context.Context, c clock, saved state) ([]string, error) {
	w := &farewell{clock: c, lines: make(map[segmentKey]*line)}
	w.gather(saved)
	ctx, cancel := context.WithCancel(ctx)
	var reading sync.WaitGroup
	for k, l := range w.lines {
		// They end with ctx. If one fails sooner less is heard, and the time runs out.
		reading.Go(func() { _ = l.receiver.Run(ctx) })
		if len(l.lingers) == 0 {
			continue
		}
		ear, err := vip.NewEar(l.ifi, k.family, l.heard)
		if err != nil {
			w.errs = append(w.errs, fmt.Errorf("hear a successor's announcement: %w", err))
			continue
		}
		w.errs = append(w.errs, ear.Watch(l.awaited()))
		reading.Go(func() { _ = ear.Run(ctx) })
	}
	for _, p := range w.leaving {
		if err := p.say(); err != nil {
			w.failed(p.name, err) // then it waits in silence
			continue
		}
		w.did = append(w.did, "told the peers of "+p.name+" that this node left")
	}
	w.await(ctx)
	cancel()
	reading.Wait()
	for _, l := range w.lines {
		w.errs = append(w.errs, l.receiver.Close(), l.sender.Close())
	}
	return w.did, errors.Join(w.errs...)
}

func (w *farewell) failed(name string, err error) {
	w.errs = append(w.errs, fmt.Errorf("tell the peers of %s: %w", name, err))
}

// gather makes the partings.
func (w *farewell) gather(saved state) {
	// Credentials end with the process that had them.
	keys, silent := readAuth(saved.Auth)
	sequences := saved.sequencesAt(w.clock.now())
	for _, name := range slices.Sorted(maps.Keys(saved.Routers)) {
		s := saved.Routers[name]
		if s.State != vrrp.Active.String() {
			continue
		}
		p, err := newParting(w.clock, name, s, keys, sequences[name])
		if err == nil {
			p.silent = silent
			err = w.connect(p, s.Interface)
		}
		if err != nil {
			w.failed(name, err)
			continue
		}
		w.leaving = append(w.leaving, p)
	}
}

// connect gives a parting the sockets of its interface.
func (w *farewell) connect(p *parting, iface string) error {
	k := segmentKey{iface, p.router.id.Family}
	if w.lines[k] == nil {
		l, err := openLine(k, w.clock)
		if err != nil {
			return err
		}
		w.lines[k] = l
	}
	l := w.lines[k]
	p.router.link.sender = l.sender
	if !p.router.cfg.VirtualMAC {
		l.lingers = append(l.lingers, p)
	}
	return l.receiver.Handle(p.router.cfg.VRID, p.heard)
}

func openLine(k segmentKey, c clock) (*line, error) {
	ifi, err := net.InterfaceByName(k.name)
	if err != nil {
		return nil, fmt.Errorf("find interface %s: %w", k.name, err)
	}
	recv, err := transport.NewReceiver(ifi, k.family, c.now)
	if err != nil {
		return nil, err
	}
	out, err := transport.NewSender(ifi, k.family)
	if err != nil {
		return nil, errors.Join(err, recv.Close())
	}
	return &line{receiver: recv, sender: out, ifi: ifi}, nil
}

// awaited returns the addresses whose announcements are listened for. More than an ear
// can watch wait out their time.
func (l *line) awaited() []netip.Addr {
	var addrs []netip.Addr
	for _, p := range l.lingers {
		addrs = append(addrs, p.router.addrs...)
	}
	return addrs[:min(len(addrs), vrrp.MaxAddresses)]
}

// heard takes what all neighbours hear. An answer to a question tells only who asked.
func (l *line) heard(h vip.Heard) {
	if !h.Gratuitous {
		return
	}
	for _, p := range l.lingers {
		p.hearsOf(h.Addr)
	}
}

// await takes the addresses of each router off when it need not wait any more. A
// virtual MAC must be gone before another has it, so those are off already.
func (w *farewell) await(ctx context.Context) {
	ended := make(chan *parting, len(w.leaving))
	left := 0
	for _, p := range w.leaving {
		if p.router.cfg.VirtualMAC {
			continue
		}
		left++
		go func() { p.await(ctx); ended <- p }()
	}
	for left > 0 {
		off := slices.Clone((<-ended).router.addrs)
		left--
		for ; len(ended) > 0; left-- {
			off = append(off, (<-ended).router.addrs...)
		}
		w.remove(off)
	}
}

func (w *farewell) remove(addrs []netip.Addr) {
	removed, err := vip.Remove(addrs)
	w.did = append(w.did, removed...)
	w.errs = append(w.errs, err)
}
