package bgp

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/vipd/vipd/vrrp"
)

// Capabilities (RFC 5492).
const (
	capMultiprotocol   = 1
	capRefresh         = 2
	capExtendedNextHop = 5
	capFourOctetAS     = 65
)

// asTrans stands for an AS number that does not fit into two octets (RFC 6793).
const asTrans = 23456

// open is an OPEN message (RFC 4271, section 4.2).
type open struct {
	AS       uint32
	Hold     time.Duration
	ID       netip.Addr
	Families []vrrp.Family
	// FourOctets: AS numbers in updates have four octets (RFC 6793).
	FourOctets bool
	// ExtendedNextHop: IPv4 routes may have an IPv6 next hop (RFC 8950).
	ExtendedNextHop bool
	// Refresh: it can be asked, or asks, for all routes again.
	Refresh bool
}

// afi is the number of an address family.
func afi(f vrrp.Family) uint16 {
	if f == vrrp.IPv4 {
		return 1
	}
	return 2
}

const unicast = 1

func (o open) marshal() []byte {
	var caps []byte
	capability := func(code uint8, value ...byte) {
		caps = append(append(caps, code, uint8(len(value))), value...)
	}
	for _, f := range o.Families {
		capability(capMultiprotocol, 0, uint8(afi(f)), 0, unicast)
	}
	if o.Refresh {
		capability(capRefresh)
	}
	if o.ExtendedNextHop {
		capability(capExtendedNextHop, 0, 1, 0, unicast, 0, 2)
	}
	if o.FourOctets {
		capability(capFourOctetAS, binary.BigEndian.AppendUint32(nil, o.AS)...)
	}
	short := uint16(asTrans)
	if o.AS <= 0xffff {
		short = uint16(o.AS)
	}
	b := append(begin(nil, typeOpen), 4)
	b = binary.BigEndian.AppendUint16(b, short)
	b = binary.BigEndian.AppendUint16(b, uint16(o.Hold/time.Second))
	b = append(b, o.ID.AsSlice()...)
	b = append(b, uint8(len(caps)+2), 2, uint8(len(caps)))
	return end(append(b, caps...))
}

// parseOpen reads the body of an OPEN message. A capability that it does not know is
// passed over.
func parseOpen(b []byte) (open, error) {
	if len(b) < 10 {
		return open{}, &Error{Code: codeOpen, Words: "its OPEN is too short"}
	}
	if b[0] != 4 {
		return open{}, &Error{Code: codeOpen, Subcode: 1, Data: []byte{0, 4}, Words: fmt.Sprintf("it speaks version %d of BGP", b[0])}
	}
	o := open{AS: uint32(binary.BigEndian.Uint16(b[1:])), Hold: time.Duration(binary.BigEndian.Uint16(b[3:])) * time.Second}
	o.ID, _ = netip.AddrFromSlice(b[5:9])
	if o.Hold > 0 && o.Hold < 3*time.Second {
		return o, &Error{Code: codeOpen, Subcode: 6, Words: fmt.Sprintf("its hold time, %v, is not allowed", o.Hold)}
	}
	if o.ID.IsUnspecified() {
		return o, &Error{Code: codeOpen, Subcode: 3, Words: "its router id is 0.0.0.0"}
	}
	params := b[10:]
	if int(b[9]) != len(params) {
		return o, &Error{Code: codeOpen, Words: "the parameters of its OPEN have another length than it says"}
	}
	for len(params) > 0 {
		if len(params) < 2 || len(params) < 2+int(params[1]) {
			return o, &Error{Code: codeOpen, Words: "a parameter of its OPEN is cut off"}
		}
		if params[0] == 2 && !o.capabilities(params[2:2+params[1]]) {
			return o, &Error{Code: codeOpen, Words: "a capability in its OPEN is cut off"}
		}
		params = params[2+int(params[1]):]
	}
	if len(o.Families) == 0 {
		o.Families = []vrrp.Family{vrrp.IPv4} // without the capability, it speaks of nothing else
	}
	return o, nil
}

func (o *open) capabilities(b []byte) bool {
	for len(b) > 0 {
		if len(b) < 2 || len(b) < 2+int(b[1]) {
			return false
		}
		o.capability(b[0], b[2:2+int(b[1])])
		b = b[2+int(b[1]):]
	}
	return true
}

func (o *open) capability(code uint8, v []byte) {
	switch {
	case code == capMultiprotocol && len(v) == 4 && v[3] == unicast:
		for _, f := range []vrrp.Family{vrrp.IPv4, vrrp.IPv6} {
			if binary.BigEndian.Uint16(v) == afi(f) && !slices.Contains(o.Families, f) {
				o.Families = append(o.Families, f)
			}
		}
	case code == capRefresh:
		o.Refresh = true
	case code == capFourOctetAS && len(v) == 4:
		o.FourOctets, o.AS = true, binary.BigEndian.Uint32(v)
	case code == capExtendedNextHop:
		for ; len(v) >= 6; v = v[6:] {
			if slices.Equal(v[:6], []byte{0, 1, 0, unicast, 0, 2}) {
				o.ExtendedNextHop = true
			}
		}
	}
}
