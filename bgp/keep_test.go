package bgp

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vipd/vipd/vrrp"
)

// TestKeptFits: a session goes on in the next agent only if its terms are those that are
// configured now.
func TestKeptFits(t *testing.T) {
	cfg := Config{AS: 64512, ID: hop4}
	sealed := testPeer()
	sealed.Families = []vrrp.Family{vrrp.IPv4}
	var k Kept
	k.seal(cfg, &sealed)
	for name, c := range map[string]struct {
		change func(*Config, *Peer)
		fits   bool
	}{
		"nothing":      {func(*Config, *Peer) {}, true},
		"policy":       {func(_ *Config, p *Peer) { p.Policy.MED = 7 }, true},
		"retry":        {func(_ *Config, p *Peer) { p.Retry = time.Minute }, true},
		"own AS":       {func(c *Config, _ *Peer) { c.AS = 1 }, false},
		"router id":    {func(c *Config, _ *Peer) { c.ID = routerAt }, false},
		"address":      {func(_ *Config, p *Peer) { p.Address = hop4 }, false},
		"AS":           {func(_ *Config, p *Peer) { p.AS = 1 }, false},
		"another":      {func(_ *Config, p *Peer) { p.Families = append(p.Families, vrrp.IPv6) }, false},
		"password":     {func(_ *Config, p *Peer) { p.Password = []byte("secret") }, false},
		"ttl_security": {func(_ *Config, p *Peer) { p.TTL, p.LeastTTL = 255, 255 }, false},
		"source":       {func(_ *Config, p *Peer) { p.Source = hop4 }, false},
		"longer hold":  {func(_ *Config, p *Peer) { p.Hold = time.Minute }, false},
		"keepalive":    {func(_ *Config, p *Peer) { p.Keepalive = time.Second }, false},
		"BFD":          {func(_ *Config, p *Peer) { p.BFD = time.Second }, false},
		"next hop":     {func(_ *Config, p *Peer) { p.ExtendedNextHop = true }, false},
	} {
		now, p := cfg, sealed
		c.change(&now, &p)
		if k.fits(now, &p) != c.fits {
			t.Errorf("%s: fits is %v", name, !c.fits)
		}
	}
	if (&Kept{}).fits(cfg, &sealed) {
		t.Error("terms that are not known fit")
	}
}

// TestKeptUnfit: a router is told that a session does not go on, whoever else has it open,
// before another one is tried.
func TestKeptUnfit(t *testing.T) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	file, router := os.NewFile(uintptr(fds[0]), "kept"), os.NewFile(uintptr(fds[1]), "router")
	defer router.Close()
	store, err := unix.Dup(fds[0]) // as systemd's
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(store)
	told := make(chan []byte, 1)
	dial := func(context.Context, *Peer) (net.Conn, error) {
		b, _ := io.ReadAll(router) // until its end
		told <- b
		return nil, errors.New("not here")
	}
	ctx, cancel := context.WithCancel(t.Context())
	p := testPeer()
	p.Retry = time.Hour
	s := NewSpeaker(ctx, dial, []*Kept{{File: file, Peer: p.Address}}, func(Event) {})
	defer func() { cancel(); s.Close() }()
	s.Configure(Config{AS: 64512, ID: hop4, Peers: []Peer{p}})
	select {
	case b := <-told:
		if want := (&Error{Code: codeCease, Subcode: ceaseConfigured}).marshal(); !bytes.Equal(b, want) {
			t.Errorf("the router was told %x, want %x", b, want)
		}
	case <-time.After(5 * time.Second):
		t.Error("the connection does not end")
	}
}
