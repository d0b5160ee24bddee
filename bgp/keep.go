package bgp

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/vipd/vipd/vrrp"
)

// Kept is a session that is up, without the process that it belongs to: a restarted agent
// goes on with it, and the router notices nothing.
type Kept struct {
	File *os.File `json:"-"` // the connection

	Terms      []byte        `json:"terms"` // a digest of what is configured
	Salt       []byte        `json:"salt"`
	Peer       netip.Addr    `json:"peer"`
	PeerID     netip.Addr    `json:"peer_router_id"`
	Hold       time.Duration `json:"hold"`
	Families   []vrrp.Family `json:"families"`
	FourOctets bool          `json:"four_octets"`
	Extended   bool          `json:"extended_next_hop"`
	Read       []byte        `json:"read,omitempty"` // of a message that has come in part
	Routes     []Announced   `json:"routes"`
	BFD        *KeptBFD      `json:"bfd,omitempty"`
}

// Announced is a route that a router knows.
type Announced struct {
	Addr netip.Addr  `json:"address"`
	Hop  vrrp.Family `json:"next_hop_family"`
}

// filer is a connection that can be handed on.
type filer interface{ File() (*os.File, error) }

// keep takes the connection from the session; nil if that cannot be done.
func (t *talk) keep() *Kept {
	c, ok := t.conn.(filer)
	if !ok || t.write(keepalive()) != nil { // the hold time begins anew
		return nil
	}
	for _, m := range t.hush() {
		if t.handle(m) != nil {
			return nil
		}
	}
	file, err := c.File()
	if err != nil {
		return nil
	}
	_ = t.conn.Close() // the file keeps the connection
	s := t.status()
	k := &Kept{
		File: file, Peer: t.p.Address, PeerID: s.RouterID, Hold: t.hold,
		Families: t.families, FourOctets: t.fourOctets, Extended: t.extended, Read: slices.Clone(t.rest),
	}
	k.seal(t.cfg, &t.p)
	if t.bfd != nil {
		k.BFD = t.bfd.keep()
		t.bfd.leave()
	}
	for addr, a := range t.sent {
		k.Routes = append(k.Routes, Announced{addr, a.hop})
	}
	return k
}

// seal notes the terms of the session. There is a password among them, which is not to be
// found in the saved state.
func (k *Kept) seal(cfg Config, p *Peer) {
	k.Salt = []byte(rand.Text())
	k.Terms = digest(k.Salt, cfg, p)
}

// fits reports whether a session with p may go on with k: its terms have to be the same,
// for what was agreed on in its OPEN, and set when it was dialed, stays.
func (k *Kept) fits(cfg Config, p *Peer) bool {
	return hmac.Equal(k.Terms, digest(k.Salt, cfg, p))
}

func digest(salt []byte, cfg Config, p *Peer) []byte {
	h := hmac.New(sha256.New, salt)
	fmt.Fprintf(h, "AS %d, router id %v: %s", cfg.AS, cfg.ID, p.terms())
	return h.Sum(nil)
}

// adopt makes k a connection of the session.
func (k *Kept) adopt(x *session) (*talk, error) {
	defer k.drop()
	conn, err := net.FileConn(k.File)
	if err != nil {
		return nil, fmt.Errorf("go on with the session: %w", err)
	}
	t := newTalk(x, x.config(), conn)
	t.hold, t.families, t.fourOctets, t.extended, t.rest = k.Hold, k.Families, k.FourOctets, k.Extended, k.Read
	t.note(func(s *Status) { s.RouterID, s.Hold, s.Local = k.PeerID, k.Hold, t.local() })
	t.listen()
	return t, nil
}

// end tells the router that the session ends, and ends it, whoever else has the connection
// open: until then the router would refuse another one.
func (k *Kept) end() {
	defer k.drop()
	c, err := net.FileConn(k.File)
	if err != nil {
		return // it is none any more
	}
	defer c.Close()
	_ = c.SetWriteDeadline(time.Now().Add(writeTime)) // without one, little is written
	_, _ = c.Write((&Error{Code: codeCease, Subcode: ceaseConfigured}).marshal())
	if c, ok := c.(interface{ CloseWrite() error }); ok {
		_ = c.CloseWrite()
	}
}

// drop closes the file. The connection ends with it, unless it was adopted.
func (k *Kept) drop() {
	if k.File != nil {
		k.File.Close()
	}
}
