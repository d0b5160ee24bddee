package doctor

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/vipd/vipd/vrrp"
)

// askFor is how long an answer is waited for: two questions, and some time.
const askFor = 1300 * time.Millisecond

func checkAddresses(ctx context.Context, p *patient) ([]Finding, error) {
	places, err := p.places()
	if err != nil {
		return nil, err
	}
	var (
		mu   sync.Mutex
		list []Finding
		all  errgroup.Group
	)
	all.SetLimit(atOnce)
	for _, at := range places {
		if at.link == nil || !at.link.Up {
			continue
		}
		for _, a := range at.addrs {
			all.Go(func() error {
				found, err := p.checkAddress(ctx, at, a)
				mu.Lock()
				defer mu.Unlock()
				list = append(list, found...)
				return err
			})
		}
	}
	err = all.Wait()
	return list, err
}

// atOnce is how many addresses are asked for at a time.
const atOnce = 64

func (p *patient) checkAddress(ctx context.Context, at place, a netip.Addr) ([]Finding, error) {
	macs, err := p.Wire.Claimants(ctx, *at.link, a, askFor)
	if err != nil {
		return nil, fmt.Errorf("ask for %s on %s: %w", a, at.link.Name, err)
	}
	var list []Finding
	for _, mac := range macs {
		if !at.link.holds(a) && !p.knowsActive(at) {
			return list, fmt.Errorf("%s answers for %s, which may be its Active: needs the agent, or to listen", mac, a)
		}
		list = append(list, p.judgeClaimant(ctx, at, a, mac)...)
	}
	return list, nil
}

// judgeClaimant asks whether the station is the Active, if that is not this host.
func (p *patient) judgeClaimant(ctx context.Context, at place, a netip.Addr, mac net.HardwareAddr) []Finding {
	virtual := vrrp.VirtualMAC(at.family, at.vip.VRID)
	if bytes.Equal(mac, virtual[:]) {
		return nil
	}
	remedy := fmt.Sprintf("find it by its MAC in the switch or with: ip neigh | grep %s; take %s off there, or choose another VIP", mac, a)
	if at.link.holds(a) {
		// One that is about to succeed may answer too, but not for long.
		again, err := p.Wire.Claimants(ctx, *at.link, a, askFor)
		if err != nil || !contains(again, mac) {
			return nil
		}
		if p.advertises(at, mac) {
			return []Finding{found("vip-elsewhere", at.String(), fmt.Sprintf("this host has %s, and so has %s, which advertises it: they do not hear each other", a, mac),
				"let IP protocol 112 through between them: run vipd doctor on both")}
		}
		return []Finding{found("vip-elsewhere", at.String(), fmt.Sprintf("this host has %s, and %s answers for it too", a, mac), remedy)}
	}
	if p.advertises(at, mac) || p.isActive(ctx, at, mac) {
		return nil
	}
	return []Finding{found("vip-elsewhere", at.String(), fmt.Sprintf("%s is answered by %s, which is not an Active of this group", a, mac), remedy)}
}

func contains(list []net.HardwareAddr, mac net.HardwareAddr) bool {
	return slices.ContainsFunc(list, func(m net.HardwareAddr) bool { return bytes.Equal(m, mac) })
}

// advertises tells whether advertisements for the VIP came from the station.
func (p *patient) advertises(at place, mac net.HardwareAddr) bool {
	if p.Listen == 0 {
		return false
	}
	frames, err := p.heard()
	if err != nil {
		return false
	}
	for _, f := range at.ears(frames) {
		var packet vrrp.Packet
		_, why := packet.Parse(at.family, f.Payload)
		if why != vrrp.Accepted || packet.VRID != at.vip.VRID || !bytes.Equal(f.MAC, mac) {
			continue
		}
		for _, a := range packet.Addrs {
			if at.has(a) {
				return true
			}
		}
	}
	return false
}

// knowsActive tells whether there is a way to know who is Active.
func (p *patient) knowsActive(at place) bool {
	_, asked := p.router(at)
	return asked || p.Listen > 0
}

// isActive tells whether the station is the peer that the agent takes for the Active.
func (p *patient) isActive(ctx context.Context, at place, mac net.HardwareAddr) bool {
	r, ok := p.router(at)
	if !ok || r.Active == nil {
		return false
	}
	peer, err := netip.ParseAddr(r.Active.Address)
	if err != nil {
		return false
	}
	theirs, err := p.Wire.Claimants(ctx, *at.link, peer.WithZone(""), askFor)
	return err == nil && contains(theirs, mac)
}
