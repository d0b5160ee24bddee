package vip

import (
	"encoding/binary"
	"net"
	"net/netip"

	"github.com/mdlayher/arp"
	"github.com/mdlayher/ethernet"
	"github.com/mdlayher/ndp"
	"golang.org/x/net/ipv6"
)

// Lengths and values of the headers of the frames sent and heard.
const (
	macLen        = 6
	ethernetLen   = 14
	ipv6Len       = 40
	icmpv6        = 58
	naType        = 136
	ndpHopLimit   = 255 // RFC 4861, section 7.1: anything else came through a router
	allNodes      = "ff02::1"
	ethernetMTU   = 1500
	ndpTargetLast = ethernetLen + ipv6Len + 8 + 12 // the target address's last four bytes
	arpSender     = ethernetLen + 14               // the sender's protocol address
)

// arpAnnouncement is a gratuitous ARP (RFC 5227, section 3): sender and target
// are addr. Linux ignores a reply whose target MAC is the broadcast address for a
// second after the last change, so a reply names its own sender.
func arpAnnouncement(op arp.Operation, mac net.HardwareAddr, addr netip.Addr) []byte {
	target := make(net.HardwareAddr, macLen)
	if op == arp.OperationReply {
		target = mac
	}
	return arpFrame(op, mac, addr, target, addr)
}

// arpProbe asks whether somebody has addr, without claiming it (RFC 5227, section 2.1.1).
func arpProbe(mac net.HardwareAddr, addr netip.Addr) []byte {
	return arpFrame(arp.OperationRequest, mac, netip.IPv4Unspecified(), make(net.HardwareAddr, macLen), addr)
}

func arpFrame(op arp.Operation, mac net.HardwareAddr, sender netip.Addr, targetMAC net.HardwareAddr, target netip.Addr) []byte {
	p, err := arp.NewPacket(op, mac, sender, targetMAC, target)
	if err != nil {
		panic(err) // the family and the length of the MAC were checked when the Holder was made
	}
	b, _ := p.MarshalBinary() // never fails
	return ethernetFrame(mac, ethernet.Broadcast, ethernet.EtherTypeARP, b)
}

// naAnnouncement is an unsolicited neighbour advertisement (RFC 4861, section 7.2.6).
func naAnnouncement(mac net.HardwareAddr, addr netip.Addr, router bool) []byte {
	return ndpFrame(mac, addr, netip.MustParseAddr(allNodes), &ndp.NeighborAdvertisement{
		Router:        router,
		Override:      true,
		TargetAddress: addr,
		Options:       []ndp.Option{&ndp.LinkLayerAddress{Direction: ndp.Target, Addr: mac}},
	})
}

// nsProbe asks whether somebody has addr, without claiming it (RFC 4862, section 5.4.2).
func nsProbe(mac net.HardwareAddr, addr netip.Addr) []byte {
	group, err := ndp.SolicitedNodeMulticast(addr)
	if err != nil {
		panic(err) // the family was checked
	}
	return ndpFrame(mac, netip.IPv6Unspecified(), group, &ndp.NeighborSolicitation{TargetAddress: addr})
}

func ndpFrame(mac net.HardwareAddr, src, group netip.Addr, m ndp.Message) []byte {
	body, err := ndp.MarshalMessageChecksum(m, src, group)
	if err != nil {
		panic(err) // only addresses of the wrong family fail
	}
	b := make([]byte, ipv6Len, ipv6Len+len(body))
	b[0] = ipv6.Version << 4
	binary.BigEndian.PutUint16(b[4:], uint16(len(body)))
	b[6], b[7] = icmpv6, ndpHopLimit
	s, d := src.As16(), group.As16()
	copy(b[8:], s[:])
	copy(b[24:], d[:])
	dst := net.HardwareAddr{0x33, 0x33, d[12], d[13], d[14], d[15]} // RFC 2464, section 7
	return ethernetFrame(mac, dst, ethernet.EtherTypeIPv6, append(b, body...))
}

func ethernetFrame(src, dst net.HardwareAddr, kind ethernet.EtherType, payload []byte) []byte {
	f := ethernet.Frame{Destination: dst, Source: src, EtherType: kind, Payload: payload}
	b, err := f.MarshalBinary()
	if err != nil {
		panic(err) // only invalid VLAN tags fail
	}
	return b
}

// parseARP returns what an ARP frame says of its sender's address.
func parseARP(frame []byte) (Heard, bool) {
	if len(frame) < ethernetLen {
		return Heard{}, false
	}
	var p arp.Packet
	if p.UnmarshalBinary(frame[ethernetLen:]) != nil || !p.SenderIP.Is4() || len(p.SenderHardwareAddr) != macLen {
		return Heard{}, false
	}
	return Heard{Addr: p.SenderIP, MAC: p.SenderHardwareAddr, Gratuitous: p.SenderIP == p.TargetIP}, true
}

// parseNA returns what a frame with a neighbour advertisement says of its target.
// The checksum is not verified: between virtual machines it is often left to
// hardware that is not there.
func parseNA(frame []byte) (Heard, bool) {
	const body = ethernetLen + ipv6Len
	if len(frame) < body || frame[ethernetLen+6] != icmpv6 || frame[ethernetLen+7] != ndpHopLimit {
		return Heard{}, false
	}
	end := body + int(binary.BigEndian.Uint16(frame[ethernetLen+4:]))
	if end > len(frame) {
		return Heard{}, false
	}
	m, err := ndp.ParseMessage(frame[body:end])
	na, ok := m.(*ndp.NeighborAdvertisement)
	if err != nil || !ok {
		return Heard{}, false
	}
	h := Heard{Addr: na.TargetAddress, MAC: append(net.HardwareAddr(nil), frame[macLen:2*macLen]...), Gratuitous: !na.Solicited}
	for _, o := range na.Options {
		if lla, ok := o.(*ndp.LinkLayerAddress); ok && lla.Direction == ndp.Target {
			h.MAC = lla.Addr
		}
	}
	return h, true
}
