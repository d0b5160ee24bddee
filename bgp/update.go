package bgp

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"

	"github.com/vipd/vipd/vrrp"
)

// Path attributes (RFC 4271, section 5; RFC 1997, 4760, 6793, 8092).
const (
	attrOrigin           = 1
	attrASPath           = 2
	attrNextHop          = 3
	attrMED              = 4
	attrLocalPreference  = 5
	attrCommunities      = 8
	attrReach            = 14
	attrUnreach          = 15
	attrAS4Path          = 17
	attrLargeCommunities = 32

	optional   = 0x80
	transitive = 0x40
	extended   = 0x10
)

// LargeCommunity is one of RFC 8092.
type LargeCommunity [3]uint32

// attributes are those of one announced route.
type attributes struct {
	NextHops         []netip.Addr // one, and for IPv6 perhaps the link-local one too
	Path             []uint32
	MED              uint32
	Compared         bool   // MED is sent although it is 0: to some routers none is the worst
	LocalPreference  uint32 // internal peers only
	Internal         bool
	Communities      []uint32
	LargeCommunities []LargeCommunity
}

func (a attributes) equal(b attributes) bool {
	return slices.Equal(a.NextHops, b.NextHops) && slices.Equal(a.Path, b.Path) && a.MED == b.MED && a.Compared == b.Compared &&
		a.LocalPreference == b.LocalPreference && a.Internal == b.Internal &&
		slices.Equal(a.Communities, b.Communities) && slices.Equal(a.LargeCommunities, b.LargeCommunities)
}

// marshalAnnounce returns the update that announces one address. One for each: there are
// few, and what a router thinks of one does not concern the others.
func marshalAnnounce(addr netip.Addr, a attributes, fourOctets bool) []byte {
	multi := addr.Is6() || a.NextHops[0].Is6()
	attrs := appendAttr(nil, transitive, attrOrigin, []byte{0})
	attrs = appendPath(attrs, a.Path, fourOctets)
	if !multi {
		attrs = appendAttr(attrs, transitive, attrNextHop, a.NextHops[0].AsSlice())
	}
	if a.MED != 0 || a.Compared {
		attrs = appendAttr(attrs, optional, attrMED, binary.BigEndian.AppendUint32(nil, a.MED))
	}
	if a.Internal {
		attrs = appendAttr(attrs, transitive, attrLocalPreference, binary.BigEndian.AppendUint32(nil, a.LocalPreference))
	}
	if len(a.Communities) > 0 {
		attrs = appendAttr(attrs, optional|transitive, attrCommunities, words(a.Communities))
	}
	if multi {
		attrs = appendAttr(attrs, optional, attrReach, reach(addr, a.NextHops))
	}
	if !fourOctets && slices.Max(append([]uint32{0}, a.Path...)) > 0xffff {
		attrs = appendAttr(attrs, optional|transitive, attrAS4Path, segment(a.Path, true))
	}
	if len(a.LargeCommunities) > 0 {
		var v []byte
		for _, c := range a.LargeCommunities {
			v = append(v, words(c[:])...)
		}
		attrs = appendAttr(attrs, optional|transitive, attrLargeCommunities, v)
	}
	if multi {
		return update(nil, attrs, nil)
	}
	return update(nil, attrs, prefix(addr))
}

// marshalWithdraw returns the update that withdraws an address which was announced with
// a next hop of the given family.
func marshalWithdraw(addr netip.Addr, hop vrrp.Family) []byte {
	if addr.Is4() && hop == vrrp.IPv4 {
		return update(prefix(addr), nil, nil)
	}
	v := binary.BigEndian.AppendUint16(nil, afi(vrrp.FamilyOf(addr)))
	v = append(append(v, unicast), prefix(addr)...)
	return update(nil, appendAttr(nil, optional, attrUnreach, v), nil)
}

// marshalEnd returns the End-of-RIB marker of a family (RFC 4724, section 2).
func marshalEnd(f vrrp.Family) []byte {
	if f == vrrp.IPv4 {
		return update(nil, nil, nil)
	}
	return update(nil, appendAttr(nil, optional, attrUnreach, []byte{0, uint8(afi(f)), unicast}), nil)
}

func update(withdrawn, attrs, announced []byte) []byte {
	b := begin(nil, typeUpdate)
	b = append(binary.BigEndian.AppendUint16(b, uint16(len(withdrawn))), withdrawn...)
	b = append(binary.BigEndian.AppendUint16(b, uint16(len(attrs))), attrs...)
	return end(append(b, announced...))
}

func prefix(a netip.Addr) []byte { return append([]byte{uint8(a.BitLen())}, a.AsSlice()...) }

func reach(addr netip.Addr, hops []netip.Addr) []byte {
	v := binary.BigEndian.AppendUint16(nil, afi(vrrp.FamilyOf(addr)))
	var next []byte
	for _, h := range hops {
		next = append(next, h.AsSlice()...)
	}
	v = append(v, unicast, uint8(len(next)))
	return append(append(append(v, next...), 0), prefix(addr)...)
}

func appendPath(b []byte, path []uint32, fourOctets bool) []byte {
	return appendAttr(b, transitive, attrASPath, segment(path, fourOctets))
}

// segment is a path in one AS_SEQUENCE; an empty path has none.
func segment(path []uint32, fourOctets bool) []byte {
	if len(path) == 0 {
		return nil
	}
	v := []byte{2, uint8(len(path))}
	for _, as := range path {
		switch {
		case fourOctets:
			v = binary.BigEndian.AppendUint32(v, as)
		case as > 0xffff:
			v = binary.BigEndian.AppendUint16(v, asTrans)
		default:
			v = binary.BigEndian.AppendUint16(v, uint16(as))
		}
	}
	return v
}

func words(list []uint32) []byte {
	var b []byte
	for _, x := range list {
		b = binary.BigEndian.AppendUint32(b, x)
	}
	return b
}

func appendAttr(b []byte, flags, kind uint8, value []byte) []byte {
	if len(value) > 255 {
		b = append(b, flags|extended, kind)
		b = binary.BigEndian.AppendUint16(b, uint16(len(value)))
		return append(b, value...)
	}
	return append(append(b, flags, kind, uint8(len(value))), value...)
}

var errMalformed = errors.New("malformed update")

// skim checks the outline of a received update. What it announces is of no concern here.
func skim(b []byte) error {
	if len(b) < 4 {
		return errMalformed
	}
	n := int(binary.BigEndian.Uint16(b))
	if len(b) < n+4 {
		return errMalformed
	}
	b = b[2+n:]
	n = int(binary.BigEndian.Uint16(b))
	if len(b) < n+2 {
		return errMalformed
	}
	for attrs := b[2 : 2+n]; len(attrs) > 0; {
		size := 3
		if attrs[0]&extended != 0 {
			size = 4
		}
		if len(attrs) < size {
			return errMalformed
		}
		if size == 4 {
			size += int(binary.BigEndian.Uint16(attrs[2:]))
		} else {
			size += int(attrs[2])
		}
		if len(attrs) < size {
			return errMalformed
		}
		attrs = attrs[size:]
	}
	return nil
}
