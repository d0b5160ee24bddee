package vrrp

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
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

// pdu is the message without what follows the addresses that it counts.
func (a asked) pdu() []byte { return a.b[:min(len(a.b), 8+int(a.b[3])*a.size())] }

// trailer is what follows, if it is as long as one; else nil.
func (a asked) trailer() []byte {
	if after := a.b[len(a.pdu()):]; len(after) == 28 {
		return after
	}
	return nil
}

// hmac is what the draft has a key's holder put at the end.
func (a asked) hmac(secret []byte) []byte {
	version := byte(6)
	if a.h.Src.Is4() {
		version = 4
	}
	addr := make([]byte, 16)
	copy(addr, a.h.Src.AsSlice())
	pdu := slices.Clone(a.pdu())
	pdu[6], pdu[7] = 0, 0
	mac := hmac.New(sha256.New, secret)
	for _, part := range [][]byte{{version, 3, a.b[1], 0}, addr, pdu, a.trailer()[:12], make([]byte, 16)} {
		mac.Write(part)
	}
	return mac.Sum(nil)[:16]
}

// sum is the Internet checksum over the message, which is zero when it is right.
func (a asked) sum(pseudo bool) uint16 {
	b := slices.Clone(a.pdu())
	if pseudo {
		n := uint32(len(b))
		b = append(append(b, a.h.Src.AsSlice()...), a.h.Dst.AsSlice()...)
		b = binary.BigEndian.AppendUint32(b, 112)
		b = binary.BigEndian.AppendUint32(b, n)
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
	for b := a.pdu()[8:]; len(b) >= a.size(); b = b[a.size():] {
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

// terms are those on which a node accepts packets.
type terms struct {
	ours   Packet
	own    []netip.Addr
	peers  []netip.Addr // none: multicast
	strict bool
	auth   bool
	mode   AuthMode
	replay AntiReplay
	mark   uint64 // the last sequence of each peer; 0: none is known
}

const (
	acceptanceKey    = 7
	acceptanceWindow = 5 // seconds
)

var (
	acceptanceSecret = bytes.Repeat([]byte{'k'}, 32)
	acceptanceNow    = time.Unix(1_700_000_000, 0)
)

// termsOf reads them off a number.
func termsOf(ours Packet, n uint8, mark uint64) terms {
	t := terms{ours: ours, own: addrs("198.51.100.12 fe80::12"), strict: n&2 != 0, auth: n&4 != 0,
		replay: AntiReplay(n >> 3 & 1), mode: AuthMode(n >> 4 % 3), mark: mark}
	if n&1 != 0 {
		t.peers = addrs("198.51.100.1 198.51.100.11 fe80::1 fe80::11")
	}
	return t
}

// inspector returns one that goes by them.
func (t terms) inspector() *Inspector {
	in := newInspector(t.ours)
	in.Own, in.Peers, in.Strict = t.own, t.peers, t.strict
	if !t.auth {
		return in
	}
	in.Verifier = NewVerifier(t.mode, []Key{{ID: acceptanceKey, Secret: acceptanceSecret}}, t.replay, acceptanceWindow*time.Second)
	if t.mark != 0 {
		seen := make(map[netip.Addr]uint64)
		for _, p := range t.peers {
			seen[p] = t.mark
		}
		in.Verifier.Restore(seen)
	}
	return in
}

// fresh is within the window of the clock.
func (t terms) fresh(sequence uint64) bool {
	age := int32(uint32(acceptanceNow.Unix()) - uint32(sequence>>32))
	return t.replay == ReplayMonotonic || -acceptanceWindow <= age && age <= acceptanceWindow
}

// rules say once more, one by one and without an order, what RFC 9568, section 7.1, and
// its errata ask of an advertisement, and the draft of its trailer.
func (t terms) rules() (header, fields, signed []rule) {
	return t.headerRules(), t.fieldRules(), t.trailerRules()
}

func (t terms) headerRules() []rule {
	own := rule{OwnSource, func(a asked) bool { return slices.Contains(t.own, a.h.Src) }}
	short := rule{BadLength, func(a asked) bool { return len(a.b) < 8 }}
	if len(t.peers) > 0 {
		return []rule{own, short, {BadDestination, func(a asked) bool { return a.h.Dst.IsMulticast() || !slices.Contains(t.peers, a.h.Src) }}}
	}
	group := map[int]string{4: "224.0.0.18", 16: "ff02::12"}
	return []rule{own, short,
		{BadTTL, func(a asked) bool { return a.h.TTL != 255 }},
		{BadDestination, func(a asked) bool { return a.h.Dst.String() != group[a.size()] }},
	}
}

func (t terms) fieldRules() []rule {
	return []rule{
		{BadVersion, func(a asked) bool { return a.nibble(true) != 3 }},
		{BadVRID, func(a asked) bool { return a.b[1] != t.ours.VRID }},
		{BadType, func(a asked) bool { return a.nibble(false) != 1 }},
		{BadAddressCount, func(a asked) bool { return a.b[3] == 0 }},
		{BadLength, func(a asked) bool { return len(a.b) != 8+int(a.b[3])*a.size() && a.trailer() == nil }},
		{BadChecksum, func(a asked) bool { return a.h.Dst.Is4() && a.sum(true) != 0 && a.sum(false) != 0 }},
		{BadInterval, func(a asked) bool { return (uint16(a.b[4])<<8|uint16(a.b[5]))&0x0fff == 0 }},
		{BadFirstAddress, func(a asked) bool {
			all := a.addrs()
			return t.strict && a.size() == 16 && len(all) > 0 && !all[0].IsLinkLocalUnicast()
		}},
		{AuthMissing, func(a asked) bool { return t.auth && t.mode == AuthEnforce && a.trailer() == nil }},
		{AuthUnexpected, func(a asked) bool { return !t.auth && a.trailer() != nil }},
	}
}

// trailerRules are asked only where there is a trailer, and keys to verify it.
func (t terms) trailerRules() []rule {
	sequence := func(a asked) uint64 { return binary.BigEndian.Uint64(a.trailer()[4:]) }
	known := func(a asked) bool {
		return t.mark != 0 && slices.Contains(t.peers, a.h.Src) && t.fresh(t.mark)
	}
	return []rule{
		{AuthMalformed, func(a asked) bool { b := a.trailer(); return b[0] != 1 || b[2] != 0 || b[3] != 0 }},
		{AuthStale, func(a asked) bool { return !t.fresh(sequence(a)) }},
		{AuthUnknownKey, func(a asked) bool { return a.trailer()[1] != acceptanceKey }},
		{AuthBadHMAC, func(a asked) bool { return !bytes.Equal(a.hmac(acceptanceSecret), a.trailer()[12:]) }},
		{AuthReplay, func(a asked) bool { return known(a) && int64(sequence(a)-t.mark) <= 0 }},
	}
}

// keepalivedRefuses says what keepalived 2.2.7 refuses beyond them, of the message itself.
func keepalivedRefuses(a asked, ours Packet) bool {
	listed, want := a.addrs(), slices.Clone(ours.Addrs)
	slices.SortFunc(listed, netip.Addr.Compare)
	slices.SortFunc(want, netip.Addr.Compare)
	return a.h.Dst.Is4() && a.sum(true) != 0 || !slices.Equal(listed, want)
}

// FuzzAcceptance holds the inspector against a second, plain account of the rules, by
// multicast and among unicast peers, in each mode of authentication: it refuses exactly
// what breaks one, for a reason that is one of those broken, and without authentication it
// takes all that keepalived takes. What it takes beyond that it gives notice of.
func FuzzAcceptance(f *testing.F) {
	now := uint64(acceptanceNow.Unix()) << 32
	for _, g := range goldens {
		v := readGolden(f, g.name)
		add := func(payload []byte, seal, on uint8, sequence, mark uint64) {
			h := v.header
			if unicast := on&1 != 0; unicast {
				h = betweenPeers(h.Src.Is4())
			}
			f.Add(h.Src.Is4(), uint8(255), h.Src.AsSlice(), h.Dst.AsSlice(), payload, seal, on, sequence, mark)
		}
		add(v.payload, 0, 0, 0, 0)
		add(append(slices.Clone(v.payload), 0), 1, 0, 0, 0)
		signed := append(slices.Clone(v.payload), make([]byte, 28)...)
		for on := range uint8(64) {
			add(v.payload, 2, on, 0, 0)
			add(signed, 2, on, now, 0)
			add(signed, 5, on, now, now-1)
		}
	}
	f.Fuzz(func(t *testing.T, v4 bool, ttl uint8, src, dst, b []byte, seal, on uint8, sequence, mark uint64) {
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
		sealAs(a, seal%3)
		signAs(a, seal/3%3, sequence)
		checkAcceptance(t, a, termsOf(ours, on, mark))
	})
}

// betweenPeers is the header of what one of the peers sends to this node alone.
func betweenPeers(v4 bool) Header {
	both := addrs("fe80::11 fe80::12")
	if v4 {
		both = addrs("198.51.100.11 198.51.100.12")
	}
	return Header{Src: both[0], Dst: both[1]}
}

// sealAs makes a checksum right, of either kind, so that the fuzzer comes past it.
func sealAs(a asked, kind uint8) {
	if kind == 0 || len(a.b) < 8 || !a.h.Src.Is4() || a.b[3] == 0 {
		return
	}
	k := ChecksumPseudoHeader
	if kind == 1 {
		k = ChecksumRFC9568
	}
	if pdu := a.pdu(); len(pdu) == 8+4*int(a.b[3]) {
		binary.BigEndian.PutUint16(a.b[6:], ipv4Checksum(pdu, a.h.Src, a.h.Dst, k))
	}
}

// signAs makes a trailer right, but for another key's HMAC if it is of kind 2.
func signAs(a asked, kind uint8, sequence uint64) {
	if kind == 0 || len(a.b) < 8 || a.trailer() == nil {
		return
	}
	secret := acceptanceSecret
	if kind == 2 {
		secret = secret[1:]
	}
	trailer := a.trailer()
	copy(trailer, []byte{1, acceptanceKey, 0, 0})
	binary.BigEndian.PutUint64(trailer[4:], sequence)
	copy(trailer[12:], a.hmac(secret))
}

func checkAcceptance(t *testing.T, a asked, on terms) {
	t.Helper()
	in := on.inspector()
	_, got, notice := in.Inspect(a.h, a.b, 0, acceptanceNow)
	header, fields, signed := on.rules()
	broken := breaks(a, header)
	if len(a.b) >= 8 {
		broken = append(broken, breaks(a, fields)...)
	}
	if len(a.b) >= 8 && on.auth && a.trailer() != nil {
		broken = append(broken, breaks(a, signed)...)
	}
	if got == Accepted && len(broken) != 0 || got != Accepted && !slices.Contains(broken, got) {
		t.Fatalf("%v, but the rules say %v\n%+v %+v %x", got, broken, on, a.h, a.b)
	}
	if got != Accepted {
		return
	}
	if unsigned := on.auth && a.trailer() == nil; unsigned != (notice&NoticeUnsigned != 0) {
		t.Fatalf("unsigned: %t; notices %b\n%+v %+v %x", unsigned, notice, on, a.h, a.b)
	}
	told := notice&(NoticeAddresses|NoticeRFCChecksum) != 0
	if refuses := keepalivedRefuses(a, on.ours); refuses != told {
		t.Fatalf("keepalived refuses it: %t; notices %b\n%+v %+v %x", refuses, notice, on, a.h, a.b)
	}
	if _, again, _ := in.Inspect(a.h, a.b, 0, acceptanceNow); on.auth && a.trailer() != nil && again != AuthReplay {
		t.Fatalf("once more: %v\n%+v %+v %x", again, on, a.h, a.b)
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
