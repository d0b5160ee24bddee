package vrrp

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"
	"time"
)

// asked is a packet beside what the rules below need to judge it, taken from its bytes
// without the parser.
type asked struct {
	h Header
	b []byte
}

func (a asked) nibble(high bool) byte {
	if high {
		return a.b[0] >> 4
	}
	return a.b[0] & 0x0f
}

func (a asked) size() int {
	if a.h.Dst.Is4() {
		return 4
	}
	return 16
}

// sum is the Internet checksum over the message, which is zero when it is right.
func (a asked) sum(pseudo bool) uint16 {
	b := slices.Clone(a.b)
	if pseudo {
		b = append(append(b, a.h.Src.AsSlice()...), a.h.Dst.AsSlice()...)
		b = binary.BigEndian.AppendUint32(b, 112)
		b = binary.BigEndian.AppendUint32(b, uint32(len(a.b)))
	}
	var sum uint64
	for ; len(b) > 1; b = b[2:] {
		sum += uint64(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		sum += uint64(b[0]) << 8
	}
	return ^uint16(sum%0xffff) % 0xffff
}

func (a asked) addrs() []netip.Addr {
	var all []netip.Addr
	for b := a.b[8:]; len(b) >= a.size(); b = b[a.size():] {
		addr, _ := netip.AddrFromSlice(b[:a.size()])
		all = append(all, addr)
	}
	return all
}

// rule is one reason to refuse a packet. Those that read fields are asked only where
// the eight bytes of the header are there.
type rule struct {
	reason Reason
	broken func(a asked) bool
}

// acceptanceRules say once more, one by one and without an order, what RFC 9568, section
// 7.1, and its errata ask of a multicast advertisement for the router of ours.
func acceptanceRules(ours Packet, own []netip.Addr) (header, fields []rule) {
	group := map[int]string{4: "224.0.0.18", 16: "ff02::12"}
	header = []rule{
		{BadTTL, func(a asked) bool { return a.h.TTL != 255 }},
		{OwnSource, func(a asked) bool { return slices.Contains(own, a.h.Src) }},
		{BadDestination, func(a asked) bool { return a.h.Dst.String() != group[a.size()] }},
		{BadLength, func(a asked) bool { return len(a.b) < 8 }},
	}
	fields = []rule{
		{BadVersion, func(a asked) bool { return a.nibble(true) != 3 }},
		{BadVRID, func(a asked) bool { return a.b[1] != ours.VRID }},
		{BadType, func(a asked) bool { return a.nibble(false) != 1 }},
		{BadAddressCount, func(a asked) bool { return a.b[3] == 0 }},
		{BadLength, func(a asked) bool { return len(a.b) != 8+int(a.b[3])*a.size() && len(a.b) != 8+int(a.b[3])*a.size()+28 }},
		{AuthUnexpected, func(a asked) bool { return len(a.b) == 8+int(a.b[3])*a.size()+28 }},
		{BadChecksum, func(a asked) bool { return a.h.Dst.Is4() && a.sum(true) != 0 && a.sum(false) != 0 }},
		{BadInterval, func(a asked) bool { return (uint16(a.b[4])<<8|uint16(a.b[5]))&0x0fff == 0 }},
	}
	return header, fields
}

// keepalivedRefuses says what keepalived 2.2.7 refuses beyond them.
func keepalivedRefuses(a asked, ours Packet) bool {
	listed, want := a.addrs(), slices.Clone(ours.Addrs)
	slices.SortFunc(listed, netip.Addr.Compare)
	slices.SortFunc(want, netip.Addr.Compare)
	return a.h.Dst.Is4() && a.sum(true) != 0 || !slices.Equal(listed, want)
}

// FuzzAcceptance holds the inspector against a second, plain account of the rules: it
// refuses exactly what breaks one, for a reason that is one of those broken, and takes
// all that keepalived takes. What it takes beyond that it gives notice of.
func FuzzAcceptance(f *testing.F) {
	for _, g := range goldens {
		v := readGolden(f, g.name)
		f.Add(v.header.Src.Is4(), uint8(255), v.header.Src.AsSlice(), v.header.Dst.AsSlice(), v.payload, uint8(0))
		f.Add(v.header.Src.Is4(), uint8(255), v.header.Src.AsSlice(), v.header.Dst.AsSlice(), append(slices.Clone(v.payload), 0), uint8(1))
	}
	f.Fuzz(func(t *testing.T, v4 bool, ttl uint8, src, dst, b []byte, seal uint8) {
		ours, width := goldenIPv6, 16
		if v4 {
			ours, width = goldenIPv4, 4
		}
		if len(src) != width || len(dst) != width {
			return
		}
		from, _ := netip.AddrFromSlice(src)
		to, _ := netip.AddrFromSlice(dst)
		a := asked{Header{Src: from, Dst: to, TTL: int(ttl)}, slices.Clone(b)}
		sealAs(a, seal)
		in := newInspector(ours)
		checkAcceptance(t, a, in, ours)
	})
}

// sealAs makes a checksum right, of either kind, so that the fuzzer comes past it.
func sealAs(a asked, kind uint8) {
	if kind%3 == 0 || len(a.b) < 8 || !a.h.Src.Is4() || a.b[3] == 0 {
		return
	}
	if n := 8 + 4*int(a.b[3]); n <= len(a.b) {
		k := ChecksumPseudoHeader
		if kind%3 == 1 {
			k = ChecksumRFC9568
		}
		binary.BigEndian.PutUint16(a.b[6:], ipv4Checksum(a.b[:n], a.h.Src, a.h.Dst, k))
	}
}

func checkAcceptance(t *testing.T, a asked, in *Inspector, ours Packet) {
	t.Helper()
	_, got, notice := in.Inspect(a.h, a.b, 0, time.Time{})
	header, fields := acceptanceRules(ours, in.Own)
	broken := breaks(a, header)
	if len(a.b) >= 8 {
		broken = append(broken, breaks(a, fields)...)
	}
	if got == Accepted && len(broken) != 0 || got != Accepted && !slices.Contains(broken, got) {
		t.Fatalf("%v, but the rules say %v\n%+v %x", got, broken, a.h, a.b)
	}
	if got != Accepted {
		return
	}
	told := notice&(NoticeAddresses|NoticeRFCChecksum) != 0
	if refuses := keepalivedRefuses(a, ours); refuses != told {
		t.Fatalf("keepalived refuses it: %t; notices %b\n%+v %x", refuses, notice, a.h, a.b)
	}
}

func breaks(a asked, rules []rule) []Reason {
	var broken []Reason
	for _, r := range rules {
		if r.broken(a) {
			broken = append(broken, r.reason)
		}
	}
	return broken
}
