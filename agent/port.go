package agent

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"

	"github.com/vipd/vipd/vip"
	"github.com/vipd/vipd/vrrp"
	"github.com/vipd/vipd/vrrp/transport"
)

// port is what the routers of a segment share.
type port struct {
	ifi    *net.Interface
	recv   *transport.Receiver
	send   *transport.Sender
	say    *vip.Announcer
	keeper *vip.Keeper
	ear    *vip.Ear
	deafen context.CancelFunc // ends the ear
	cancel context.CancelFunc // ends the receiver
	idle   context.CancelFunc // ends the keeper
	wg     sync.WaitGroup
}

func (s *segment) openPort(ctx context.Context, ifi *net.Interface) (*port, error) {
	recv, err := transport.NewReceiver(ifi, s.family, s.clock.now)
	if err != nil {
		return nil, err
	}
	send, err := transport.NewSender(ifi, s.family)
	if err != nil {
		return nil, errors.Join(err, recv.Close())
	}
	say, err := vip.NewAnnouncer(ifi, s.family)
	if err != nil {
		return nil, errors.Join(err, recv.Close(), send.Close())
	}
	keeper, err := vip.NewKeeper(s.family)
	if err != nil {
		return nil, errors.Join(err, recv.Close(), send.Close(), say.Close())
	}
	p := &port{recv: recv, send: send, say: say, keeper: keeper}
	if err := s.openEar(ctx, p, ifi); err != nil {
		return nil, errors.Join(err, recv.Close(), send.Close(), say.Close(), keeper.Close())
	}
	// The last that the routers ask for is done after ctx has ended.
	var keeping context.Context
	keeping, p.idle = context.WithCancel(context.WithoutCancel(ctx))
	p.wg.Go(func() { s.ended(p, "the keeper of the addresses", keeper.Run(keeping)) })
	ctx, p.cancel = context.WithCancel(ctx)
	p.wg.Go(func() { s.ended(p, "the receiver", recv.Run(ctx)) })
	return p, nil
}

// openEar gives a port an ear, which knows its own frames by the interface's MAC.
func (s *segment) openEar(ctx context.Context, p *port, ifi *net.Interface) error {
	ear, err := vip.NewEar(ifi, s.family, s.heard)
	if err != nil {
		return err
	}
	ear.Sibling = func(other string, addr netip.Addr) { s.record.sibling(ifi.Name, other, addr) }
	p.ifi, p.ear = ifi, ear
	ctx, p.deafen = context.WithCancel(ctx)
	p.wg.Go(func() { s.ended(p, "the announcement watch", ear.Run(ctx)) })
	return nil
}

// newMAC follows a bond or a bridge that has got another MAC: the routers go on, and
// tell the network.
func (s *segment) newMAC(ctx context.Context, ifi *net.Interface) error {
	deafen := s.port.deafen
	if err := s.openEar(ctx, s.port, ifi); err != nil {
		return err
	}
	deafen()
	for _, m := range s.members {
		m.router.post(vrrp.AddressLost()) // claims what is there already, and announces it
	}
	return nil
}

// ended is called when a part of the port has: it is of no use any more, and a
// deaf router would be worse than none.
func (s *segment) ended(p *port, what string, err error) {
	if err == nil {
		return
	}
	s.record.failed(what+" on "+s.name()+" ended", err)
	s.mu.Lock()
	s.broken = p
	s.mu.Unlock()
	s.wake()
}

func (s *segment) closePort() {
	if s.port == nil {
		return
	}
	s.port.cancel()
	s.port.deafen()
	s.port.idle()
	s.port.wg.Wait()
	s.record.closed(s.name(), s.port.recv.Close(), s.port.send.Close(), s.port.say.Close(), s.port.keeper.Close())
	s.port, s.src = nil, netip.Addr{}
}

// watchAddrs tells the ear which addresses to listen for.
func (s *segment) watchAddrs() error {
	var all []netip.Addr
	for _, m := range s.members {
		all = append(all, ofFamily(m.router.snapshot().cfg.Addresses, s.family)...)
	}
	return s.port.ear.Watch(all[:min(len(all), vrrp.MaxAddresses)])
}

// rejoin joins the multicast group again if the kernel has forgotten it.
func (s *segment) rejoin() {
	if s.port == nil {
		return
	}
	joined, err := s.port.recv.Joined()
	if err == nil && !joined {
		err = s.port.recv.Rejoin()
	}
	if err != nil {
		s.record.failed("stay in the multicast group on "+s.name(), err)
	}
}
