package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vipd/vipd/bgp"
	"github.com/vipd/vipd/config"
	"github.com/vipd/vipd/systemd"
	"github.com/vipd/vipd/vip"
	"github.com/vipd/vipd/vrrp"
)

// ground stands in for the host and the routers: it writes down what is asked of it.
type ground struct {
	route *route

	mu    sync.Mutex
	fail  error
	began time.Time
	log   []string
}

func (g *ground) note(format string, args ...any) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.log = append(g.log, fmt.Sprintf("%v ", time.Since(g.began))+fmt.Sprintf(format, args...))
}

func (g *ground) Claim() {
	g.note("claim")
	g.mu.Lock()
	defer g.mu.Unlock()
	go g.route.heldEvent(vip.Event{Op: vip.OpClaim, Err: g.fail})
}
func (g *ground) fails(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.fail = err
}
func (g *ground) Renew(any vrrp.Instant) {}
func (g *ground) Release()               { g.note("release") }

// said is what the routers are told.
type said struct{ *ground }

func (s said) Announce(r bgp.Route)  { s.note("announce %v %d", r.Standing, r.Rank) }
func (s said) Withdraw(netip.Addr)   { s.note("withdraw") }
func (s said) Renew(addr netip.Addr) {}

func (g *ground) did() string {
	synctest.Wait()
	g.mu.Lock()
	defer g.mu.Unlock()
	out := strings.Join(g.log, ", ")
	g.log, g.began = nil, time.Now()
	return out
}

// newRouteRig starts the loop of a route that has an interface.
func newRouteRig(t *testing.T, cfg config.VIP) *ground {
	t.Helper()
	g := &ground{began: time.Now()}
	c := clock{start: time.Now(), origin: vrrp.Instant(100 * renewEvery)}
	g.route = newRoute(id{cfg.Name, vrrp.IPv4}, cfg, 2*time.Second, false, c, newRecorder(slog.New(slog.DiscardHandler)), said{g})
	ctx, cancel := context.WithCancel(context.Background())
	go g.route.run(ctx)
	t.Cleanup(func() { cancel(); <-g.route.done; synctest.Wait() })
	g.route.attach("lo", g, bgp.None)
	return g
}

func routedConfig() config.VIP {
	return config.VIP{Name: "k3s", Mode: config.ModeBGP, Addresses: []netip.Addr{vip4}, Interface: "lo", Priority: 200, Spread: true, WhenDown: config.LastResort}
}

func (g *ground) expect(t *testing.T, what, want string) {
	t.Helper()
	if got := g.did(); got != want {
		t.Errorf("%s: it did %q, not %q", what, got, want)
	}
}

func (g *ground) verdict(v vrrp.Grade) { g.route.call(func() { g.route.setVerdict(v, 0, "because") }) }

func TestRoute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRouteRig(t, routedConfig())
		g.expect(t, "not ready yet", "")
		if s := g.route.snapshot(); s.state != vrrp.Backup {
			t.Errorf("state %v", s.state)
		}
		g.verdict(vrrp.Ready)
		g.expect(t, "ready", "0s claim, 0s announce ready 0")
		if s := g.route.snapshot(); s.state != vrrp.Active || s.cause != "ready" || !s.holding {
			t.Errorf("%+v", s)
		}
		g.verdict(vrrp.Degraded)
		g.expect(t, "degraded", "0s announce degraded 0")
		g.verdict(vrrp.Ready)
		g.expect(t, "ready again", "0s announce ready 0")
		g.route.demote(drained, true)
		time.Sleep(3 * time.Second)
		g.expect(t, "drained", "0s announce leaving 0, 2s withdraw, 2.5s release")
		if s := g.route.snapshot(); s.state != vrrp.Backup || s.cause != "drained by the operator" {
			t.Errorf("%+v", s)
		}
		g.route.demote(drained, false)
		g.expect(t, "resumed", "0s claim, 0s announce ready 0")
		g.route.call(func() { g.route.permit(false, true) })
		g.expect(t, "K3s is starting", "0s withdraw, 0s release")
		g.route.call(func() { g.route.permit(true, false) })
		g.expect(t, "K3s is back", "0s claim, 0s announce ready 0")
		g.route.lost()
		g.expect(t, "an address was taken off", "0s claim")
		g.route.stop()
		g.expect(t, "stopped", "0s announce leaving 0, 2s withdraw, 2.5s release")
	})
}

func TestRoutePriority(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := routedConfig()
		cfg.Spread = false
		g := newRouteRig(t, cfg)
		g.verdict(vrrp.Ready)
		g.expect(t, "ready", "0s claim, 0s announce ready 54")
		cfg.Priority = 250
		g.route.configure(cfg, time.Second)
		g.expect(t, "another priority", "0s announce ready 4")
	})
}

func TestRouteCannotClaim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRouteRig(t, routedConfig())
		g.fails(errors.New("no room"))
		g.verdict(vrrp.Ready)
		time.Sleep(2500 * time.Millisecond)
		g.expect(t, "it fails", "0s claim, 1s claim, 2s claim")
		if s := g.route.snapshot(); s.claimErr == nil || s.state != vrrp.Backup {
			t.Errorf("%+v", s)
		}
		g.fails(nil)
		time.Sleep(time.Second)
		g.expect(t, "it works", "500ms claim, 500ms announce ready 0")
	})
}

func TestSpeakerPeer(t *testing.T) {
	b := &config.BGP{LocalAS: 64512}
	for _, c := range []struct {
		peer       config.BGPPeer
		ttl, least int
	}{
		{config.BGPPeer{AS: 64600}, 1, 0},
		{config.BGPPeer{AS: 64512}, 64, 0},
		{config.BGPPeer{AS: 64600, Multihop: 3}, 3, 0},
		{config.BGPPeer{AS: 64600, TTLSecurity: 1}, 255, 255},
		{config.BGPPeer{AS: 64600, TTLSecurity: 3}, 255, 253},
	} {
		if p := speakerPeer(b, c.peer); p.TTL != c.ttl || p.LeastTTL != c.least {
			t.Errorf("%+v: TTL %d, at least %d", c.peer, p.TTL, p.LeastTTL)
		}
	}
}

// TestSpeakerIsConfiguredInTheEnd: what kept the sessions from following a reload is said,
// and tried again.
func TestSpeakerIsConfiguredInTheEnd(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "password")
	ctx, cancel := context.WithCancel(t.Context())
	a := &Agent{
		record: newRecorder(slog.New(slog.DiscardHandler)), opts: Options{Notifier: &systemd.Notifier{}},
		cfg: &config.Config{BGP: &config.BGP{LocalAS: 64512, RouterID: vip4, Peers: []config.BGPPeer{{
			Address: netip.MustParseAddr("198.51.100.2"), AS: 64600, Password: config.Key{File: secret}, ConnectRetry: time.Hour,
		}}}},
	}
	dial := func(context.Context, *bgp.Peer) (net.Conn, error) { return nil, errors.New("not here") }
	a.routing = &routing{speaker: bgp.NewSpeaker(ctx, dial, nil, func(bgp.Event) {}), configured: true}
	defer func() { cancel(); a.routing.speaker.Close() }()
	a.adjustRouting()
	if said := a.routingLags(); !strings.Contains(said, secret) {
		t.Errorf("it says %q", said)
	}
	must(t, os.WriteFile(secret, []byte("secret"), 0o600))
	a.placeRoutes()
	if said := a.routingLags(); said != "" || len(a.routing.speaker.Peers()) != 1 {
		t.Errorf("it says %q, with peers %v", said, a.routing.speaker.Peers())
	}
}

// TestForgetsAllSessions: systemd closes whatever it kept, also when the saved state does
// not know of it, for it would keep a connection open that nobody speaks on.
func TestForgetsAllSessions(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	t.Setenv("NOTIFY_SOCKET", path)
	in, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	must(t, err)
	defer in.Close()
	kept, err := os.Open(os.DevNull)
	must(t, err)
	a := &Agent{
		record: newRecorder(slog.New(slog.DiscardHandler)),
		opts:   Options{Notifier: systemd.NewNotifier(), Inherited: map[string]*os.File{"bgp-198.51.100.2": kept}},
	}
	a.forgetSessions()
	must(t, in.SetReadDeadline(time.Now().Add(time.Second)))
	b := make([]byte, 256)
	n, err := in.Read(b)
	if want := "FDSTOREREMOVE=1\nFDNAME=bgp-198.51.100.2"; err != nil || string(b[:n]) != want {
		t.Errorf("systemd was told %q, %v; not %q", b[:n], err, want)
	}
	if err := kept.Close(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("it is still open: %v", err)
	}
}

func TestSessionName(t *testing.T) {
	for _, a := range []string{"198.51.100.2", "2001:db8::2", "fe80::1%eth0"} {
		if n := sessionName(netip.MustParseAddr(a)); slices.Contains([]byte(n), ':') {
			t.Errorf("%s has a colon, which ends a name", n)
		}
	}
}
