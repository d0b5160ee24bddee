package agent

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vipd/vipd/vip"
	"github.com/vipd/vipd/vrrp"
)

// thief is a claim of the address by a stranger.
var thief = vip.Heard{Addr: vip4, MAC: net.HardwareAddr{2, 0, 0, 0, 0, 0x66}, Gratuitous: true}

// One claim by a stranger is enough: it is told with its MAC, and once. A router of the
// same VIP that claims it is no stranger.
func TestRouterTheft(t *testing.T) {
	virtual := vrrp.VirtualMAC(vrrp.IPv4, 51)
	tests := map[string]struct {
		virtualMAC bool
		early      bool // not a while after the takeover
		play       func(*rig)
		want       bool
	}{
		"once":                  {play: func(g *rig) { g.othersClaim(thief) }, want: true},
		"again and again":       {play: steal, want: true},
		"beside a virtual MAC":  {virtualMAC: true, play: func(g *rig) { g.othersClaim(thief) }, want: true},
		"a peer's virtual MAC":  {virtualMAC: true, play: func(g *rig) { g.othersClaim(vip.Heard{Addr: vip4, MAC: virtual[:]}) }},
		"the predecessor":       {early: true, play: func(g *rig) { g.othersClaim(thief) }},
		"the loser of a split":  {play: func(g *rig) { g.othersClaim(thief); g.pass(interval); g.hear(peer, 100) }},
		"heard before, no more": {play: func(g *rig) { g.hear(peer, 100); g.pass(time.Minute); g.othersClaim(thief) }, want: true},
		"who answers":           {play: func(g *rig) { g.answered(vip4, thief.MAC) }, want: true},
		"a loser that answers":  {play: func(g *rig) { g.answered(vip4, thief.MAC); g.pass(interval); g.hear(peer, 100) }},
		"the successor": {play: func(g *rig) {
			g.othersClaim(thief)
			g.pass(interval)
			g.hear(peer, 250)
			g.pass(5 * interval) // it is gone again
		}},
		"behind forged advertisements": {play: func(g *rig) {
			for who := range 100 {
				d := g.datagram(stranger(who), 255)
				d.TTL = 1
				g.handle(d)
			}
			g.othersClaim(thief)
		}, want: true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := vipConfig()
				cfg.VirtualMAC = tt.virtualMAC
				g := newRig(t, cfg, nil)
				g.active()
				if !tt.early {
					g.pass(time.Second)
				}
				tt.play(g)
				g.pass(time.Second)
				told := slices.DeleteFunc(g.logged(), func(s string) bool { return s != "address conflict" })
				if got := len(told); got > 1 || got == 1 != tt.want {
					t.Errorf("told %d times, want it to be told: %v", got, tt.want)
				}
				status := strings.Join(g.claims.current(time.Now()), "; ")
				if got := strings.Contains(status, "02:00:00:00:00:66"); got != tt.want {
					t.Errorf("the status says %q", status)
				}
			})
		})
	}
}

func steal(g *rig) {
	for range 50 {
		g.othersClaim(thief)
		g.pass(100 * time.Millisecond)
	}
}

// A second thief is told of too, with its own MAC.
func TestRouterTwoThieves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, vipConfig(), nil)
		g.active()
		g.pass(time.Second)
		for _, last := range []byte{0x66, 0x67} {
			g.othersClaim(vip.Heard{Addr: vip4, MAC: net.HardwareAddr{2, 0, 0, 0, 0, last}})
			g.pass(time.Second)
		}
		if got := g.claims.current(time.Now()); len(got) != 2 {
			t.Errorf("the status says %q", got)
		}
	})
}

// Of several addresses each is asked for: that nobody has the first does not use up the
// time for the others.
func TestConflictOfTheSecondAddress(t *testing.T) {
	lo, err := net.InterfaceByName("lo")
	must(t, err)
	synctest.Test(t, func(t *testing.T) {
		cfg := vipConfig()
		second := netip.MustParseAddr("198.51.100.101")
		cfg.Addresses = append(cfg.Addresses, second)
		g := newRig(t, cfg, nil)
		g.active()
		g.pass(time.Second)
		s := newSegment("lo", vrrp.IPv4, g.clock, g.record)
		ask := func(ctx context.Context, _ *net.Interface, a netip.Addr) (net.HardwareAddr, bool, error) {
			var answer <-chan time.Time
			if a == second {
				answer = time.After(time.Millisecond)
			}
			select {
			case <-answer:
				return thief.MAC, true, nil
			case <-ctx.Done():
				return nil, false, nil
			}
		}
		if !s.conflicts(t.Context(), g.router, lo.Index, cfg.Addresses, ask) {
			t.Error("the conflict was not found")
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if s.conflicts(ctx, g.router, lo.Index, cfg.Addresses, ask) {
			t.Error("it goes on asking after the router's end")
		}
	})
}
