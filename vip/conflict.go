package vip

import (
	"context"
	"fmt"
	"net"
	"net/netip"
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

func question(mac net.HardwareAddr, addr netip.Addr) []byte {
	if addr.Is4() {
		return arpProbe(mac, addr)
	}
	return nsProbe(mac, addr)
}
