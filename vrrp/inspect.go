package vrrp

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"
)

// Reason says why a packet was refused; [Accepted] says that it was not. Each
// reason has a counter; the names are those of the counters in RFC 6527.
type Reason uint8

// The reasons, in the order of the checks.
const (
	Accepted        Reason = iota
	BadTTL                 // TTL or hop limit is not 255 (multicast)
	OwnSource              // the source is an address of this node
	BadDestination         // not sent to the group, or to us by one of the unicast peers
	BadLength              // shorter or longer than its own fields say
	BadVersion             // not version 3
	BadVRID                // another virtual router
	BadType                // not an advertisement
	BadAddressCount        // no address at all (erratum 8299)
	BadChecksum            // matches neither kind of checksum
	BadInterval            // interval zero (erratum 8301)
	BadFirstAddress        // first IPv6 address not link-local (erratum 8300), in strict mode
	AuthMissing            // no trailer, in mode enforce
	AuthUnexpected         // a trailer, but no authentication is configured
	AuthMalformed          // unknown trailer type, or reserved bytes set
	AuthStale              // the sender's clock is outside of the window
	AuthUnknownKey         // signed with a key that is not configured
	AuthBadHMAC            // wrong HMAC
	AuthReplay             // not newer than what this sender sent before
	reasons
)

var reasonNames = [reasons]string{
	"accepted", "ip-ttl-errors", "own-source", "destination-errors", "packet-length-errors", "version-errors",
	"vrid-errors", "invalid-type-pkts-rcvd", "address-list-errors", "checksum-errors", "interval-errors",
	"first-address-errors", "auth-missing", "auth-unexpected", "auth-malformed", "auth-stale",
	"auth-unknown-key", "auth-bad-hmac", "auth-replay",
}

func (r Reason) String() string {
	if r < reasons {
		return reasonNames[r]
	}
	return "unknown"
}

// Reasons returns every reason to refuse a packet.
func Reasons() []Reason {
	var all []Reason
	for r := BadTTL; r < reasons; r++ {
		all = append(all, r)
	}
	return all
}

// Notice is a set of things worth telling the operator about a packet that is
// accepted all the same.
type Notice uint8

// The notices.
const (
	NoticeInterval     Notice = 1 << iota // the sender's interval is not ours
	NoticeAddresses                       // the sender's set of addresses is not ours
	NoticeFirstAddress                    // the first IPv6 address is not link-local (erratum 8300)
	NoticeRFCChecksum                     // the sender leaves the pseudo-header out of the checksum
	NoticeUnsigned                        // no trailer, accepted because of the mode
)

// Counters counts what was received. It may be read while it is written.
type Counters struct {
	byReason     [reasons]atomic.Uint64
	priorityZero atomic.Uint64
	rfcChecksum  atomic.Uint64
	pseudoHeader atomic.Uint64
	unsigned     atomic.Uint64
}

// Of returns how many packets came to the given end.
func (c *Counters) Of(r Reason) uint64 { return c.byReason[r].Load() }

// PriorityZero returns how many accepted packets said that their sender leaves.
func (c *Counters) PriorityZero() uint64 { return c.priorityZero.Load() }

// Checksums returns how many packets carried each kind of checksum.
func (c *Counters) Checksums() (pseudoHeader, rfc9568 uint64) {
	return c.pseudoHeader.Load(), c.rfcChecksum.Load()
}

// Unsigned returns how many packets were accepted without a trailer although
// authentication is configured: zero means that it may be enforced.
func (c *Counters) Unsigned() uint64 { return c.unsigned.Load() }

// Header is what the network layer says of a received packet.
type Header struct {
	Src, Dst netip.Addr
	TTL      int // TTL or hop limit
}

// Advert is an accepted advertisement, reduced to what the state machine needs.
type Advert struct {
	Src      netip.Addr
	Priority uint8
	Interval time.Duration
	At       Instant // when it arrived
}

// below reports whether a router of this priority and address would beat the sender: the
// higher address wins between equals (RFC 9568, section 6.4.3).
func (a Advert) below(priority uint8, addr netip.Addr) bool {
	return a.Priority < priority || a.Priority == priority && a.Src.Compare(addr) < 0
}

// Inspector decides which received packets are advertisements for one virtual
// router. Its fields are set before its first use and not changed afterwards.
type Inspector struct {
	Family   Family
	VRID     uint8
	Interval time.Duration // ours, for comparison
	Addrs    []netip.Addr  // ours, for comparison
	Own      []netip.Addr  // this node's addresses: none of them is a peer
	Peers    []netip.Addr  // unicast peers; none: multicast
	Strict   bool          // insist that the first IPv6 address is link-local
	Verifier *Verifier     // nil: no authentication
	Counters *Counters

	packet Packet // memory used again
}

// Inspect checks payload b that arrived under header h. The wall clock is needed
// for authentication only. The order of the checks decides which counter grows;
// see RFC 9568, section 7.1.
func (in *Inspector) Inspect(h Header, b []byte, at Instant, wall time.Time) (Advert, Reason, Notice) {
	reason, notice := in.inspect(h, b, wall)
	in.Counters.byReason[reason].Add(1)
	if reason != Accepted {
		return Advert{}, reason, notice
	}
	p := &in.packet
	if p.Priority == PriorityLeave {
		in.Counters.priorityZero.Add(1)
	}
	return Advert{Src: h.Src, Priority: p.Priority, Interval: p.Interval, At: at}, Accepted, notice
}

// Packet returns the packet that was inspected last. Its fields are set as far
// as the checks came; it is overwritten by the next.
func (in *Inspector) Packet() *Packet { return &in.packet }

func (in *Inspector) inspect(h Header, b []byte, wall time.Time) (Reason, Notice) {
	if r := in.inspectHeader(h); r != Accepted {
		return r, 0
	}
	if len(b) >= headerLen && b[0]>>4 == 3 && b[1] != in.VRID {
		return BadVRID, 0
	}
	n, r := in.packet.Parse(in.Family, b)
	if r != Accepted {
		return r, 0
	}
	trailer := b[n:]
	if len(trailer) != 0 && len(trailer) != TrailerLen {
		return BadLength, 0
	}
	notice, ok := in.inspectChecksum(b[:n], h)
	if !ok {
		return BadChecksum, 0
	}
	if in.packet.Interval == 0 {
		return BadInterval, 0
	}
	r, signed := in.authenticate(h.Src, b[:n], trailer, wall)
	if r != Accepted {
		return r, 0
	}
	if !signed && in.Verifier != nil {
		in.Counters.unsigned.Add(1)
		notice |= NoticeUnsigned
	}
	return in.compare(notice)
}

func (in *Inspector) inspectHeader(h Header) Reason {
	if len(in.Peers) == 0 && h.TTL != TTL {
		return BadTTL
	}
	if slices.Contains(in.Own, h.Src) {
		return OwnSource
	}
	if len(in.Peers) == 0 {
		if h.Dst != in.Family.Group() {
			return BadDestination
		}
		return Accepted
	}
	if h.Dst.IsMulticast() || !slices.Contains(in.Peers, h.Src) {
		return BadDestination
	}
	return Accepted
}

func (in *Inspector) inspectChecksum(b []byte, h Header) (Notice, bool) {
	if in.Family == IPv6 {
		return 0, true // the kernel has checked it
	}
	switch binary.BigEndian.Uint16(b[6:]) {
	case ipv4Checksum(b, h.Src, h.Dst, ChecksumPseudoHeader):
		in.Counters.pseudoHeader.Add(1)
		return 0, true
	case ipv4Checksum(b, h.Src, h.Dst, ChecksumRFC9568):
		in.Counters.rfcChecksum.Add(1)
		return NoticeRFCChecksum, true
	}
	return 0, false
}

// authenticate returns whether the packet was signed, beside the reason.
func (in *Inspector) authenticate(src netip.Addr, pdu, trailer []byte, wall time.Time) (Reason, bool) {
	if in.Verifier == nil {
		if len(trailer) != 0 {
			return AuthUnexpected, true
		}
		return Accepted, false
	}
	return in.Verifier.verify(src, pdu, trailer, wall), len(trailer) != 0
}

// compare holds the packet against our own configuration.
func (in *Inspector) compare(notice Notice) (Reason, Notice) {
	p := &in.packet
	if in.Family == IPv6 && !p.Addrs[0].IsLinkLocalUnicast() {
		if in.Strict {
			return BadFirstAddress, notice
		}
		notice |= NoticeFirstAddress
	}
	if p.Interval != in.Interval {
		notice |= NoticeInterval
	}
	if !sameSet(p.Addrs, in.Addrs) {
		notice |= NoticeAddresses
	}
	return Accepted, notice
}

// sameSet reports whether a and b hold the same addresses in any order. They
// nearly always hold them in the same order.
func sameSet(a, b []netip.Addr) bool {
	if len(a) != len(b) {
		return false
	}
	for i, x := range a {
		if x != b[i] && (!slices.Contains(b, x) || !slices.Contains(a, b[i])) {
			return false
		}
	}
	return true
}
