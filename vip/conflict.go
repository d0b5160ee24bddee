package vip

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/vipd/vipd/vrrp"
)

// probeInterval is the time between two probes (RFC 5227, section 1.1: PROBE_MIN).
const probeInterval = time.Second

// Conflict asks the network whether another station has addr: by an ARP probe
// (RFC 5227) or by the solicitation of duplicate address detection (RFC 4862),
// repeated each second. It returns when one has answered or when ctx ends, which
// means that nobody did. The MAC may be the virtual one of a peer.
func Conflict(ctx context.Context, ifi *net.Interface, addr netip.Addr) (mac net.HardwareAddr, found bool, err error) {
	addr = addr.Unmap()
	ctx, cancel := context.WithCancel(ctx)
	heard := make(chan net.HardwareAddr, 1)
	ear, err := NewEar(ifi, vrrp.FamilyOf(addr), func(h Heard) {
		select {
		case heard <- h.MAC:
		default:
		}
	})
	if err != nil {
		cancel()
		return nil, false, err
	}
	ended := make(chan error, 1)
	defer func() {
		cancel()
		<-ended
	}()
	watching := ear.Watch([]netip.Addr{addr})
	go func() { defer close(ended); ended <- ear.Run(ctx) }()
	if watching != nil {
		return nil, false, watching
	}
	conn, err := openSender(ifi)
	if err != nil {
		return nil, false, err
	}
	defer conn.Close()

	again := time.NewTicker(probeInterval)
	defer again.Stop()
	for {
		if err := send(conn, question(ifi.HardwareAddr, addr)); err != nil {
			return nil, false, fmt.Errorf("probe for %v on %s: %w", addr, ifi.Name, err)
		}
		select {
		case mac := <-heard:
			return mac, true, nil
		case err := <-ended:
			return nil, false, err
		case <-ctx.Done():
			return nil, false, nil
		case <-again.C:
		}
	}
}

// maxClaims bounds how many answers Claims keeps.
const maxClaims = 256

// Claims asks the network, as [Conflict] does, which other stations have these addresses
// of one family, and goes on until ctx ends when some have answered. It returns each
// station once for an address.
func Claims(ctx context.Context, ifi *net.Interface, addrs []netip.Addr) ([]Heard, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	f := vrrp.FamilyOf(addrs[0])
	var all []Heard // Run's, until it has ended
	ear, err := NewEar(ifi, f, func(h Heard) {
		same := func(o Heard) bool { return o.Addr == h.Addr && bytes.Equal(o.MAC, h.MAC) }
		if len(all) < maxClaims && !slices.ContainsFunc(all, same) {
			all = append(all, h)
		}
	})
	if err != nil {
		return nil, err
	}
	ended := make(chan error, 1)
	watching := ear.Watch(addrs)
	go func() { ended <- ear.Run(ctx) }()
	asking := askFor(ctx, ifi, addrs)
	cancel()
	if err := errors.Join(watching, asking, <-ended); err != nil {
		return nil, err
	}
	return all, nil
}

// askFor asks each second until ctx ends.
func askFor(ctx context.Context, ifi *net.Interface, addrs []netip.Addr) error {
	conn, err := openSender(ifi)
	if err != nil {
		return err
	}
	defer conn.Close()
	again := time.NewTicker(probeInterval)
	defer again.Stop()
	for {
		for _, a := range addrs {
			if err := send(conn, question(ifi.HardwareAddr, a)); err != nil {
				return fmt.Errorf("ask for %v on %s: %w", a, ifi.Name, err)
			}
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func question(mac net.HardwareAddr, addr netip.Addr) []byte {
	if addr.Is4() {
		return arpProbe(mac, addr)
	}
	return nsProbe(mac, addr)
}
