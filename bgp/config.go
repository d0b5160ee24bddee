package bgp

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/vipd/vipd/vrrp"
)

// Config is what a [Speaker] needs to know.
type Config struct {
	AS    uint32
	ID    netip.Addr // router id, IPv4
	Peers []Peer
	Drain time.Duration // how long a session that a new configuration ends announces first that it leaves
}

// Peer is a router to speak to.
type Peer struct {
	Address   netip.Addr // with a zone if it is link-local
	Port      uint16
	AS        uint32
	Source    netip.Addr // zero: that on Interface
	Interface string     // whose address to connect from; "": the kernel chooses
	Password  []byte     // TCP MD5 (RFC 2385)
	TTL       int        // of what is sent
	LeastTTL  int        // of what is accepted (RFC 5082); 0: any
	Hold      time.Duration
	Keepalive time.Duration // 0: a third of the hold time that was agreed on
	BFD       time.Duration // the interval of BFD packets, both ways (RFC 5881); 0: none
	Retry     time.Duration // from one attempt to connect to the next
	Families  []vrrp.Family
	// ExtendedNextHop offers IPv4 routes with an IPv6 next hop (RFC 8950).
	ExtendedNextHop bool

	Policy Policy
}

// sameSession reports whether a session with p may go on as one with o.
func (p *Peer) sameSession(o *Peer) bool { return p.terms() == o.terms() }

// terms are what a session with p stands on: all but the policy, and how to try again.
func (p *Peer) terms() string {
	return fmt.Sprintf("%v %d AS %d from %v, password %q, TTL %d, at least %d, hold %v, keepalive %v, BFD %v, families %v, extended %v",
		p.Address, p.Port, p.AS, p.from(), p.Password, p.TTL, p.LeastTTL, p.Hold, p.Keepalive, p.BFD, p.Families, p.ExtendedNextHop)
}

// from is where connections come from, in words.
func (p *Peer) from() string {
	if p.Interface != "" {
		return p.Interface
	}
	return p.Source.String()
}
