package vrrp

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// goldens names the captures that hold whole frames, and what is in them.
var goldens = []struct {
	name    string
	packet  Packet
	trailer int
}{
	{"v3-ipv4-prio150", goldenIPv4, 0},
	{"v3-ipv4-prio0", withPriority(goldenIPv4, 0), 0},
	{"v3-ipv6-prio150", goldenIPv6, 0},
	{"auth-v3-ipv4-prio150", goldenIPv4, TrailerLen},
	{"auth-v3-ipv4-prio0", withPriority(goldenIPv4, 0), TrailerLen},
	{"auth-v3-ipv6-prio150", goldenIPv6, TrailerLen},
	{"auth-v3-ipv6-prio0", withPriority(goldenIPv6, 0), TrailerLen},
}

func TestC1Golden(t *testing.T) {
	for _, tt := range goldens {
		t.Run(tt.name, func(t *testing.T) {
			g := readGolden(t, tt.name)
			var p Packet
			n, r := p.Parse(g.family, g.payload)
			if r != Accepted || n != len(g.payload)-tt.trailer {
				t.Fatalf("Parse = %d, %v; want %d, accepted", n, r, len(g.payload)-tt.trailer)
			}
			if diff := cmp.Diff(tt.packet, p, equateAddrs); diff != "" {
				t.Errorf("packet (-want +got):\n%s", diff)
			}
			got := p.Append(nil, g.header.Src, g.header.Dst, ChecksumPseudoHeader)
			if g.family == IPv6 {
				binary.BigEndian.PutUint16(got[6:], checksumIPv6(append(bytes.Clone(got), g.payload[n:]...), g.header))
			}
			if diff := cmp.Diff(g.payload[:n], got); diff != "" {
				t.Errorf("bytes (-want +got):\n%s", diff)
			}
		})
	}
}

func TestC2OnlyPriorityAndChecksumDiffer(t *testing.T) {
	a, b := readGolden(t, "v3-ipv4-prio150").payload, readGolden(t, "v3-ipv4-prio0").payload
	var differ []int
	for i := range a {
		if a[i] != b[i] {
			differ = append(differ, i)
		}
	}
	if diff := cmp.Diff([]int{2, 6, 7}, differ); diff != "" {
		t.Errorf("offsets that differ (-want +got):\n%s", diff)
	}
}

// TestC3Version2 wants enough of a version 2 packet to tell who sends it.
func TestC3Version2(t *testing.T) {
	var p Packet
	if _, r := p.Parse(IPv4, readPayload(t, "v2-ipv4")); r != BadVersion {
		t.Fatalf("Parse = %v, want %v", r, BadVersion)
	}
	want := Packet{Version: 2, VRID: 51, Priority: 150, Interval: time.Second}
	if diff := cmp.Diff(want, p, equateAddrs); diff != "" {
		t.Errorf("packet (-want +got):\n%s", diff)
	}
}

func TestC4FRR(t *testing.T) {
	b := readPayload(t, "v3-ipv4-frr")
	var p Packet
	if n, r := p.Parse(IPv4, b); n != len(b) || r != Accepted {
		t.Fatalf("Parse = %d, %v; want %d, accepted", n, r, len(b))
	}
	want := Packet{Version: 3, VRID: 51, Priority: 100, Interval: time.Second, Addrs: addrs("198.51.100.100")}
	if diff := cmp.Diff(want, p, equateAddrs); diff != "" {
		t.Errorf("packet (-want +got):\n%s", diff)
	}
	got := p.Append(nil, netip.MustParseAddr("198.51.100.12"), IPv4.Group(), ChecksumPseudoHeader)
	if diff := cmp.Diff(b, got); diff != "" {
		t.Errorf("bytes (-want +got):\n%s", diff)
	}
}

func TestC5ChecksumKinds(t *testing.T) {
	for _, tt := range []struct {
		name     string
		kind     ChecksumKind
		priority uint8
		want     uint16
	}{
		{"priority 150 with pseudo-header", ChecksumPseudoHeader, 150, 0xd862},
		{"priority 150 without", ChecksumRFC9568, 150, 0xe334},
		{"priority 0 with pseudo-header", ChecksumPseudoHeader, 0, 0x6e63},
		{"priority 0 without", ChecksumRFC9568, 0, 0x7935},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := withPriority(goldenIPv4, tt.priority)
			b := p.Append(nil, netip.MustParseAddr("198.51.100.11"), IPv4.Group(), tt.kind)
			if got := binary.BigEndian.Uint16(b[6:]); got != tt.want {
				t.Errorf("checksum = %04x, want %04x", got, tt.want)
			}
		})
	}
}

// TestChecksumCarries sums up as the receiver does, for carries of all sizes.
func TestChecksumCarries(t *testing.T) {
	src, dst := netip.MustParseAddr("198.51.100.11"), IPv4.Group()
	for _, last := range []string{"0.0.0.1", "198.51.100.100", "255.255.255.254"} {
		for vrid := range 256 {
			p := Packet{VRID: uint8(vrid), Priority: 150, Interval: time.Second, Addrs: []netip.Addr{netip.MustParseAddr(last)}}
			b, sum := p.Append(nil, src, dst, ChecksumRFC9568), 0
			for i := 0; i < len(b); i += 2 {
				sum += int(binary.BigEndian.Uint16(b[i:]))
			}
			if sum%0xffff != 0 {
				t.Fatalf("VRID %d, %s: %x sums up to %x", vrid, last, b, sum)
			}
		}
	}
}

// TestIPv6ChecksumStaysZero leaves the field to the kernel.
func TestIPv6ChecksumStaysZero(t *testing.T) {
	p := Packet{VRID: 51, Priority: 150, Interval: time.Second, Addrs: []netip.Addr{netip.MustParseAddr("2001:db8::100")}}
	b := p.Append(nil, netip.MustParseAddr("fe80::11"), IPv6.Group(), ChecksumPseudoHeader)
	if b[6] != 0 || b[7] != 0 {
		t.Errorf("checksum %x", b[6:8])
	}
}

// TestC7Options takes off an IP header that is longer than 20 bytes: the checksum's
// pseudo-header counts the VRRP message alone.
func TestC7Options(t *testing.T) {
	frame := readHex(t, "v3-ipv4-prio150.hex")
	const etherLen, ipLen = 14, 20
	long := bytes.Clone(frame[:etherLen+ipLen])
	long[etherLen] = 4<<4 | 6
	binary.BigEndian.PutUint16(long[etherLen+2:], binary.BigEndian.Uint16(frame[etherLen+2:])+4)
	long = append(long, 0x94, 4, 0, 0) // router alert (RFC 2113)
	long = append(long, frame[etherLen+ipLen:]...)

	g := decap(t, long)
	in := newInspector(goldenIPv4)
	if _, r, notice := in.Inspect(g.header, g.payload, 0, time.Time{}); r != Accepted || notice != 0 {
		t.Errorf("Inspect = %v, notices %b; want accepted, none", r, notice)
	}
}

// TestParse covers what a message says of itself: C8, C10 to C13.
func TestParse(t *testing.T) {
	valid := readGolden(t, "v3-ipv4-prio150").payload
	for _, tt := range []struct {
		name string
		edit func(b []byte) []byte
		want Reason
	}{
		{"untouched", func(b []byte) []byte { return b }, Accepted},
		{"empty", func([]byte) []byte { return nil }, BadLength},
		{"shorter than a header", func(b []byte) []byte { return b[:7] }, BadLength},
		{"C8 count beyond the end", func(b []byte) []byte { b[3] = 3; return b }, BadLength},
		{"C8 last address cut", func(b []byte) []byte { return b[:len(b)-1] }, BadLength},
		{"C10 count 0", func(b []byte) []byte { b[3] = 0; return b }, BadAddressCount},
		{"C10 count 0, header alone", func(b []byte) []byte { b[3] = 0; return b[:8] }, BadAddressCount},
		{"C13 type 2", func(b []byte) []byte { b[0] = 3<<4 | 2; return b }, BadType},
		{"type 0", func(b []byte) []byte { b[0] = 3 << 4; return b }, BadType},
		{"version 4", func(b []byte) []byte { b[0] = 4<<4 | 1; return b }, BadVersion},
		{"version before type", func(b []byte) []byte { b[0] = 2<<4 | 2; return b }, BadVersion},
		{"type before count", func(b []byte) []byte { b[0], b[3] = 3<<4|2, 0; return b }, BadType},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var p Packet
			if _, r := p.Parse(IPv4, tt.edit(bytes.Clone(valid))); r != tt.want {
				t.Errorf("Parse = %v, want %v", r, tt.want)
			}
		})
	}
}

// TestC8CountTooSmall leaves the address that is not counted as a trailer.
func TestC8CountTooSmall(t *testing.T) {
	b := readGolden(t, "v3-ipv4-prio150").payload
	b[3] = 1
	var p Packet
	if n, r := p.Parse(IPv4, b); n != 12 || r != Accepted {
		t.Errorf("Parse = %d, %v; want 12, accepted", n, r)
	}
}

func TestC11IntervalOnTheWire(t *testing.T) {
	for _, tt := range []struct {
		name  string
		wire  uint16
		value time.Duration
	}{
		{"0", 0, 0},
		{"1", 1, MinInterval},
		{"4095", 4095, MaxInterval},
		{"C12 reserved bits", 0xf000 | 25, 250 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := readGolden(t, "v3-ipv4-prio150").payload
			binary.BigEndian.PutUint16(b[4:], tt.wire)
			var p Packet
			if _, r := p.Parse(IPv4, b); r != Accepted || p.Interval != tt.value {
				t.Fatalf("Parse = %v, interval %v; want accepted, %v", r, p.Interval, tt.value)
			}
			again := p.Append(nil, netip.IPv4Unspecified(), IPv4.Group(), ChecksumRFC9568)
			if got, want := binary.BigEndian.Uint16(again[4:]), tt.wire&0x0fff; got != want {
				t.Errorf("sent as %#04x, want %#04x", got, want)
			}
		})
	}
}

func TestC15FullAddressList(t *testing.T) {
	for _, f := range []Family{IPv4, IPv6} {
		t.Run(f.String(), func(t *testing.T) {
			want := Packet{Version: 3, VRID: 1, Priority: 254, Interval: MinInterval, Addrs: manyAddrs(f, MaxAddresses)}
			b := want.Append(nil, want.Addrs[0], f.Group(), ChecksumPseudoHeader)
			var got Packet
			if n, r := got.Parse(f, b); n != len(b) || r != Accepted {
				t.Fatalf("Parse = %d, %v; want %d, accepted", n, r, len(b))
			}
			if diff := cmp.Diff(want, got, equateAddrs); diff != "" {
				t.Errorf("packet (-want +got):\n%s", diff)
			}
		})
	}
}

// TestParseForgets reads a short packet into the memory of a longer one.
func TestParseForgets(t *testing.T) {
	var p Packet
	p.Parse(IPv6, readGolden(t, "v3-ipv6-prio150").payload)
	p.Parse(IPv4, readPayload(t, "v3-ipv4-frr"))
	want := Packet{Version: 3, VRID: 51, Priority: 100, Interval: time.Second, Addrs: addrs("198.51.100.100")}
	if diff := cmp.Diff(want, p, equateAddrs); diff != "" {
		t.Errorf("packet (-want +got):\n%s", diff)
	}
}

// FuzzPacket is C14: nothing makes Parse panic, and what it accepts is encoded as
// the same bytes, but for the reserved bits and the checksum.
func FuzzPacket(f *testing.F) {
	for _, g := range goldens {
		b := readGolden(f, g.name)
		f.Add(b.family == IPv6, b.payload)
	}
	f.Add(false, readPayload(f, "v2-ipv4"))
	f.Add(false, readPayload(f, "v3-ipv4-frr"))
	f.Fuzz(func(t *testing.T, six bool, b []byte) {
		family, src := IPv4, netip.IPv4Unspecified()
		if six {
			family, src = IPv6, netip.IPv6Unspecified()
		}
		var p Packet
		n, r := p.Parse(family, b)
		if r != Accepted {
			if n != 0 {
				t.Errorf("Parse = %d, %v; want length 0", n, r)
			}
			return
		}
		want := bytes.Clone(b[:n])
		want[4] &= 0x0f
		got := p.Append(nil, src, family.Group(), ChecksumPseudoHeader)
		copy(want[6:8], got[6:8])
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("bytes (-want +got):\n%s", diff)
		}
	})
}

func TestAppendDoesNotAllocate(t *testing.T) {
	for _, tt := range goldens {
		t.Run(tt.name, func(t *testing.T) {
			h := readGolden(t, tt.name).header
			buf := make([]byte, 0, 64)
			if n := testing.AllocsPerRun(100, func() { tt.packet.Append(buf, h.Src, h.Dst, ChecksumPseudoHeader) }); n != 0 {
				t.Errorf("%v allocations", n)
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	g := readGolden(b, "v3-ipv4-prio150")
	var p Packet
	b.ReportAllocs()
	for b.Loop() {
		p.Parse(IPv4, g.payload)
	}
}

func BenchmarkAppend(b *testing.B) {
	h := readGolden(b, "v3-ipv4-prio150").header
	buf := make([]byte, 0, 64)
	b.ReportAllocs()
	for b.Loop() {
		goldenIPv4.Append(buf, h.Src, h.Dst, ChecksumPseudoHeader)
	}
}
