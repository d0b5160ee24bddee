package watch

import (
	"encoding/binary"
	"net"
	"net/netip"

	"github.com/mdlayher/arp"
	"github.com/mdlayher/ndp"

	"github.com/vipd/vipd/vrrp"
)

// Lengths and values of the headers.
const (
	macLen      = 6
	ethernetLen = 14
	ipv4Len     = 20
	ipv6Len     = 40
	icmpv6      = 58
	hopLimit    = 255 // of neighbour discovery: anything else came through a router

	typeIPv4 = 0x0800
	typeARP  = 0x0806
	typeIPv6 = 0x86dd
)

// datagram is an IP packet that carries VRRP.
type datagram struct {
	vrrp.Header
	mac     net.HardwareAddr
	payload []byte
	part    bool // a fragment: the rest is elsewhere
}

// claim is a packet that says where an address is.
type claim struct {
	addr       netip.Addr
	mac        net.HardwareAddr
	form       Form
	gratuitous bool // nobody had asked
}

// decode returns the one of the two that an Ethernet frame holds, or neither. Both
// point into the frame.
func decode(frame []byte) (*datagram, *claim) {
	if len(frame) < ethernetLen {
		return nil, nil
	}
	mac, body := net.HardwareAddr(frame[macLen:2*macLen]), frame[ethernetLen:]
	switch binary.BigEndian.Uint16(frame[2*macLen:]) {
	case typeARP:
		return nil, decodeARP(body)
	case typeIPv4:
		return decodeIPv4(mac, body), nil
	case typeIPv6:
		return decodeIPv6(mac, body)
	}
	return nil, nil
}

func decodeARP(body []byte) *claim {
	var p arp.Packet
	if p.UnmarshalBinary(body) != nil || !p.SenderIP.Is4() || len(p.SenderHardwareAddr) != macLen {
		return nil
	}
	c := &claim{addr: p.SenderIP, mac: p.SenderHardwareAddr, form: ARPRequest, gratuitous: p.SenderIP == p.TargetIP}
	if p.Operation == arp.OperationReply {
		c.form = ARPReply
	}
	return c
}

func decodeIPv4(mac net.HardwareAddr, b []byte) *datagram {
	if len(b) < ipv4Len || b[9] != vrrp.Protocol {
		return nil
	}
	head, total := int(b[0]&0x0f)*4, int(binary.BigEndian.Uint16(b[2:]))
	if head < ipv4Len || total < head || total > len(b) {
		return nil
	}
	const moreOrOffset = 0x3fff
	return &datagram{
		Header:  vrrp.Header{Src: netip.AddrFrom4([4]byte(b[12:])), Dst: netip.AddrFrom4([4]byte(b[16:])), TTL: int(b[8])},
		mac:     mac,
		payload: b[head:total],
		part:    binary.BigEndian.Uint16(b[6:])&moreOrOffset != 0,
	}
}

func decodeIPv6(mac net.HardwareAddr, b []byte) (*datagram, *claim) {
	if len(b) < ipv6Len {
		return nil, nil
	}
	end := ipv6Len + int(binary.BigEndian.Uint16(b[4:]))
	if end > len(b) {
		return nil, nil
	}
	switch b[6] {
	case vrrp.Protocol:
		return &datagram{
			Header:  vrrp.Header{Src: netip.AddrFrom16([16]byte(b[8:])), Dst: netip.AddrFrom16([16]byte(b[24:])), TTL: int(b[7])},
			mac:     mac,
			payload: b[ipv6Len:end],
		}, nil
	case icmpv6:
		return nil, decodeNA(mac, b[7], b[ipv6Len:end])
	}
	return nil, nil
}

func decodeNA(mac net.HardwareAddr, hops byte, b []byte) *claim {
	if hops != hopLimit {
		return nil
	}
	m, err := ndp.ParseMessage(b)
	na, ok := m.(*ndp.NeighborAdvertisement)
	if err != nil || !ok {
		return nil
	}
	c := &claim{addr: na.TargetAddress, mac: mac, form: Neighbour, gratuitous: !na.Solicited}
	for _, o := range na.Options {
		if lla, ok := o.(*ndp.LinkLayerAddress); ok && lla.Direction == ndp.Target && len(lla.Addr) == macLen {
			c.mac = lla.Addr
		}
	}
	return c
}

// checksumOK verifies the checksum that the kernel makes over IPv6 (RFC 8200,
// section 8.1), trailer included.
func (d *datagram) checksumOK() bool {
	src, dst := d.Src.As16(), d.Dst.As16()
	sum := uint32(vrrp.Protocol) + uint32(len(d.payload))
	for _, b := range [][]byte{src[:], dst[:], d.payload} {
		for i := 0; i+1 < len(b); i += 2 {
			sum += uint32(binary.BigEndian.Uint16(b[i:]))
		}
		if len(b)%2 == 1 {
			sum += uint32(b[len(b)-1]) << 8
		}
	}
	for sum>>16 != 0 {
		sum = sum>>16 + sum&0xffff
	}
	return sum == 0xffff
}
