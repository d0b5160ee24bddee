package transport

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/vipd/vipd/vrrp"
)

// Datagram is one received VRRP payload. It and its Payload are valid only
// during the call of the [Handler] that gets it.
type Datagram struct {
	Src, Dst netip.Addr   // without zone
	TTL      int          // IPv4 TTL or IPv6 hop limit
	Arrival  vrrp.Instant // when the kernel received it, on the clock given to NewReceiver
	Payload  []byte       // VRRP packet and what follows it; the IP header with its options is stripped
}

// Handler takes one received datagram. It runs in the goroutine of
// [Receiver.Run] or of a caller of [Receiver.Drain], and holds up both: it must
// not block, and must call neither Drain nor Close.
type Handler func(*Datagram)

const (
	offsetVRID  = 1               // of the VRID in a VRRP packet (RFC 9568, section 5.1)
	maxPayload  = 8 + 255*16 + 28 // header, 255 IPv6 addresses, authentication trailer
	maxIPHeader = 60              // an IPv4 header with all options
	maxDatagram = maxIPHeader + maxPayload
)

// decodeIPv4 fills d, Arrival aside, from an IPv4 packet as a raw socket gives it.
func (d *Datagram) decodeIPv4(b []byte) bool {
	if len(b) < 20 || b[0]>>4 != 4 {
		return false
	}
	header := int(b[0]&0x0f) * 4
	if header < 20 || len(b) < header {
		return false
	}
	d.TTL = int(b[8])
	d.Src = netip.AddrFrom4([4]byte(b[12:16]))
	d.Dst = netip.AddrFrom4([4]byte(b[16:20]))
	d.Payload = b[header:]
	return true
}

// decodeIPv6 fills d, Arrival aside, from what a raw IPv6 socket gives apart
// from each other: source, payload and ancillary data.
func (d *Datagram) decodeIPv6(src [16]byte, payload []byte, a ancillary) bool {
	if !a.dst.IsValid() {
		return false
	}
	d.TTL = a.hopLimit
	d.Src = netip.AddrFrom16(src)
	d.Dst = a.dst
	d.Payload = payload
	return true
}

// ancillary is what the kernel says of a datagram beside its bytes.
type ancillary struct {
	stamp    int64      // time of arrival by the wall clock, in nanoseconds since 1970; 0: not told
	hopLimit int        // IPv6 only
	dst      netip.Addr // IPv6 only
}

func parseAncillary(b []byte) (a ancillary) {
	for len(b) >= unix.SizeofCmsghdr {
		h, data, rest, err := unix.ParseOneSocketControlMessage(b)
		if err != nil {
			return a
		}
		switch {
		case h.Level == unix.SOL_SOCKET && h.Type == unix.SO_TIMESTAMPNS_NEW && len(data) >= 16:
			sec := int64(binary.NativeEndian.Uint64(data))
			a.stamp = sec*1e9 + int64(binary.NativeEndian.Uint64(data[8:]))
		case h.Level == unix.SOL_IPV6 && h.Type == unix.IPV6_HOPLIMIT && len(data) >= 4:
			a.hopLimit = int(binary.NativeEndian.Uint32(data))
		case h.Level == unix.SOL_IPV6 && h.Type == unix.IPV6_PKTINFO && len(data) >= 16:
			a.dst = netip.AddrFrom16([16]byte(data))
		}
		b = rest
	}
	return a
}

// arrival turns a wall clock stamp into an instant by way of its age: wall and
// now are readings of both clocks for the same moment. A wall clock that was set
// meanwhile makes the age wrong, so it is held against what is certain: the
// datagram came after the socket was last found empty, and not in the future.
func arrival(stamp, wall int64, now, empty vrrp.Instant) vrrp.Instant {
	if stamp == 0 {
		return now
	}
	return min(max(now-vrrp.Instant(wall-stamp), empty), now)
}
