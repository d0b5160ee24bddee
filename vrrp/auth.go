package vrrp

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"hash"
	"io"
	"maps"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// TrailerLen is the length of the authentication trailer in bytes
// (draft-cassen-vrrp-auth-hmac-00).
const TrailerLen = 28

const (
	trailerHMACSHA256 = 1  // trailer type
	signedTrailerLen  = 12 // type, key id, reserved and sequence are covered by the HMAC
	hmacLen           = 16 // HMAC-SHA256 is truncated to 128 bits
	pseudoHeaderLen   = 20
)

// AuthMode says what is signed and what is demanded, so that a cluster can be
// moved to authentication node by node.
type AuthMode uint8

// The modes, in the order of a rollout.
const (
	AuthReceiveOnly AuthMode = iota // verifies a trailer where there is one, sends none
	AuthPermissive                  // signs, accepts what is not signed
	AuthEnforce                     // signs, refuses what is not signed
)

// AntiReplay says how old advertisements are told from new ones.
type AntiReplay uint8

// The kinds of replay protection.
const (
	ReplayTime      AntiReplay = iota // by the clock: needs clocks that agree within the window
	ReplayMonotonic                   // by growing sequences only: a restarted receiver knows none
)

// Key is a shared secret of 32 to 64 bytes under an id of 1 to 255.
type Key struct {
	ID     uint8
	Secret []byte
}

// String names the key without its secret.
func (k Key) String() string { return "key " + strconv.Itoa(int(k.ID)) }

// Format keeps the secret out of logs and errors, whatever the verb.
func (k Key) Format(s fmt.State, _ rune) { io.WriteString(s, k.String()) }

// MarshalText keeps the secret out of JSON, and so of structured logs.
func (k Key) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// digest computes the truncated HMAC of packets under one key.
type digest struct {
	mac  hash.Hash
	in   [pseudoHeaderLen]byte
	sum  [sha256.Size]byte
	zero [hmacLen]byte
}

func newDigest(k Key) *digest { return &digest{mac: hmac.New(sha256.New, k.Secret)} }

// of returns the HMAC of a message and the signed part of its trailer. The
// destination is not covered, so that one packet serves every unicast peer. The
// result is valid until the next call.
func (d *digest) of(src netip.Addr, pdu, trailer []byte) []byte {
	d.in = [pseudoHeaderLen]byte{0: byte(FamilyOf(src)), 1: 3, 2: pdu[1]}
	if src.Is4() {
		a := src.As4()
		copy(d.in[4:], a[:])
	} else {
		a := src.As16()
		copy(d.in[4:], a[:])
	}
	d.mac.Reset()
	d.mac.Write(d.in[:])
	d.mac.Write(pdu[:6])
	d.mac.Write(d.zero[:2]) // the checksum reads as zero
	d.mac.Write(pdu[8:])
	d.mac.Write(trailer[:signedTrailerLen])
	d.mac.Write(d.zero[:])
	return d.mac.Sum(d.sum[:0])[:hmacLen]
}

// Signer appends the trailer to what this node sends. It belongs to one
// goroutine.
type Signer struct {
	keyID  uint8 // not the Key: fmt reaches into unexported fields past its methods
	window time.Duration
	replay AntiReplay
	digest *digest
	used   *Sequence
}

// Sequence is the last sequence that this node has signed with for a virtual router. It
// outlasts its Signers, and may be read beside the goroutine that signs.
type Sequence struct{ last atomic.Uint64 }

// Last returns it; 0: nothing was signed yet.
func (q *Sequence) Last() uint64 { return q.last.Load() }

// Restore has signatures go on after last. It is called before the first.
func (q *Sequence) Restore(last uint64) { q.last.Store(last) }

// SequenceAfter returns the sequence that is later by d.
func SequenceAfter(seq uint64, d time.Duration) uint64 {
	return seq + uint64(d/time.Second)<<32 + uint64(d%time.Second)<<32/uint64(time.Second)
}

// NewSigner returns a Signer that signs with key k. The window is that of the
// receivers.
func NewSigner(k Key, replay AntiReplay, window time.Duration) *Signer {
	return &Signer{keyID: k.ID, window: window, replay: replay, digest: newDigest(k), used: new(Sequence)}
}

// Continue goes on after used, and keeps it, so that a Signer with another key does not
// repeat a sequence that the receivers have seen.
func (s *Signer) Continue(used *Sequence) { s.used = used }

// Append appends the trailer of message pdu, which src sends, to b.
func (s *Signer) Append(b, pdu []byte, src netip.Addr, wall time.Time) []byte {
	start := len(b)
	b = append(b, trailerHMACSHA256, s.keyID, 0, 0)
	b = binary.BigEndian.AppendUint64(b, s.next(wall))
	return append(b, s.digest.of(src, pdu, b[start:])...)
}

// next returns the next sequence: the clock, or one more than the last where
// the clock did not move. If the clock went back further than the receivers'
// window, what follows the last one would be stale there: begin at the clock again.
func (s *Signer) next(wall time.Time) uint64 {
	seq, last := sequence(wall), s.used.Last()
	ahead := time.Duration(int64(last>>32)-int64(seq>>32)) * time.Second
	restart := s.replay == ReplayTime && ahead > s.window
	if seq <= last && !restart {
		seq = last + 1
	}
	s.used.last.Store(seq)
	return seq
}

// sequence writes a time as a sequence: 32 bits of seconds, 16 of their
// fraction, and a counter of 16 bits that is 0.
func sequence(t time.Time) uint64 {
	fraction := uint64(t.Nanosecond()) << 16 / uint64(time.Second)
	return uint64(uint32(t.Unix()))<<32 | fraction<<16
}

// Verifier checks the trailers of one virtual router. It remembers each sender's
// last sequence, and belongs to one goroutine.
type Verifier struct {
	mode    AuthMode
	replay  AntiReplay
	window  time.Duration
	digests [256]*digest
	marks   *marks
}

// marks are the last sequences of the senders. They may be read beside the goroutine
// that verifies.
type marks struct {
	mu sync.Mutex
	of map[netip.Addr]uint64
}

// maxSenders bounds the memory of a Verifier. Only holders of a key can fill it.
const maxSenders = 1024

// NewVerifier returns a Verifier that accepts every one of keys. The window is
// how far a sender's clock may be from ours.
func NewVerifier(mode AuthMode, keys []Key, replay AntiReplay, window time.Duration) *Verifier {
	v := &Verifier{mode: mode, replay: replay, window: window, marks: &marks{of: make(map[netip.Addr]uint64)}}
	for _, k := range keys {
		v.digests[k.ID] = newDigest(k)
	}
	return v
}

// Inherit takes over what older knows of the senders, so that a reload opens no
// door to replays.
func (v *Verifier) Inherit(older *Verifier) {
	if older != nil {
		v.marks = older.marks
	}
}

// Marks returns the last sequence of each sender. It may be called while others verify.
func (v *Verifier) Marks() map[netip.Addr]uint64 {
	v.marks.mu.Lock()
	defer v.marks.mu.Unlock()
	return maps.Clone(v.marks.of)
}

// Restore takes over what was known of the senders before a restart. Without it a
// Verifier accepts once what was recorded before.
func (v *Verifier) Restore(seen map[netip.Addr]uint64) {
	v.marks.mu.Lock()
	defer v.marks.mu.Unlock()
	for src, seq := range seen {
		if _, known := v.marks.of[src]; !known && len(v.marks.of) < maxSenders {
			v.marks.of[src] = seq
		}
	}
}

func (v *Verifier) verify(src netip.Addr, pdu, trailer []byte, wall time.Time) Reason {
	if len(trailer) == 0 {
		if v.mode == AuthEnforce {
			return AuthMissing
		}
		return Accepted
	}
	if trailer[0] != trailerHMACSHA256 || trailer[2] != 0 || trailer[3] != 0 {
		return AuthMalformed
	}
	seq := binary.BigEndian.Uint64(trailer[4:])
	if v.replay == ReplayTime && !v.fresh(seq, wall) {
		return AuthStale
	}
	d := v.digests[trailer[1]]
	if d == nil {
		return AuthUnknownKey
	}
	if subtle.ConstantTimeCompare(d.of(src, pdu, trailer), trailer[signedTrailerLen:]) != 1 {
		return AuthBadHMAC
	}
	return v.advance(src, seq, wall)
}

// advance moves the mark of a sender, unless it was there before.
func (v *Verifier) advance(src netip.Addr, seq uint64, wall time.Time) Reason {
	v.marks.mu.Lock()
	defer v.marks.mu.Unlock()
	mark, known := v.marks.of[src]
	if known && v.replay == ReplayTime && !v.fresh(mark, wall) {
		known = false // a mark out of the window guards nothing that staleness does not
	}
	if known && int64(seq-mark) <= 0 { // RFC 1982 arithmetic
		return AuthReplay
	}
	if !known && len(v.marks.of) >= maxSenders {
		clear(v.marks.of)
	}
	v.marks.of[src] = seq
	return Accepted
}

// fresh reports whether a sequence is within the window of the clock.
func (v *Verifier) fresh(seq uint64, wall time.Time) bool {
	age := time.Duration(int64(int32(uint32(wall.Unix())-uint32(seq>>32)))) * time.Second
	return age.Abs() <= v.window
}
