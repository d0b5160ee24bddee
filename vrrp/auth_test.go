package vrrp

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The keys of the captures, and the second in which the first was sent.
var (
	key1 = Key{ID: 1, Secret: []byte("\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f" +
		"\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f")}
	key7       = Key{ID: 7, Secret: []byte("an ascii key of exactly 32 bytes")}
	goldenKeys = []Key{key1, key7}
	goldenTime = time.Unix(1795344842, 0)
)

const testWindow = 5 * time.Second

var sender = netip.MustParseAddr("198.51.100.11")

// pdu returns a message of the sender, to be signed.
func pdu() []byte { return goldenIPv4.Append(nil, sender, IPv4.Group(), ChecksumPseudoHeader) }

// trailerWith returns the trailer of b that carries the given sequence.
func trailerWith(k Key, seq uint64, b []byte) []byte {
	s := NewSigner(k, ReplayMonotonic, testWindow)
	s.used.Restore(seq - 1)
	return s.Append(nil, b, sender, time.Unix(0, 0))
}

// timeOf returns a time at which a fresh Signer chooses the given sequence.
func timeOf(seq uint64) time.Time {
	fraction := int64(seq>>16) & 0xffff
	return time.Unix(int64(seq>>32), (fraction*int64(time.Second)+0xffff)>>16)
}

func eachSigned(t *testing.T, run func(t *testing.T, g golden, p Packet, k Key)) {
	for _, tt := range goldens {
		if tt.trailer == 0 {
			continue
		}
		t.Run(tt.name, func(t *testing.T) {
			g := readGolden(t, tt.name)
			k := key1
			if g.family == IPv6 {
				k = key7
			}
			run(t, g, tt.packet, k)
		})
	}
}

// TestGoldenTrailer verifies what keepalived signed, and signs the same bytes.
func TestGoldenTrailer(t *testing.T) {
	eachSigned(t, func(t *testing.T, g golden, p Packet, k Key) {
		in := newInspector(p)
		in.Verifier = NewVerifier(AuthEnforce, goldenKeys, ReplayTime, testWindow)
		if _, r, notice := in.Inspect(g.header, g.payload, 0, goldenTime); r != Accepted || notice != 0 {
			t.Fatalf("Inspect = %v, notices %b; want accepted, none", r, notice)
		}
		n := len(g.payload) - TrailerLen
		seq := binary.BigEndian.Uint64(g.payload[n+4:])
		got := NewSigner(k, ReplayTime, testWindow).Append(nil, g.payload[:n], g.header.Src, timeOf(seq))
		if diff := cmp.Diff(g.payload[n:], got); diff != "" {
			t.Errorf("trailer (-want +got):\n%s", diff)
		}
		if got, want := checksumIPv6(g.payload, g.header), binary.BigEndian.Uint16(g.payload[6:]); g.family == IPv6 && got != want {
			t.Errorf("the checksum covers something else than message and trailer: %04x, want %04x", got, want)
		}
	})
}

// TestEveryBitIsCovered flips each bit of a signed packet and of its source. The
// checksum alone is not covered by the HMAC; over IPv6 the kernel looks after it.
func TestEveryBitIsCovered(t *testing.T) {
	eachSigned(t, func(t *testing.T, g golden, _ Packet, _ Key) {
		n := len(g.payload) - TrailerLen
		verify := func(src netip.Addr, b []byte) Reason {
			return NewVerifier(AuthEnforce, goldenKeys, ReplayMonotonic, testWindow).verify(src, b[:n], b[n:], goldenTime)
		}
		if r := verify(g.header.Src, g.payload); r != Accepted {
			t.Fatalf("untouched: %v", r)
		}
		for i := range len(g.payload) * 8 {
			b := bytes.Clone(g.payload)
			b[i/8] ^= 1 << (i % 8)
			if covered := i/8 != 6 && i/8 != 7; (verify(g.header.Src, b) != Accepted) != covered {
				t.Errorf("bit %d of byte %d: covered %t, want %t", i%8, i/8, !covered, covered)
			}
		}
		src := g.header.Src.AsSlice()
		for i := range len(src) * 8 {
			b := bytes.Clone(src)
			b[i/8] ^= 1 << (i % 8)
			if forged, _ := netip.AddrFromSlice(b); verify(forged, g.payload) != AuthBadHMAC {
				t.Errorf("accepted from %v", forged)
			}
		}
	})
}

// TestAuthOrder has two things wrong with a trailer: the first counts. A replay is
// made by verifying the genuine packet first.
func TestAuthOrder(t *testing.T) {
	faults := []struct {
		want Reason
		edit func(trailer []byte) []byte
	}{
		{AuthMissing, func([]byte) []byte { return nil }},
		{AuthMalformed, func(b []byte) []byte { b[0] = 2; return b }},
		{AuthMalformed, func(b []byte) []byte { b[2] = 1; return b }},
		{AuthMalformed, func(b []byte) []byte { b[3] = 1; return b }},
		{AuthStale, func(b []byte) []byte { b[7] += 6; return b }},
		{AuthUnknownKey, func(b []byte) []byte { b[1] = 0; return b }},
		{AuthUnknownKey, func(b []byte) []byte { b[1] = 9; return b }},
		{AuthBadHMAC, func(b []byte) []byte { b[1] = 7; return b }},
		{AuthBadHMAC, func(b []byte) []byte { b[len(b)-1] ^= 1; return b }},
		{AuthReplay, func(b []byte) []byte { return b }},
	}
	pdu := pdu()
	genuine := NewSigner(key1, ReplayTime, testWindow).Append(nil, pdu, sender, goldenTime)
	for i, first := range faults {
		for j, second := range faults[i:] {
			v := verifier(AuthEnforce)
			if r := v.verify(sender, pdu, genuine, goldenTime); r != Accepted {
				t.Fatalf("genuine: %v", r)
			}
			b := first.edit(bytes.Clone(genuine))
			if j > 0 {
				b = first.edit(second.edit(bytes.Clone(genuine)))
			}
			if r := v.verify(sender, pdu, b, goldenTime); r != first.want {
				t.Errorf("faults %d and %d: %v, want %v", i, i+j, r, first.want)
			}
		}
	}
}

// TestAuthAfterTheRest finds the message itself wrong before its trailer, and the
// trailer before what is compared with our configuration.
func TestAuthAfterTheRest(t *testing.T) {
	g := readGolden(t, "auth-v3-ipv6-prio150")
	for _, tt := range []struct {
		name string
		edit func(in *Inspector, b []byte)
		want Reason
	}{
		{"interval 0 and bad HMAC", func(_ *Inspector, b []byte) { b[4], b[5] = 0, 0 }, BadInterval},
		{"bad HMAC and first address", func(in *Inspector, b []byte) { in.Strict, b[8] = true, 0x20 }, AuthBadHMAC},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in, b := newInspector(goldenIPv6), bytes.Clone(g.payload)
			in.Verifier = NewVerifier(AuthEnforce, goldenKeys, ReplayTime, testWindow)
			tt.edit(in, b)
			if _, r, _ := in.Inspect(g.header, b, 0, goldenTime); r != tt.want {
				t.Errorf("Inspect = %v, want %v", r, tt.want)
			}
		})
	}
}

func TestAuthModes(t *testing.T) {
	h := Header{Src: sender, Dst: IPv4.Group(), TTL: TTL}
	pdu := pdu()
	signed := NewSigner(key1, ReplayTime, testWindow).Append(bytes.Clone(pdu), pdu, sender, goldenTime)
	forged := NewSigner(Key{ID: 1, Secret: key7.Secret}, ReplayTime, testWindow).Append(bytes.Clone(pdu), pdu, sender, goldenTime)
	type outcome struct {
		Reason   Reason
		Notice   Notice
		Unsigned uint64
	}
	ok := outcome{Reason: Accepted}
	for _, tt := range []struct {
		name     string
		verifier *Verifier
		b        []byte
		want     outcome
	}{
		{"no authentication, unsigned", nil, pdu, ok},
		{"no authentication, signed", nil, signed, outcome{Reason: AuthUnexpected}},
		{"receive-only, unsigned", verifier(AuthReceiveOnly), pdu, outcome{Accepted, NoticeUnsigned, 1}},
		{"receive-only, signed", verifier(AuthReceiveOnly), signed, ok},
		{"receive-only, forged", verifier(AuthReceiveOnly), forged, outcome{Reason: AuthBadHMAC}},
		{"permissive, unsigned", verifier(AuthPermissive), pdu, outcome{Accepted, NoticeUnsigned, 1}},
		{"permissive, signed", verifier(AuthPermissive), signed, ok},
		{"permissive, forged", verifier(AuthPermissive), forged, outcome{Reason: AuthBadHMAC}},
		{"enforce, unsigned", verifier(AuthEnforce), pdu, outcome{Reason: AuthMissing}},
		{"enforce, signed", verifier(AuthEnforce), signed, ok},
		{"enforce, forged", verifier(AuthEnforce), forged, outcome{Reason: AuthBadHMAC}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := newInspector(goldenIPv4)
			in.Verifier = tt.verifier
			_, r, notice := in.Inspect(h, tt.b, 0, goldenTime)
			if diff := cmp.Diff(tt.want, outcome{r, notice, in.Counters.Unsigned()}); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func verifier(mode AuthMode) *Verifier {
	return NewVerifier(mode, goldenKeys, ReplayTime, testWindow)
}

// stage is how a node is configured at some point of a rollout.
type stage struct {
	name   string
	mode   AuthMode
	keys   []Key // none: no authentication
	active *Key  // signs with it; nil: does not sign
}

// accepts reports what a node at this stage says of the advertisement of another.
func (to stage) accepts(from stage) Reason {
	in := newInspector(goldenIPv4)
	if len(to.keys) > 0 {
		in.Verifier = NewVerifier(to.mode, to.keys, ReplayTime, testWindow)
	}
	b := pdu()
	if from.active != nil {
		b = NewSigner(*from.active, ReplayTime, testWindow).Append(b, b, sender, goldenTime)
	}
	_, r, _ := in.Inspect(Header{Src: sender, Dst: IPv4.Group(), TTL: TTL}, b, 0, goldenTime)
	return r
}

// TestRollout brings a cluster from no authentication to enforcement, and from
// one key to the next. A sweep changes the nodes one by one from one stage to the
// next; at every moment of it each of them accepts each.
func TestRollout(t *testing.T) {
	plain := stage{name: "plain"}
	receive := stage{"receive-only", AuthReceiveOnly, []Key{key1}, nil}
	permissive := stage{"permissive", AuthPermissive, []Key{key1}, &key1}
	enforce := stage{"enforce", AuthEnforce, []Key{key1}, &key1}
	both := stage{"both keys", AuthEnforce, []Key{key1, key7}, &key1}
	switched := stage{"new key signs", AuthEnforce, []Key{key1, key7}, &key7}
	rotated := stage{"old key gone", AuthEnforce, []Key{key7}, &key7}

	sweeps := []stage{plain, receive, permissive, enforce, both, switched, rotated}
	for i, before := range sweeps[:len(sweeps)-1] {
		after := sweeps[i+1]
		for _, to := range []stage{before, after} {
			for _, from := range []stage{before, after} {
				if r := to.accepts(from); r != Accepted {
					t.Errorf("%s refuses %s: %v", to.name, from.name, r)
				}
			}
		}
	}

	// A sweep left out is an outage.
	for _, tt := range []struct {
		to, from stage
		want     Reason
	}{
		{plain, permissive, AuthUnexpected},
		{enforce, receive, AuthMissing},
		{enforce, switched, AuthUnknownKey},
		{rotated, both, AuthUnknownKey},
	} {
		if r := tt.to.accepts(tt.from); r != tt.want {
			t.Errorf("%s of %s: %v, want %v", tt.to.name, tt.from.name, r, tt.want)
		}
	}
}

// at is a sequence: seconds and 1/65536 of them, and the counter.
func at(seconds, fraction, counter uint64) uint64 { return seconds<<32 | fraction<<16 | counter }

func TestReplay(t *testing.T) {
	const now = 1795344842
	const max32 = 1<<32 - 1
	type arrival struct {
		seq  uint64
		wall int64
		want Reason
	}
	for _, tt := range []struct {
		name     string
		kind     AntiReplay
		arrivals []arrival
	}{
		{"growing", ReplayTime, []arrival{
			{at(now, 0, 0), now, Accepted}, {at(now, 0, 1), now, Accepted}, {at(now, 1, 0), now, Accepted}, {at(now+1, 0, 0), now, Accepted},
		}},
		{"same and older", ReplayTime, []arrival{
			{at(now, 1, 1), now, Accepted}, {at(now, 1, 1), now, AuthReplay}, {at(now, 1, 0), now, AuthReplay}, {at(now-1, 9, 9), now, AuthReplay},
		}},
		{"edges of the window", ReplayTime, []arrival{
			{at(now-6, 0xffff, 0), now, AuthStale}, {at(now-5, 0, 0), now, Accepted}, {at(now+5, 0xffff, 0), now, Accepted}, {at(now+6, 0, 0), now, AuthStale},
		}},
		{"a refused one moves no mark", ReplayTime, []arrival{
			{at(now, 0, 0), now, Accepted}, {at(now+6, 0, 0), now, AuthStale}, {at(now, 0, 1), now, Accepted},
		}},
		{"sender's clock set back: refused until it has passed the mark", ReplayTime, []arrival{
			{at(now+5, 0, 0), now, Accepted}, {at(now-1, 0, 0), now, AuthReplay}, {at(now+5, 0, 0), now + 6, AuthReplay}, {at(now+6, 0, 0), now + 7, Accepted},
		}},
		{"our clock set back within the window: the mark holds", ReplayTime, []arrival{
			{at(now, 0, 0), now, Accepted}, {at(now-5, 0, 0), now - 5, AuthReplay}, {at(now, 0, 1), now - 5, Accepted},
		}},
		{"our clock set back beyond it: the mark expires", ReplayTime, []arrival{
			{at(now, 0, 0), now, Accepted}, {at(now-6, 0, 0), now - 6, Accepted}, {at(now-6, 0, 0), now - 6, AuthReplay},
		}},
		{"year 2038", ReplayTime, []arrival{
			{at(1<<31-1, 0, 0), 1<<31 - 1, Accepted}, {at(1<<31, 0, 0), 1<<31 - 1, Accepted}, {at(1<<31-1, 0, 0), 1 << 31, AuthReplay}, {at(1<<31+1, 0, 0), 1 << 31, Accepted},
		}},
		{"year 2106", ReplayTime, []arrival{
			{at(max32, 0, 0), max32, Accepted}, {at(0, 0, 0), max32, Accepted}, {at(max32, 1, 0), 1 << 32, AuthReplay},
			{at(1, 0, 0), 1 << 32, Accepted}, {at(7, 0, 0), 1<<32 + 1, AuthStale},
		}},
		{"monotonic knows no clock", ReplayMonotonic, []arrival{
			{at(5, 0, 0), now, Accepted}, {at(now, 0, 0), 0, Accepted}, {at(now, 0, 0), now, AuthReplay}, {at(now-9999, 0, 0), now, AuthReplay},
		}},
		{"monotonic wraps (RFC 1982)", ReplayMonotonic, []arrival{
			{1<<64 - 1, now, Accepted}, {0, now, Accepted}, {1<<64 - 1, now, AuthReplay}, {1<<63 - 1, now, Accepted}, {1<<64 - 1, now, AuthReplay},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := NewVerifier(AuthEnforce, goldenKeys, tt.kind, testWindow)
			b := pdu()
			for i, a := range tt.arrivals {
				if r := v.verify(sender, b, trailerWith(key1, a.seq, b), time.Unix(a.wall, 0)); r != a.want {
					t.Errorf("arrival %d, sequence %x at %d: %v, want %v", i, a.seq, a.wall, r, a.want)
				}
			}
		})
	}
}

// TestReplayBySender keeps a mark for each.
func TestReplayBySender(t *testing.T) {
	v, b := verifier(AuthEnforce), pdu()
	other := netip.MustParseAddr("198.51.100.13")
	for _, src := range []netip.Addr{sender, other} {
		trailer := NewSigner(key1, ReplayTime, testWindow).Append(nil, b, src, goldenTime)
		if r := v.verify(src, b, trailer, goldenTime); r != Accepted {
			t.Errorf("%v: %v", src, r)
		}
		if r := v.verify(src, b, trailer, goldenTime); r != AuthReplay {
			t.Errorf("%v again: %v, want %v", src, r, AuthReplay)
		}
	}
}

// TestVerifierInherits is a reload: what was heard before it stays heard, whatever
// the new keys.
func TestVerifierInherits(t *testing.T) {
	b := pdu()
	heard := trailerWith(key1, sequence(goldenTime), b)
	before := verifier(AuthPermissive)
	before.verify(sender, b, heard, goldenTime)

	after := NewVerifier(AuthEnforce, []Key{key1}, ReplayTime, testWindow)
	after.Inherit(before)
	after.Inherit(nil)
	if r := after.verify(sender, b, heard, goldenTime); r != AuthReplay {
		t.Errorf("replayed over a reload: %v, want %v", r, AuthReplay)
	}
}

// TestVerifierMemory has more senders sign than a verifier remembers.
func TestVerifierMemory(t *testing.T) {
	v, b := verifier(AuthEnforce), pdu()
	src := netip.MustParseAddr("2001:db8::")
	s := NewSigner(key1, ReplayTime, testWindow)
	for range maxSenders + 1 {
		if r := v.verify(src, b, s.Append(nil, b, src, goldenTime), goldenTime); r != Accepted {
			t.Fatalf("%v: %v", src, r)
		}
		src = src.Next()
	}
	if n := len(v.marks.of); n > maxSenders {
		t.Errorf("%d senders remembered, at most %d are wanted", n, maxSenders)
	}
}

// TestVerifierRemembersThemAll fills the memory to the brim: nobody is forgotten
// until one more is heard.
func TestVerifierRemembersThemAll(t *testing.T) {
	v, m := verifier(AuthEnforce), pdu()
	var trailers [][]byte
	var from []netip.Addr
	for src := netip.MustParseAddr("198.51.100.1"); len(from) < maxSenders; src = src.Next() {
		trailer := NewSigner(key1, ReplayTime, testWindow).Append(nil, m, src, goldenTime)
		from, trailers = append(from, src), append(trailers, trailer)
		if r := v.verify(src, m, trailer, goldenTime); r != Accepted {
			t.Fatalf("%v: %v", src, r)
		}
	}
	newer := NewSigner(key1, ReplayTime, testWindow).Append(nil, m, from[0], goldenTime.Add(time.Second))
	if r := v.verify(from[0], m, newer, goldenTime); r != Accepted {
		t.Errorf("a known sender: %v", r)
	}
	for i, src := range from {
		if r := v.verify(src, m, trailers[i], goldenTime); r != AuthReplay {
			t.Errorf("%v again: %v, want %v", src, r, AuthReplay)
		}
	}
}

// TestSignerContinues is a reload while the clock stands still.
func TestSignerContinues(t *testing.T) {
	var used Sequence
	older, newer := NewSigner(key1, ReplayTime, testWindow), NewSigner(key7, ReplayTime, testWindow)
	older.Continue(&used)
	newer.Continue(&used)
	last := older.next(goldenTime)
	if got := newer.next(goldenTime); got != last+1 || used.Last() != got {
		t.Errorf("%x after %x, and %x is remembered", got, last, used.Last())
	}
}

// TestSignerRestored is a restart after the clock was set back.
func TestSignerRestored(t *testing.T) {
	for kind, back := range map[AntiReplay]time.Duration{ReplayTime: testWindow, ReplayMonotonic: time.Hour} {
		var used Sequence
		used.Restore(sequence(goldenTime))
		s := NewSigner(key1, kind, testWindow)
		s.Continue(&used)
		if got, want := s.next(goldenTime.Add(-back)), sequence(goldenTime)+1; got != want {
			t.Errorf("set back by %v: %x, want %x", back, got, want)
		}
	}
}

func TestSequenceAfter(t *testing.T) {
	const now = 1795344842
	for d, want := range map[time.Duration]uint64{
		0:                                     at(now, 1<<15, 3),
		1:                                     at(now, 1<<15, 7), // 4.3 units of the counter
		time.Second / 4:                       at(now, 1<<15+1<<14, 3),
		59*time.Second + 500*time.Millisecond: at(now+60, 0, 3),
		24 * time.Hour:                        at(now+86400, 1<<15, 3),
	} {
		if got := SequenceAfter(at(now, 1<<15, 3), d); got != want {
			t.Errorf("after %v: %x, want %x", d, got, want)
		}
	}
}

// TestSequenceFraction is the last nanosecond of a second.
func TestSequenceFraction(t *testing.T) {
	if got, want := sequence(time.Unix(1795344842, 999999999)), at(1795344842, 1<<16-1, 0); got != want {
		t.Errorf("sequence %x, want %x", got, want)
	}
}

// TestKeyIsNamed wants the id in logs, whatever the verb.
func TestKeyIsNamed(t *testing.T) {
	for _, verb := range []string{"%v", "%x"} {
		if got := fmt.Sprintf(verb, Key{ID: 7}); got != "key 7" {
			t.Errorf("%s: %q", verb, got)
		}
	}
}

// TestSignerSequence lets the clock do what clocks do.
func TestSignerSequence(t *testing.T) {
	const now = 1795344842
	half := time.Unix(now, int64(time.Second/2))
	for _, tt := range []struct {
		name  string
		kind  AntiReplay
		walls []time.Time
		want  []uint64
	}{
		{"clock moves", ReplayTime, []time.Time{time.Unix(now, 0), half, time.Unix(now+1, 0)}, []uint64{at(now, 0, 0), at(now, 1<<15, 0), at(now+1, 0, 0)}},
		{"clock stands", ReplayTime, []time.Time{half, half, half}, []uint64{at(now, 1<<15, 0), at(now, 1<<15, 1), at(now, 1<<15, 2)}},
		{"small step back", ReplayTime, []time.Time{time.Unix(now, 0), time.Unix(now-5, 0), time.Unix(now+1, 0)}, []uint64{at(now, 0, 0), at(now, 0, 1), at(now+1, 0, 0)}},
		{"large step back", ReplayTime, []time.Time{time.Unix(now, 0), time.Unix(now-6, 0), time.Unix(now-5, 0)}, []uint64{at(now, 0, 0), at(now-6, 0, 0), at(now-5, 0, 0)}},
		{"large step back, monotonic", ReplayMonotonic, []time.Time{time.Unix(now, 0), time.Unix(9, 0), time.Unix(now+1, 0)}, []uint64{at(now, 0, 0), at(now, 0, 1), at(now+1, 0, 0)}},
		{"step forward", ReplayTime, []time.Time{time.Unix(now, 0), time.Unix(now+86400, 0)}, []uint64{at(now, 0, 0), at(now+86400, 0, 0)}},
		{"year 2106", ReplayTime, []time.Time{time.Unix(1<<32-1, 0), time.Unix(1<<32, 0)}, []uint64{at(1<<32-1, 0, 0), at(0, 0, 0)}},
		{"year 2106, monotonic", ReplayMonotonic, []time.Time{time.Unix(1<<32-1, 0), time.Unix(1<<32, 0)}, []uint64{at(1<<32-1, 0, 0), at(1<<32-1, 0, 1)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := NewSigner(key1, tt.kind, testWindow)
			var got []uint64
			for _, wall := range tt.walls {
				got = append(got, s.next(wall))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("sequences (-want +got):\n%s", diff)
			}
		})
	}
}

// TestCounterCarries fills the tie-breaker: the next one counts as a later fraction.
func TestCounterCarries(t *testing.T) {
	s := NewSigner(key1, ReplayTime, testWindow)
	last := s.next(goldenTime)
	for range 1 << 17 {
		seq := s.next(goldenTime)
		if seq <= last {
			t.Fatalf("%x after %x", seq, last)
		}
		last = seq
	}
}

// TestKeysAreNotPrinted prints everything that holds a key in every way.
func TestKeysAreNotPrinted(t *testing.T) {
	secret := key7.Secret
	leaks := []string{
		string(secret[:8]), hex.EncodeToString(secret[:4]), strings.ToUpper(hex.EncodeToString(secret[:4])), "97 110 32", "141 156 40", "1100001 1101110",
		"0x61, 0x6e", "U+0061", base64.StdEncoding.EncodeToString(secret)[:8],
	}
	check := func(how string, printed string) {
		t.Helper()
		for _, leak := range leaks {
			if strings.Contains(printed, leak) {
				t.Errorf("%s shows the key: %s", how, printed)
				return
			}
		}
	}
	signer := NewSigner(key7, ReplayTime, testWindow)
	signer.Append(nil, pdu(), sender, goldenTime)
	verifier := verifier(AuthEnforce)
	for name, v := range map[string]any{
		"Key": key7, "*Key": &key7, "[]Key": goldenKeys, "map of Key": map[string]Key{"k": key7}, "error": fmt.Errorf("with %v", key7),
		"*Signer": signer, "Signer": *signer, "*Verifier": verifier, "Verifier": *verifier,
	} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "% x", "%X", "%d", "%o", "%b", "%c", "%U"} {
			check(name+" by "+verb, fmt.Sprintf(verb, v))
		}
		text, err := json.Marshal(v)
		if err != nil {
			text = []byte(err.Error())
		}
		check(name+" as JSON", string(text))
	}
}

// FuzzTrailer changes a signed advertisement: only the genuine one is verified.
func FuzzTrailer(f *testing.F) {
	genuinePDU := pdu()
	genuine := NewSigner(key1, ReplayTime, testWindow).Append(nil, genuinePDU, sender, goldenTime)
	f.Add(sender.AsSlice(), genuinePDU, genuine)
	f.Add(sender.AsSlice(), genuinePDU[:12], genuine)
	f.Add(netip.MustParseAddr("::ffff:198.51.100.11").AsSlice(), genuinePDU, genuine)
	f.Fuzz(func(t *testing.T, from, b, trailer []byte) {
		src, ok := netip.AddrFromSlice(from)
		if !ok || len(b) < headerLen || len(trailer) != TrailerLen {
			return
		}
		if verifier(AuthEnforce).verify(src, b, trailer, goldenTime) != Accepted {
			return
		}
		b = bytes.Clone(b)
		copy(b[6:8], genuinePDU[6:8]) // the checksum is not covered
		if src != sender || !bytes.Equal(b, genuinePDU) || !bytes.Equal(trailer, genuine) {
			t.Errorf("verified from %v: %x %x", src, b, trailer)
		}
	})
}

func TestSignAndVerifyDoNotAllocate(t *testing.T) {
	s, v, b := NewSigner(key1, ReplayTime, testWindow), verifier(AuthEnforce), pdu()
	buf := make([]byte, 0, TrailerLen)
	if n := testing.AllocsPerRun(100, func() {
		if r := v.verify(sender, b, s.Append(buf, b, sender, goldenTime), goldenTime); r != Accepted {
			t.Error(r)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkVerify(b *testing.B) {
	v, m := verifier(AuthEnforce), pdu()
	trailer := trailerWith(key1, sequence(goldenTime), m)
	b.ReportAllocs()
	for b.Loop() {
		clear(v.marks.of) // or all but the first were replays
		v.verify(sender, m, trailer, goldenTime)
	}
}

func BenchmarkSign(b *testing.B) {
	s, m := NewSigner(key1, ReplayTime, testWindow), pdu()
	buf := make([]byte, 0, TrailerLen)
	b.ReportAllocs()
	for b.Loop() {
		s.Append(buf, m, sender, goldenTime)
	}
}

// TestVerifierRestores is a restart of the receiver: what it heard before is a replay.
func TestVerifierRestores(t *testing.T) {
	g := readGolden(t, "auth-v3-ipv4-prio150")
	pdu, trailer := g.payload[:len(g.payload)-TrailerLen], g.payload[len(g.payload)-TrailerLen:]
	before := NewVerifier(AuthEnforce, goldenKeys, ReplayMonotonic, 0)
	if r := before.verify(g.header.Src, pdu, trailer, goldenTime); r != Accepted {
		t.Fatal(r)
	}
	after := NewVerifier(AuthEnforce, goldenKeys, ReplayMonotonic, 0)
	after.Restore(nil)
	after.Restore(before.Marks())
	if r := after.verify(g.header.Src, pdu, trailer, goldenTime); r != AuthReplay {
		t.Errorf("%v, want %v", r, AuthReplay)
	}
	// What was heard since is newer than what was known before.
	seen := after.Marks()
	after.Restore(map[netip.Addr]uint64{g.header.Src: seen[g.header.Src] - 1})
	if got := after.Marks()[g.header.Src]; got != seen[g.header.Src] {
		t.Errorf("mark %d, want %d", got, seen[g.header.Src])
	}
	full := NewVerifier(AuthEnforce, goldenKeys, ReplayMonotonic, 0)
	many := make(map[netip.Addr]uint64)
	for a := netip.MustParseAddr("2001:db8::1"); len(many) < 2*maxSenders; a = a.Next() {
		many[a] = 1
	}
	full.Restore(many)
	if n := len(full.Marks()); n != maxSenders {
		t.Errorf("%d marks, want %d at most", n, maxSenders)
	}
}
