package vrrp

import (
	"net/netip"
	"time"
)

// Protocol is VRRP's IP protocol number (RFC 9568, section 5.1.1.4).
const Protocol = 112

// TTL is the IPv4 TTL and the IPv6 hop limit of every advertisement; with
// multicast, one that arrives with another value is dropped (RFC 9568,
// sections 5.1.1.3 and 5.1.2.3).
const TTL = 255

// TrafficClass is the IPv4 TOS and the IPv6 traffic class of an advertisement:
// network control, so that queues prefer it.
const TrafficClass = 0xc0

// Limits of a virtual router.
const (
	MaxAddresses = 255                   // the count field has eight bits
	MinInterval  = 10 * time.Millisecond // one centisecond
	MaxInterval  = 4095 * 10 * time.Millisecond
)

// Instant is a reading of a monotonic clock in nanoseconds since an origin that
// is the same for every Instant handed to one Machine.
type Instant int64

// Never is later than every other Instant.
const Never Instant = 1<<63 - 1

// Add returns the instant d later.
func (i Instant) Add(d time.Duration) Instant { return i + Instant(d) }

// Sub returns the time from j to i.
func (i Instant) Sub(j Instant) time.Duration { return time.Duration(i - j) }

// Family is an address family. A virtual router lives in exactly one.
type Family uint8

// The two families, valued as in the IP version field.
const (
	IPv4 Family = 4
	IPv6 Family = 6
)

// FamilyOf returns the family of a.
func FamilyOf(a netip.Addr) Family {
	if a.Unmap().Is4() {
		return IPv4
	}
	return IPv6
}

func (f Family) String() string {
	if f == IPv4 {
		return "IPv4"
	}
	return "IPv6"
}

// Group returns the multicast group of advertisements: 224.0.0.18 or ff02::12
// (RFC 9568, sections 5.1.1.2 and 5.1.2.2).
func (f Family) Group() netip.Addr {
	if f == IPv4 {
		return netip.AddrFrom4([4]byte{224, 0, 0, 18})
	}
	return netip.AddrFrom16([16]byte{0: 0xff, 1: 0x02, 15: 0x12})
}

// addrLen is the length of an address in the packet, in bytes.
func (f Family) addrLen() int {
	if f == IPv4 {
		return 4
	}
	return 16
}

// VirtualMAC returns the virtual router MAC address (RFC 9568, section 7.3).
func VirtualMAC(f Family, vrid uint8) [6]byte {
	m := [6]byte{0x00, 0x00, 0x5e, 0x00, 0x01, vrid}
	if f == IPv6 {
		m[4] = 0x02
	}
	return m
}
