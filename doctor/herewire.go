package doctor

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/mdlayher/packet"
	"golang.org/x/net/bpf"

	"github.com/vipd/vipd/vip"
	"github.com/vipd/vipd/vrrp"
)

type hostWire struct{}

// Claimants asks for the address alone.
func (hostWire) Claimants(ctx context.Context, l Link, a netip.Addr, d time.Duration) ([]net.HardwareAddr, error) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	claims, err := vip.Claims(ctx, l.netInterface(), []netip.Addr{a})
	var macs []net.HardwareAddr
	for _, c := range claims {
		macs = append(macs, c.MAC)
	}
	return macs, err
}

func (l Link) netInterface() *net.Interface {
	return &net.Interface{Index: l.Index, Name: l.Name, MTU: l.MTU, HardwareAddr: l.MAC}
}

// Listen listens in front of the firewall, so that what is dropped there is heard too.
func (hostWire) Listen(ctx context.Context, links []Link, d time.Duration) ([]Frame, error) {
	var (
		mu     sync.Mutex
		frames []Frame
		errs   []error
		all    sync.WaitGroup
	)
	for _, l := range links {
		for _, f := range []vrrp.Family{vrrp.IPv4, vrrp.IPv6} {
			if f == vrrp.IPv6 && !l.speaksIPv6() {
				continue
			}
			all.Go(func() {
				got, err := listenOn(ctx, l, f, d)
				mu.Lock()
				defer mu.Unlock()
				frames = append(frames, got...)
				errs = append(errs, err)
			})
		}
	}
	all.Wait()
	return frames, errors.Join(errs...)
}

func (l Link) speaksIPv6() bool {
	for _, a := range l.Addrs {
		if a.Addr().Is6() {
			return true
		}
	}
	return false
}

const (
	etherTypeIPv4 = 0x0800
	etherTypeIPv6 = 0x86dd
	maxFrames     = 10000 // of a flood, some are enough
	maxFrameLen   = 9216
)

// listenOn listens for d from when it can hear, or it would miss who advertises each d.
func listenOn(ctx context.Context, l Link, f vrrp.Family, d time.Duration) ([]Frame, error) {
	ifi := l.netInterface()
	member, err := join(ifi, f)
	if err != nil {
		return nil, fmt.Errorf("join %s on %s: %w", f.Group(), l.Name, err)
	}
	defer member.Close()
	filter, err := onlyVRRP(f)
	if err != nil {
		return nil, err
	}
	etherType := etherTypeIPv4
	if f == vrrp.IPv6 {
		etherType = etherTypeIPv6
	}
	conn, err := packet.Listen(ifi, packet.Raw, etherType, &packet.Config{Filter: filter})
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", l.Name, err)
	}
	defer conn.Close()
	if err := conn.SetReadDeadline(time.Now().Add(d)); err != nil {
		return nil, err
	}
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	var frames []Frame
	for buf := make([]byte, maxFrameLen); len(frames) < maxFrames; {
		n, _, err := conn.ReadFrom(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) || ctx.Err() != nil {
			break
		}
		if err != nil {
			return frames, fmt.Errorf("listen on %s: %w", l.Name, err)
		}
		if frame, ok := decode(buf[:n], f); ok {
			frame.Link, frame.At = l.Name, time.Now()
			frames = append(frames, frame)
		}
	}
	return frames, nil
}

// join makes the host a member of the group, or snooping switches withhold what is sent
// to it. A UDP socket will do, which gets nothing.
func join(ifi *net.Interface, f vrrp.Family) (*net.UDPConn, error) {
	network := "udp4"
	if f == vrrp.IPv6 {
		network = "udp6"
	}
	return net.ListenMulticastUDP(network, ifi, &net.UDPAddr{IP: f.Group().AsSlice()})
}

// onlyVRRP lets the kernel drop all frames but those of the protocol.
func onlyVRRP(f vrrp.Family) ([]bpf.RawInstruction, error) {
	offset := uint32(etherLen + 9)
	if f == vrrp.IPv6 {
		offset = etherLen + 6
	}
	return bpf.Assemble([]bpf.Instruction{
		bpf.LoadAbsolute{Off: offset, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: vrrp.Protocol, SkipFalse: 1},
		bpf.RetConstant{Val: maxFrameLen},
		bpf.RetConstant{Val: 0},
	})
}

const (
	etherLen = 14
	ipv6Len  = 40
	ipv4Len  = 20
)

// decode reads an Ethernet frame. Fragments are passed over.
func decode(b []byte, f vrrp.Family) (Frame, bool) {
	if len(b) < etherLen {
		return Frame{}, false
	}
	frame := Frame{MAC: append(net.HardwareAddr(nil), b[6:12]...)}
	ip := b[etherLen:]
	if f == vrrp.IPv4 {
		if len(ip) < ipv4Len || ip[0]>>4 != 4 {
			return Frame{}, false
		}
		header, total := int(ip[0]&0xf)*4, int(binary.BigEndian.Uint16(ip[2:]))
		if fragment := binary.BigEndian.Uint16(ip[6:]) & 0x3fff; fragment != 0 || header < ipv4Len || total < header || total > len(ip) {
			return Frame{}, false
		}
		frame.Header = vrrp.Header{Src: netip.AddrFrom4([4]byte(ip[12:])), Dst: netip.AddrFrom4([4]byte(ip[16:])), TTL: int(ip[8])}
		frame.Payload = append([]byte(nil), ip[header:total]...)
		return frame, true
	}
	if len(ip) < ipv6Len || ip[0]>>4 != 6 {
		return Frame{}, false
	}
	total := ipv6Len + int(binary.BigEndian.Uint16(ip[4:]))
	if total > len(ip) {
		return Frame{}, false
	}
	frame.Header = vrrp.Header{Src: netip.AddrFrom16([16]byte(ip[8:])), Dst: netip.AddrFrom16([16]byte(ip[24:])), TTL: int(ip[7])}
	frame.Payload = append([]byte(nil), ip[ipv6Len:total]...)
	return frame, true
}
