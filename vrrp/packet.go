package vrrp

import (
	"encoding/binary"
	"net/netip"
	"time"
)

// headerLen is the length of a VRRP header without addresses.
const headerLen = 8

// centisecond is the unit of the interval field (RFC 9568, section 5.2.7).
const centisecond = 10 * time.Millisecond

// typeAdvertisement is the only packet type (RFC 9568, section 5.2.2).
const typeAdvertisement = 1

// Packet is a VRRP advertisement (RFC 9568, section 5.2), or as much of one of
// version 2 as it takes to tell its sender what is wrong.
type Packet struct {
	Version  uint8
	VRID     uint8
	Priority uint8
	Interval time.Duration // Max Advertise Interval: 0 to 40.95 s in steps of 10 ms
	Addrs    []netip.Addr  // the virtual addresses, 1 to 255 of one family
}

// ChecksumKind says what the checksum of a version 3 IPv4 packet covers.
type ChecksumKind uint8

// The kinds in use. With IPv6 there is only the first, and the kernel computes it.
const (
	// ChecksumPseudoHeader covers a pseudo-header (source, destination, protocol,
	// length) too. keepalived and FRR send and require it.
	ChecksumPseudoHeader ChecksumKind = iota
	// ChecksumRFC9568 covers the VRRP message alone (RFC 9568, section 5.2.8).
	ChecksumRFC9568
)

func (k ChecksumKind) String() string {
	if k == ChecksumRFC9568 {
		return "rfc9568"
	}
	return "pseudo-header"
}

// Append appends the packet to b as version 3 and returns the longer slice. The
// family is that of src, which is needed for the checksum, as is dst. Over IPv6
// the checksum field stays zero: the kernel fills it in (IPV6_CHECKSUM).
func (p *Packet) Append(b []byte, src, dst netip.Addr, kind ChecksumKind) []byte {
	f := FamilyOf(src)
	start := len(b)
	b = append(b, 3<<4|typeAdvertisement, p.VRID, p.Priority, uint8(len(p.Addrs)))
	b = binary.BigEndian.AppendUint16(b, uint16(p.Interval/centisecond)&0x0fff)
	b = append(b, 0, 0)
	for _, a := range p.Addrs {
		if f == IPv4 {
			a4 := a.As4()
			b = append(b, a4[:]...)
			continue
		}
		a16 := a.As16()
		b = append(b, a16[:]...)
	}
	if f == IPv4 {
		binary.BigEndian.PutUint16(b[start+6:], ipv4Checksum(b[start:], src, dst, kind))
	}
	return b
}

// Parse reads a packet of family f from b, the payload of an IP packet, and
// returns how long the VRRP message is: what follows it is a trailer. The
// addresses are stored in p.Addrs, whose memory is used again. The checks are
// those that need nothing but the packet; see [Inspector] for the others.
func (p *Packet) Parse(f Family, b []byte) (int, Reason) {
	if len(b) < headerLen {
		return 0, BadLength
	}
	p.Version, p.VRID, p.Priority = b[0]>>4, b[1], b[2]
	p.Addrs = p.Addrs[:0]
	if p.Version != 3 {
		if p.Version == 2 {
			p.Interval = time.Duration(b[5]) * time.Second
		}
		return 0, BadVersion
	}
	p.Interval = time.Duration(binary.BigEndian.Uint16(b[4:])&0x0fff) * centisecond
	if b[0]&0x0f != typeAdvertisement {
		return 0, BadType
	}
	count := int(b[3])
	if count == 0 {
		return 0, BadAddressCount
	}
	n := headerLen + count*f.addrLen()
	if len(b) < n {
		return 0, BadLength
	}
	for o := headerLen; o < n; o += f.addrLen() {
		a, _ := netip.AddrFromSlice(b[o : o+f.addrLen()])
		p.Addrs = append(p.Addrs, a)
	}
	return n, Accepted
}

// ipv4Checksum computes the checksum of message b, whose own checksum field is
// left out of the sum.
func ipv4Checksum(b []byte, src, dst netip.Addr, kind ChecksumKind) uint16 {
	var sum uint32
	if kind == ChecksumPseudoHeader {
		s, d := src.As4(), dst.As4()
		sum = sumWords(sumWords(0, s[:]), d[:]) + Protocol + uint32(len(b))
	}
	sum = sumWords(sum, b[:6])
	sum = sumWords(sum, b[8:])
	for sum>>16 != 0 {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// sumWords adds the big-endian 16-bit words of b, whose length is even, to sum.
func sumWords(sum uint32, b []byte) uint32 {
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(b[i])<<8 | uint32(b[i+1])
	}
	return sum
}
