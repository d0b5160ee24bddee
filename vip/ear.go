package vip

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/mdlayher/packet"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/vipd/vipd/vrrp"
)

// Ear listens on one interface for others that say an address is theirs: by ARP
// of any kind with the address as the sender's, or by a neighbour advertisement
// for it. It hears both a successor's announcement and an address conflict.
type Ear struct {
	ifi    *net.Interface
	f      vrrp.Family
	report func(Heard)
	conn   *packet.Conn
	host   hostMACs

	// Sibling, unless it is nil, is told of an address that another interface of this
	// host answers for, which Run does not report. It is set before Run, and must not block.
	Sibling func(name string, addr netip.Addr)

	mu    sync.Mutex
	addrs []netip.Addr
}

// Heard is one such claim by another station.
type Heard struct {
	Addr       netip.Addr
	MAC        net.HardwareAddr // where the address is said to be
	Gratuitous bool             // nobody had asked
}

// The budget of frames read. What comes faster waits in the socket's buffer or is
// dropped there.
const (
	earBudget = 64
	earPeriod = 100 * time.Millisecond
)

// NewEar opens the socket. It hears nothing before Watch is called. Frames with
// the MAC of one of the host's interfaces are not reported; a virtual MAC is shared with
// others and is. report is called from Run and must not block.
func NewEar(ifi *net.Interface, f vrrp.Family, report func(Heard)) (*Ear, error) {
	e := &Ear{ifi: ifi, f: f, report: report}
	protocol := unix.ETH_P_ARP
	if f == vrrp.IPv6 {
		protocol = unix.ETH_P_IPV6
	}
	filter, err := bpf.Assemble(claimsOf(f, nil))
	if err != nil {
		return nil, fmt.Errorf("assemble filter: %w", err)
	}
	e.conn, err = packet.Listen(ifi, packet.Raw, protocol, &packet.Config{Filter: filter})
	if err != nil {
		return nil, fmt.Errorf("listen on %s for %v neighbours: %w", ifi.Name, f, err)
	}
	return e, nil
}

// Watch replaces the addresses that are listened for, at most vrrp.MaxAddresses.
func (e *Ear) Watch(addrs []netip.Addr) error {
	if len(addrs) > vrrp.MaxAddresses {
		return fmt.Errorf("%d addresses to listen for, at most %d are possible", len(addrs), vrrp.MaxAddresses)
	}
	filter, err := bpf.Assemble(claimsOf(e.f, addrs))
	if err != nil {
		return fmt.Errorf("assemble filter: %w", err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.addrs = slices.Clone(addrs)
	if err := e.conn.SetBPF(filter); err != nil {
		return fmt.Errorf("set filter on %s: %w", e.ifi.Name, err)
	}
	return nil
}

// Run reports until ctx ends, then closes the socket and returns nil. An
// interface that goes down and comes up is heard again; one that is removed and
// made anew needs a new Ear.
func (e *Ear) Run(ctx context.Context) error {
	defer e.conn.Close()
	stop := context.AfterFunc(ctx, func() { e.conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	buf := make([]byte, ethernetLen+ethernetMTU)
	since := time.Now()
	for n := 0; ; n++ {
		if n >= earBudget {
			if !sleepUntil(ctx, since.Add(earPeriod)) {
				return nil
			}
			n, since = 0, time.Now()
		}
		size, _, err := e.conn.ReadFrom(buf)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, unix.ENETDOWN): // said once
		case err != nil:
			return fmt.Errorf("listen on %s for %v neighbours: %w", e.ifi.Name, e.f, err)
		default:
			e.hear(buf[:size])
		}
	}
}

func (e *Ear) hear(frame []byte) {
	parse := parseARP
	if e.f == vrrp.IPv6 {
		parse = parseNA
	}
	h, ok := parse(frame)
	if !ok || bytes.Equal(h.MAC, e.ifi.HardwareAddr) {
		return
	}
	e.mu.Lock()
	watched := slices.Contains(e.addrs, h.Addr)
	e.mu.Unlock()
	if !watched {
		return
	}
	// By default the kernel answers by every interface for all addresses of the host
	// (arp_ignore = 0), so that a second one in the same network answers the first.
	if name, ours := e.host.interfaceOf(h.MAC); ours {
		if e.Sibling != nil {
			e.Sibling(name, h.Addr)
		}
		return
	}
	e.report(h)
}

func sleepUntil(ctx context.Context, t time.Time) bool {
	timer := time.NewTimer(time.Until(t))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// claimsOf is the kernel's filter for what hear looks at: a storm about other
// addresses costs nothing. Of an IPv6 address it compares the last four bytes.
func claimsOf(f vrrp.Family, addrs []netip.Addr) []bpf.Instruction {
	drop := bpf.RetConstant{Val: 0}
	prog := []bpf.Instruction{bpf.LoadAbsolute{Off: arpSender, Size: 4}}
	if f == vrrp.IPv6 {
		prog = []bpf.Instruction{
			bpf.LoadAbsolute{Off: ethernetLen + 6, Size: 1}, // next header
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: icmpv6, SkipTrue: 1},
			drop,
			bpf.LoadAbsolute{Off: ethernetLen + ipv6Len, Size: 1}, // type
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: naType, SkipTrue: 1},
			drop,
			bpf.LoadAbsolute{Off: ndpTargetLast, Size: 4},
		}
	}
	for i, a := range addrs {
		b := a.AsSlice()
		prog = append(prog, bpf.JumpIf{
			Cond:     bpf.JumpEqual,
			Val:      binary.BigEndian.Uint32(b[len(b)-4:]),
			SkipTrue: uint8(len(addrs) - i), // over the other comparisons and the drop
		})
	}
	return append(prog, drop, bpf.RetConstant{Val: ethernetLen + ethernetMTU})
}
