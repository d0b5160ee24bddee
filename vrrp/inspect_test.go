package vrrp

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// newInspector returns an inspector for the virtual router that p advertises, on
// a node that is not its sender.
func newInspector(p Packet) *Inspector {
	return &Inspector{
		Family: FamilyOf(p.Addrs[0]), VRID: p.VRID, Interval: p.Interval, Addrs: p.Addrs,
		Own: addrs("198.51.100.12 fe80::12"), Counters: new(Counters),
	}
}

// counted returns the reasons that the counters know of, and how often.
func counted(c *Counters) map[Reason]uint64 {
	all := make(map[Reason]uint64)
	for _, r := range append(Reasons(), Accepted) {
		if n := c.Of(r); n != 0 {
			all[r] = n
		}
	}
	return all
}

// specimen is a datagram on its way to become wrong.
type specimen struct {
	header  Header
	pdu     []byte
	after   []byte // what follows the message
	cut     int    // how many bytes of the payload arrive, if not 0
	corrupt bool
}

// payload puts the datagram together, its checksum right unless told otherwise.
func (s *specimen) payload() []byte {
	sum := ipv4Checksum(s.pdu, s.header.Src, s.header.Dst, ChecksumPseudoHeader)
	if s.corrupt {
		sum ^= 1
	}
	binary.BigEndian.PutUint16(s.pdu[6:], sum)
	b := slices.Concat(s.pdu, s.after)
	if s.cut != 0 {
		b = b[:s.cut]
	}
	return b
}

// faults are what can be wrong with a multicast packet, in the order in which it
// is looked for.
var faults = []struct {
	name string
	want Reason
	edit func(s *specimen)
}{
	{"TTL 254", BadTTL, func(s *specimen) { s.header.TTL = 254 }},
	{"own source", OwnSource, func(s *specimen) { s.header.Src = netip.MustParseAddr("198.51.100.12") }},
	{"not the group", BadDestination, func(s *specimen) { s.header.Dst = netip.MustParseAddr("224.0.0.19") }},
	{"no header", BadLength, func(s *specimen) { s.cut = 7 }},
	{"version 2", BadVersion, func(s *specimen) { s.pdu[0] = 2<<4 | s.pdu[0]&0x0f }},
	{"another VRID", BadVRID, func(s *specimen) { s.pdu[1]++ }},
	{"C13 type 2", BadType, func(s *specimen) { s.pdu[0] = s.pdu[0]&0xf0 | 2 }},
	{"C10 count 0", BadAddressCount, func(s *specimen) { s.pdu[3] = 0 }},
	{"C9 trailing byte", BadLength, func(s *specimen) { s.after = []byte{0} }},
	{"C6 corrupt checksum", BadChecksum, func(s *specimen) { s.corrupt = true }},
	{"C11 interval 0", BadInterval, func(s *specimen) { s.pdu[4], s.pdu[5] = 0, 0 }},
}

func newSpecimen(t testing.TB) *specimen {
	g := readGolden(t, "v3-ipv4-prio150")
	return &specimen{header: g.header, pdu: g.payload}
}

// TestInspectFault has one thing wrong at a time: each is refused for its own
// reason, and counted once.
func TestInspectFault(t *testing.T) {
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			s := newSpecimen(t)
			f.edit(s)
			in := newInspector(goldenIPv4)
			a, r, notice := in.Inspect(s.header, s.payload(), 0, time.Time{})
			if r != f.want || notice != 0 || a != (Advert{}) {
				t.Errorf("Inspect = %v, %v, notices %b; want %v and nothing else", a, r, notice, f.want)
			}
			if diff := cmp.Diff(map[Reason]uint64{f.want: 1}, counted(in.Counters)); diff != "" {
				t.Errorf("counters (-want +got):\n%s", diff)
			}
		})
	}
}

// TestSameSet compares what a list repeats, too.
func TestSameSet(t *testing.T) {
	one, two := netip.MustParseAddr("198.51.100.1"), netip.MustParseAddr("198.51.100.2")
	for _, tt := range []struct {
		a, b []netip.Addr
		want bool
	}{
		{[]netip.Addr{one, two}, []netip.Addr{two, one}, true},
		{[]netip.Addr{one, two}, []netip.Addr{one, one}, false},
		{[]netip.Addr{one, one}, []netip.Addr{one, two}, false},
		{[]netip.Addr{one}, []netip.Addr{one, two}, false},
	} {
		if got := sameSet(tt.a, tt.b); got != tt.want {
			t.Errorf("sameSet(%v, %v) = %t", tt.a, tt.b, got)
		}
	}
}

// TestInspectHeaderAlone is another virtual router's header without an address: it
// is that router's affair.
func TestInspectHeaderAlone(t *testing.T) {
	s := newSpecimen(t)
	in := newInspector(goldenIPv4)
	in.VRID++
	if _, r, _ := in.Inspect(s.header, s.payload()[:headerLen], 0, time.Time{}); r != BadVRID {
		t.Errorf("Inspect = %v, want %v", r, BadVRID)
	}
}

// TestInspectOrder has two things wrong: the one that is looked for first counts.
func TestInspectOrder(t *testing.T) {
	for i, first := range faults {
		for _, second := range faults[i+1:] {
			t.Run(first.name+", "+second.name, func(t *testing.T) {
				s := newSpecimen(t)
				second.edit(s)
				first.edit(s)
				if _, r, _ := newInspector(goldenIPv4).Inspect(s.header, s.payload(), 0, time.Time{}); r != first.want {
					t.Errorf("Inspect = %v, want %v", r, first.want)
				}
			})
		}
	}
}

func TestC9TrailingBytes(t *testing.T) {
	for _, n := range []int{1, 4, 6, TrailerLen - 1, TrailerLen + 1} {
		s := newSpecimen(t)
		s.after = make([]byte, n)
		if _, r, _ := newInspector(goldenIPv4).Inspect(s.header, s.payload(), 0, time.Time{}); r != BadLength {
			t.Errorf("%d bytes: Inspect = %v, want %v", n, r, BadLength)
		}
	}
}

func TestInspectAccepts(t *testing.T) {
	for _, tt := range goldens {
		if tt.trailer != 0 {
			continue
		}
		t.Run(tt.name, func(t *testing.T) {
			g := readGolden(t, tt.name)
			in := newInspector(tt.packet)
			got, r, notice := in.Inspect(g.header, g.payload, 42, time.Time{})
			if r != Accepted || notice != 0 {
				t.Fatalf("Inspect = %v, notices %b; want accepted, none", r, notice)
			}
			want := Advert{Src: g.header.Src, Priority: tt.packet.Priority, Interval: time.Second, At: 42}
			if diff := cmp.Diff(want, got, equateAddrs); diff != "" {
				t.Errorf("advert (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(&tt.packet, in.Packet(), equateAddrs); diff != "" {
				t.Errorf("packet (-want +got):\n%s", diff)
			}
			leaving := uint64(0)
			if tt.packet.Priority == PriorityLeave {
				leaving = 1
			}
			if got := in.Counters.PriorityZero(); got != leaving {
				t.Errorf("PriorityZero = %d, want %d", got, leaving)
			}
		})
	}
}

// TestC3ForeignVersion tells the operator who speaks version 2, not only that someone does.
func TestC3ForeignVersion(t *testing.T) {
	in := newInspector(goldenIPv4)
	h := newSpecimen(t).header
	if _, r, _ := in.Inspect(h, readPayload(t, "v2-ipv4"), 0, time.Time{}); r != BadVersion {
		t.Fatalf("Inspect = %v, want %v", r, BadVersion)
	}
	want := &Packet{Version: 2, VRID: 51, Priority: 150, Interval: time.Second}
	if diff := cmp.Diff(want, in.Packet(), equateAddrs); diff != "" {
		t.Errorf("packet (-want +got):\n%s", diff)
	}
}

func TestC5ChecksumsCounted(t *testing.T) {
	in := newInspector(goldenIPv4)
	h := newSpecimen(t).header
	for _, kind := range []ChecksumKind{ChecksumPseudoHeader, ChecksumRFC9568, ChecksumRFC9568} {
		want := Notice(0)
		if kind == ChecksumRFC9568 {
			want = NoticeRFCChecksum
		}
		b := goldenIPv4.Append(nil, h.Src, h.Dst, kind)
		if _, r, notice := in.Inspect(h, b, 0, time.Time{}); r != Accepted || notice != want {
			t.Errorf("%v: Inspect = %v, notices %b; want accepted, %b", kind, r, notice, want)
		}
	}
	if pseudo, rfc := in.Counters.Checksums(); pseudo != 1 || rfc != 2 {
		t.Errorf("Checksums = %d, %d; want 1, 2", pseudo, rfc)
	}
}

// TestC6EveryBit flips each bit of the message: none gets through unseen.
func TestC6EveryBit(t *testing.T) {
	s := newSpecimen(t)
	valid := s.payload()
	in := newInspector(goldenIPv4)
	for i := range len(valid) * 8 {
		b := bytes.Clone(valid)
		b[i/8] ^= 1 << (i % 8)
		if _, r, _ := in.Inspect(s.header, b, 0, time.Time{}); r == Accepted {
			t.Errorf("accepted with bit %d of byte %d flipped", i%8, i/8)
		}
	}
}

// TestC12ReservedBits sets the four bits that a receiver ignores.
func TestC12ReservedBits(t *testing.T) {
	s := newSpecimen(t)
	s.pdu[4] |= 0xf0
	if _, r, notice := newInspector(goldenIPv4).Inspect(s.header, s.payload(), 0, time.Time{}); r != Accepted || notice != 0 {
		t.Errorf("Inspect = %v, notices %b; want accepted, none", r, notice)
	}
}

func TestInspectUnicast(t *testing.T) {
	us, peer, stranger := "198.51.100.12", "198.51.100.11", "203.0.113.9"
	for _, tt := range []struct {
		name     string
		src, dst string
		ttl      int
		want     Reason
	}{
		{"peer", peer, us, TTL, Accepted},
		{"peer behind a router", peer, us, 61, Accepted},
		{"stranger", stranger, us, TTL, BadDestination},
		{"peer to the group", peer, "224.0.0.18", TTL, BadDestination},
		{"C56 own source", us, us, TTL, OwnSource},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := Header{Src: netip.MustParseAddr(tt.src), Dst: netip.MustParseAddr(tt.dst), TTL: tt.ttl}
			in := newInspector(goldenIPv4)
			in.Peers = addrs(peer + " " + us) // one file for all nodes: we are in it too
			b := goldenIPv4.Append(nil, h.Src, h.Dst, ChecksumPseudoHeader)
			if _, r, _ := in.Inspect(h, b, 0, time.Time{}); r != tt.want {
				t.Errorf("Inspect = %v, want %v", r, tt.want)
			}
		})
	}
}

// TestC56ForgedOwnSource is what the kernel drops over IPv4 alone.
func TestC56ForgedOwnSource(t *testing.T) {
	g := readGolden(t, "v3-ipv6-prio150")
	in := newInspector(goldenIPv6)
	in.Own = append(in.Own, g.header.Src)
	if _, r, _ := in.Inspect(g.header, g.payload, 0, time.Time{}); r != OwnSource {
		t.Errorf("Inspect = %v, want %v", r, OwnSource)
	}
}

func TestInspectNotices(t *testing.T) {
	ours := goldenIPv6
	for _, tt := range []struct {
		name     string
		interval time.Duration
		addrs    string
		strict   bool
		want     Reason
		notice   Notice
	}{
		{"same", time.Second, "fe80::100 2001:db8::100", true, Accepted, 0},
		{"interval", 2 * time.Second, "fe80::100 2001:db8::100", true, Accepted, NoticeInterval},
		{"addresses in another order, lenient", time.Second, "2001:db8::100 fe80::100", false, Accepted, NoticeFirstAddress},
		{"addresses in another order, strict", time.Second, "2001:db8::100 fe80::100", true, BadFirstAddress, 0},
		{"one address less", time.Second, "fe80::100", true, Accepted, NoticeAddresses},
		{"one address more", time.Second, "fe80::100 2001:db8::100 2001:db8::101", true, Accepted, NoticeAddresses},
		{"another address", time.Second, "fe80::100 2001:db8::101", true, Accepted, NoticeAddresses},
		{"one address twice", time.Second, "fe80::100 fe80::100", true, Accepted, NoticeAddresses},
		{"everything", 10 * time.Millisecond, "2001:db8::1", false, Accepted, NoticeInterval | NoticeAddresses | NoticeFirstAddress},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := readGolden(t, "v3-ipv6-prio150").header
			in := newInspector(ours)
			in.Strict = tt.strict
			theirs := Packet{VRID: ours.VRID, Priority: 150, Interval: tt.interval, Addrs: addrs(tt.addrs)}
			_, r, notice := in.Inspect(h, theirs.Append(nil, h.Src, h.Dst, ChecksumPseudoHeader), 0, time.Time{})
			if r != tt.want || notice != tt.notice {
				t.Errorf("Inspect = %v, notices %b; want %v, %b", r, notice, tt.want, tt.notice)
			}
		})
	}
}

func TestReasonNames(t *testing.T) {
	seen := map[string]Reason{Accepted.String(): Accepted}
	for _, r := range Reasons() {
		if other, ok := seen[r.String()]; ok || r.String() == "" {
			t.Errorf("reason %d is called %q, as is %d", r, r, other)
		}
		seen[r.String()] = r
	}
	if got := reasons.String(); got != "unknown" {
		t.Errorf("beyond the last: %q, want unknown", got)
	}
}

// FuzzInspect holds what is accepted against what it must have been.
func FuzzInspect(f *testing.F) {
	for _, tt := range goldens {
		g := readGolden(f, tt.name)
		src, dst := g.header.Src.AsSlice(), g.header.Dst.AsSlice()
		f.Add(uint8(0), false, false, uint8(g.header.TTL), src, dst, g.payload)
		f.Add(uint8(2), true, true, uint8(64), src, src, g.payload)
	}
	f.Fuzz(func(t *testing.T, auth uint8, unicast, strict bool, ttl uint8, src, dst, b []byte) {
		from, ok := netip.AddrFromSlice(src)
		to, ok2 := netip.AddrFromSlice(dst)
		if !ok || !ok2 || from.BitLen() != to.BitLen() {
			return
		}
		h := Header{Src: from, Dst: to, TTL: int(ttl)}
		ours := goldenIPv4
		if from.Is6() {
			ours = goldenIPv6
		}
		in := newInspector(ours)
		in.Strict = strict
		if unicast {
			in.Peers = addrs("198.51.100.11 fe80::8c1b:5cff:fe10:cd6")
		}
		if auth%4 != 0 {
			in.Verifier = NewVerifier(AuthMode(auth%4-1), goldenKeys, ReplayTime, 5*time.Second)
		}
		seal(b, h)
		a, r, notice := in.Inspect(h, b, 1, goldenTime)
		if diff := cmp.Diff(map[Reason]uint64{r: 1}, counted(in.Counters)); diff != "" {
			t.Errorf("counters (-want +got):\n%s", diff)
		}
		if r != Accepted {
			if a != (Advert{}) {
				t.Errorf("%v, but hands out %v", r, a)
			}
			return
		}
		checkAccepted(t, in, h, b, a, notice)
	})
}

// seal makes the checksum of an IPv4 message right, so that the fuzzer comes past it.
func seal(b []byte, h Header) {
	if len(b) < headerLen || h.Src.Is6() {
		return
	}
	n := headerLen + 4*int(b[3])
	if n > len(b) {
		return
	}
	binary.BigEndian.PutUint16(b[6:], ipv4Checksum(b[:n], h.Src, h.Dst, ChecksumPseudoHeader))
}

func checkAccepted(t *testing.T, in *Inspector, h Header, b []byte, a Advert, notice Notice) {
	t.Helper()
	n := headerLen + int(b[3])*in.Family.addrLen()
	signed := len(b) == n+TrailerLen
	for _, must := range []struct {
		what string
		ok   bool
	}{
		{"TTL 255 of multicast", len(in.Peers) > 0 || h.TTL == TTL},
		{"destination", h.Dst == in.Family.Group() || len(in.Peers) > 0 && !h.Dst.IsMulticast()},
		{"source is a peer", len(in.Peers) == 0 || slices.Contains(in.Peers, h.Src)},
		{"source is not this node", !slices.Contains(in.Own, h.Src)},
		{"version 3, type 1", b[0] == 0x31},
		{"VRID", b[1] == in.VRID},
		{"an address", b[3] > 0},
		{"length", len(b) == n || signed},
		{"a trailer only with authentication", !signed || in.Verifier != nil},
		{"no trailer only without enforcement", signed || in.Verifier == nil || in.Verifier.mode != AuthEnforce},
		{"unsigned is noticed", (notice&NoticeUnsigned != 0) == (!signed && in.Verifier != nil)},
		{"interval", a.Interval >= MinInterval && a.Interval <= MaxInterval},
		{"interval is noticed", (notice&NoticeInterval != 0) == (a.Interval != in.Interval)},
		{"strict", !in.Strict || notice&NoticeFirstAddress == 0},
		{"advert", a.Src == h.Src && a.Priority == b[2] && a.At == 1},
	} {
		if !must.ok {
			t.Errorf("accepted against the rule: %s\nheader %v\npayload %x\nnotices %b", must.what, h, b, notice)
		}
	}
}

func TestInspectDoesNotAllocate(t *testing.T) {
	for _, tt := range goldens {
		t.Run(tt.name, func(t *testing.T) {
			g := readGolden(t, tt.name)
			in := newInspector(tt.packet)
			if tt.trailer != 0 {
				in.Verifier = NewVerifier(AuthEnforce, goldenKeys, ReplayTime, 5*time.Second)
			}
			in.Inspect(g.header, g.payload, 0, goldenTime)
			if n := testing.AllocsPerRun(100, func() { in.Inspect(g.header, g.payload, 0, goldenTime) }); n != 0 {
				t.Errorf("%v allocations", n)
			}
		})
	}
}

func BenchmarkInspect(b *testing.B) {
	g := readGolden(b, "v3-ipv4-prio150")
	in := newInspector(goldenIPv4)
	b.ReportAllocs()
	for b.Loop() {
		in.Inspect(g.header, g.payload, 0, time.Time{})
	}
}
