package agent

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/vipd/vipd/config"
	"github.com/vipd/vipd/vip"
	"github.com/vipd/vipd/vrrp"
	"github.com/vipd/vipd/vrrp/transport"
)

var equateAddrs = cmpopts.EquateComparable(netip.Addr{})

// A takeover advertises, then claims, then announces; renewals come each 500 ms as
// long as the addresses are held, and not once more.
func TestRouterLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, vipConfig(), nil)
		g.connect()
		g.ready()
		g.pass(3*interval + 60*time.Millisecond) // Skew_Time is 56 * 250 ms / 256 = 54.7 ms
		want := []string{"804.6875ms send 200 to 224.0.0.18", "804.6875ms claim", "804.6875ms announce"}
		if diff := cmp.Diff(want, g.net.took()); diff != "" {
			t.Fatalf("takeover (-want +got):\n%s", diff)
		}

		g.pass(2 * time.Second)
		tokens := g.net.renewals()
		for i, token := range tokens[1:] {
			if d := token.Sub(tokens[i]); d != renewEvery {
				t.Errorf("renewal %d came %v after the one before", i+1, d)
			}
		}
		if n := len(tokens); n < 3 || n > 4 {
			t.Errorf("%d renewals in 2 s, want one each %v", n, renewEvery)
		}

		g.net.took()
		g.post(vrrp.Shutdown())
		synctest.Wait()
		g.hear(peer, 150)
		g.pass(3 * time.Second)
		got := g.net.took()
		if !strings.HasSuffix(got[0], "send 0 to 224.0.0.18") || !strings.HasSuffix(got[len(got)-1], "release") {
			t.Errorf("shutdown: %q", got)
		}
		if n := len(g.net.renewals()); n != 0 {
			t.Errorf("%d renewals after the release", n)
		}
		select {
		case <-g.done:
		default:
			t.Error("the loop did not end")
		}
	})
}

// A host that stood still reads what was queued before its expired timer decides,
// however much there is, wherever it waits, and in the order in which it came.
func TestC31QueuedAdvertBeforeTimer(t *testing.T) {
	const stall = 20 * time.Second
	places := map[string]func(*rig, []vrrp.Advert){
		"in the socket": func(g *rig, all []vrrp.Advert) { g.net.waiting = all },
		"in the channel": func(g *rig, all []vrrp.Advert) {
			for _, a := range all {
				g.receive(a)
			}
		},
		"in both": func(g *rig, all []vrrp.Advert) {
			g.receive(all[0])
			g.net.waiting = all[1:]
		},
	}
	for name, put := range places {
		for _, every := range []time.Duration{stall - 10*time.Millisecond, 700 * time.Millisecond, 100 * time.Millisecond} {
			t.Run(fmt.Sprintf("C31 %s, each %v", name, every), func(t *testing.T) {
				for range 10 { // the loop's select is random
					synctest.Test(t, func(t *testing.T) { stalledBackup(t, stall, every, put) })
				}
			})
		}
	}
}

func stalledBackup(t *testing.T, stall, every time.Duration, put func(*rig, []vrrp.Advert)) {
	g := newRig(t, vipConfig(), nil)
	g.backup()
	gate := make(chan struct{})
	g.call(func() { <-gate })
	synctest.Wait()
	began := g.clock.now()
	var all []vrrp.Advert
	for d := every; d < stall; d += every {
		all = append(all, vrrp.Advert{Src: peer, Priority: 250, At: began.Add(d)})
	}
	time.Sleep(stall)
	put(g, all)
	close(gate)
	g.pass(time.Millisecond)
	if v := g.snapshot(); v.state != vrrp.Backup {
		t.Errorf("%v (%s): took over from a peer that was heard %v ago", v.state, v.cause, stall-every*time.Duration(len(all)))
	}
}

// One that arrived just before the timer is read although the socket was found empty a
// moment before that: in a flood nobody reads it sooner.
func TestC31AdvertJustBeforeTimer(t *testing.T) {
	for range 10 {
		synctest.Test(t, func(t *testing.T) {
			g := newRig(t, vipConfig(), nil)
			g.backup()
			deadline := make(chan vrrp.Instant, 1)
			g.call(func() { deadline <- g.machine.Deadline() })
			left := (<-deadline).Sub(g.clock.now())
			g.pass(left - 500*time.Microsecond)
			g.net.wasEmpty(g.clock.now())
			g.pass(400 * time.Microsecond)
			g.net.queue(vrrp.Advert{Src: peer, Priority: 250, At: g.clock.now()})
			g.pass(time.Millisecond)
			if v := g.snapshot(); v.state != vrrp.Backup {
				t.Errorf("%v (%s): took over from a peer that is there", v.state, v.cause)
			}
		})
	}
}

// Two advertisements that wait together are stepped in the order of their arrival:
// a departure that follows an advertisement must not be undone by it.
func TestRouterKeepsOrder(t *testing.T) {
	for range 10 {
		synctest.Test(t, func(t *testing.T) {
			g := newRig(t, vipConfig(), nil)
			g.backup()
			g.pass(100 * time.Millisecond)
			gate := make(chan struct{})
			g.call(func() { <-gate })
			synctest.Wait()
			g.handle(g.datagram(peer, 250))
			g.handle(g.datagram(peer, vrrp.PriorityLeave))
			close(gate)
			g.pass(60 * time.Millisecond) // Skew_Time
			if v := g.snapshot(); v.state != vrrp.Active {
				t.Errorf("%v, want Active: the peer has left", v.state)
			}
		})
	}
}

// A stalled Active that finds a successor's advertisement becomes Backup instead
// of fighting it.
func TestC31StalledActiveYields(t *testing.T) {
	for range 10 {
		synctest.Test(t, func(t *testing.T) {
			g := newRig(t, vipConfig(), nil)
			g.active()
			gate := make(chan struct{})
			g.call(func() { <-gate })
			synctest.Wait()
			time.Sleep(5 * time.Second)
			g.net.waiting = []vrrp.Advert{{Src: peer, Priority: 150, At: g.clock.now().Add(-50 * time.Millisecond)}}
			close(gate)
			g.pass(time.Millisecond)
			if v := g.snapshot(); v.state != vrrp.Backup {
				t.Errorf("%v, want Backup", v.state)
			}
			// Priority 0 tells the winner to announce again; anything else would fight it.
			fights := func(s string) bool { return strings.Contains(s, "send") && !strings.Contains(s, "send 0 ") }
			if got := g.net.took(); slices.ContainsFunc(got, fights) {
				t.Errorf("advertised after the stall: %q", got)
			}
		})
	}
}

// An Active that cannot send keeps the addresses, says so after three intervals,
// and yields to anybody.
func TestC58Mute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, vipConfig(), nil)
		g.active()
		g.logged()
		g.net.fail(errSend)
		g.pass(5 * interval)
		v := g.snapshot()
		if !v.mute || !v.holding || v.state != vrrp.Active {
			t.Errorf("mute %v, holding %v, %v; want a mute Active that holds", v.mute, v.holding, v.state)
		}
		want := []string{"an advertisement did not go out",
			"advertisements do not go out: other nodes will take the VIP; check the firewall (protocol 112 out) and the interface"}
		if diff := cmp.Diff(want, g.logged()); diff != "" {
			t.Errorf("log (-want +got):\n%s", diff)
		}
		if p := (&Agent{clock: g.clock}).problems(&placed{router: g.router}, v); len(p) != 1 || !strings.Contains(p[0], "do not go out") {
			t.Errorf("problems: %q", p)
		}
		g.net.fail(nil)
		g.pass(interval)
		if g.snapshot().mute {
			t.Error("mute although advertisements go out again")
		}
		g.net.fail(errSend)
		g.pass(5 * interval)
		g.logged()
		g.hear(peer, 100)
		if diff := cmp.Diff([]string{"now Backup"}, g.logged()); diff != "" {
			t.Errorf("log of one that yields because it is mute (-want +got):\n%s", diff)
		}
		if v := g.snapshot(); v.state != vrrp.Backup {
			t.Errorf("%v, want Backup: it could not send, and the peer can", v.state)
		}
	})
}

// A node that cannot put the addresses on its interface ranks as down and tries
// again each second.
func TestRouterClaimFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, vipConfig(), nil)
		g.active()
		no := errors.New("no")
		g.heldEvent(vip.Event{Op: vip.OpClaim, Err: no})
		g.pass(0)
		if v := g.snapshot(); v.grade != vrrp.Down || v.priority != 1 || !v.holding || v.claimErr != no {
			t.Errorf("after the failure: %v, priority %d, holding %v, %v", v.grade, v.priority, v.holding, v.claimErr)
		}
		if got, want := g.net.took(), []string{"0s send 1 to 224.0.0.18"}; !cmp.Equal(want, got) {
			t.Errorf("did %q, want %q", got, want)
		}
		g.pass(claimRetry)
		got := slices.DeleteFunc(g.net.took(), func(s string) bool { return strings.Contains(s, "send") || strings.HasPrefix(s, "145") })
		if len(got) < 2 || got[len(got)-2] != "1s claim" || got[len(got)-1] != "1s announce" {
			t.Errorf("a second later: %q, want another claim and announcement", got)
		}
		g.heldEvent(vip.Event{Op: vip.OpClaim})
		g.pass(0)
		if v := g.snapshot(); v.grade != vrrp.Ready || v.priority != 200 || v.claimErr != nil {
			t.Errorf("after it went well: %v, priority %d, %v", v.grade, v.priority, v.claimErr)
		}
	})
}

// The end of a claim that comes after the release is no news: nothing would ever
// take the demotion back.
func TestRouterClaimFailsLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, vipConfig(), nil)
		g.active()
		g.hear(peer, 250)
		g.pass(200 * time.Millisecond)
		if g.snapshot().holding {
			t.Fatal("still holds after the linger")
		}
		g.heldEvent(vip.Event{Op: vip.OpClaim, Err: errors.New("the operation waited too long")})
		g.pass(10 * time.Second)
		if v := g.snapshot(); v.grade != vrrp.Ready || v.claimErr != nil {
			t.Errorf("a Backup ranks as %v for good: %v", v.grade, v.claimErr)
		}
	})
}

// An interface that goes may do so between a claim and its end. That says nothing
// about the one that comes in its place.
func TestRouterClaimFailsAsTheInterfaceGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, vipConfig(), nil)
		g.active()
		g.heldEvent(vip.Event{Op: vip.OpClaim, Err: vip.ErrNoOwnAddress})
		g.detach()
		g.pass(time.Second)
		g.connect()
		if v := g.snapshot(); v.grade != vrrp.Ready || v.claimErr != nil {
			t.Errorf("with another interface: %v, %v", v.grade, v.claimErr)
		}
		g.pass(4 * interval)
		if s := g.snapshot().state; s != vrrp.Active {
			t.Errorf("%v after 4 intervals of silence", s)
		}
	})
}

func TestC34ExternalDelete(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, vipConfig(), nil)
		g.active()
		g.pass(2 * time.Second)
		g.net.took()
		g.heldEvent(vip.Event{Op: vip.OpRenew, Err: vip.ErrGone})
		g.pass(0)
		got := g.net.took()
		if len(got) < 2 || !strings.HasSuffix(got[len(got)-2], "claim") || !strings.HasSuffix(got[len(got)-1], "announce") {
			t.Errorf("did %q, want a claim and an announcement", got)
		}
	})
}

func TestRouterUnicast(t *testing.T) {
	cfg := vipConfig()
	cfg.Peers = []netip.Addr{own, peer, netip.MustParseAddr("2001:db8::2"), other}
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, cfg, nil)
		g.connect()
		g.ready()
		g.pass(4*interval - time.Millisecond)
		var to []netip.Addr
		for _, p := range g.net.packets() {
			to = append(to, p.dst)
		}
		if diff := cmp.Diff([]netip.Addr{peer, other}, to, equateAddrs); diff != "" {
			t.Errorf("sent to (-want +got):\n%s", diff)
		}
	})
}

// A node that is the only one in peers so far has nobody to tell, which is no failure.
func TestRouterUnicastAlone(t *testing.T) {
	cfg := vipConfig()
	cfg.Peers = []netip.Addr{own}
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, cfg, nil)
		g.active()
		g.pass(10 * interval)
		if g.snapshot().mute {
			t.Errorf("mute, although there was nobody to send to: %q", g.logged())
		}
	})
}

func TestRouterSigns(t *testing.T) {
	key := vrrp.Key{ID: 2, Secret: []byte(strings.Repeat("s", 32))}
	for _, mode := range []config.AuthMode{config.ReceiveOnly, config.Permissive, config.Enforce} {
		t.Run(string(mode), func(t *testing.T) {
			a := &auth{cfg: &config.Auth{Mode: mode, ActiveKey: 2, AntiReplay: config.ByTime}, keys: []vrrp.Key{key}}
			want := vrrp.Accepted
			if mode == config.ReceiveOnly {
				want = vrrp.AuthMissing
			}
			synctest.Test(t, func(t *testing.T) {
				g := newRig(t, vipConfig(), a)
				g.connect()
				g.ready()
				g.pass(5 * interval)
				var counters vrrp.Counters
				in := vrrp.Inspector{
					Family: vrrp.IPv4, VRID: 51, Interval: interval, Addrs: []netip.Addr{vip4}, Counters: &counters,
					Verifier: vrrp.NewVerifier(vrrp.AuthEnforce, a.keys, vrrp.ReplayTime, 5*time.Second),
				}
				sent := g.net.packets()
				if len(sent) == 0 {
					t.Fatal("nothing was sent")
				}
				for _, p := range sent {
					_, got, _ := in.Inspect(vrrp.Header{Src: own, Dst: p.dst, TTL: vrrp.TTL}, p.payload, 0, time.Now())
					if got != want {
						t.Errorf("%v, want %v", got, want)
					}
				}
			})
		})
	}
}

func TestRouterCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, vipConfig(), nil)
		g.active()
		g.hear(peer, 100)
		g.hear(peer, vrrp.PriorityLeave)
		before := g.count()
		g.post(vrrp.Shutdown())
		synctest.Wait()
		after := g.count()
		if n := after["priority-zero-pkts-sent"]; n != 1 {
			t.Errorf("%d packets of priority 0 sent, want 1", n)
		}
		if after["advertisement-sent"] != before["advertisement-sent"]+1 {
			t.Errorf("%d sent after %d, want one more", after["advertisement-sent"], before["advertisement-sent"])
		}
		if n := after["priority-zero-pkts-rcvd"]; n != 1 {
			t.Errorf("%d packets of priority 0 received, want 1", n)
		}
		if n := after["advertisement-rcvd"]; n != 2 {
			t.Errorf("%d received, want 2", n)
		}
		for _, r := range vrrp.Reasons() {
			if n, there := after[r.String()]; !there || n != 0 {
				t.Errorf("%s: %d, %v", r, n, there)
			}
		}
	})
}

func TestC24ShutdownFromEachState(t *testing.T) {
	states := map[string]func(*rig){
		"without a network": func(*rig) {},
		"Backup":            func(g *rig) { g.connect() },
		"Active":            func(g *rig) { g.active() },
		"detached":          func(g *rig) { g.active(); g.detach() },
	}
	for name, reach := range states {
		t.Run("C24 "+name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newRig(t, vipConfig(), nil)
				reach(g)
				g.post(vrrp.Shutdown())
				g.pass(4*interval + 200*time.Millisecond)
				select {
				case <-g.done:
				default:
					t.Fatal("the loop did not end")
				}
				// Nobody waits for a loop that has ended.
				g.wait(func() { t.Error("ran after the end") })
				g.detach()
				g.verdict(vrrp.Ready, 0, "")
			})
		})
	}
}

// Without the network nothing is asked of it.
func TestRouterDetached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, vipConfig(), nil)
		g.active()
		g.detach()
		if got, want := g.net.took(), []string{"0s release"}; !cmp.Equal(want, got) {
			t.Errorf("did %q, want %q", got, want)
		}
		g.hear(peer, 100)
		g.heldEvent(vip.Event{Op: vip.OpRenew, Err: vip.ErrGone})
		g.verdict(vrrp.Down, 0, "gone")
		g.othersClaim(thief)
		g.pass(10 * time.Second)
		if got := g.net.took(); len(got) != 0 {
			t.Errorf("did %q without a network", got)
		}
		if v := g.snapshot(); v.state != vrrp.Initialize || v.src.IsValid() {
			t.Errorf("%v from %v", v.state, v.src)
		}
	})
}

func TestRouterDemotions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, vipConfig(), nil)
		g.connect()
		g.ready()
		for _, step := range []struct {
			why  demotion
			on   bool
			want vrrp.Grade
		}{
			{drained, true, vrrp.Down}, {stopping, true, vrrp.Down}, {drained, false, vrrp.Down},
			{stopping, false, vrrp.Ready}, {stopping, false, vrrp.Ready}, {drained, true, vrrp.Down},
		} {
			g.demote(step.why, step.on)
			synctest.Wait()
			if got := g.snapshot().grade; got != step.want {
				t.Errorf("after %d %v: %v, want %v", step.why, step.on, got, step.want)
			}
		}
	})
}

// Another station's claim ends the linger of a router that left. An Active one
// announces again and has somebody look who it is, once in a while.
func TestRouterOthersClaim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, vipConfig(), nil)
		g.active()
		g.pass(checkGap)
		checks := g.checks
		g.net.took()
		for range 3 {
			g.othersClaim(thief)
		}
		g.pass(announceAfter)
		if n := g.checks - checks; n != 1 {
			t.Errorf("looked %d times, want once", n)
		}
		if got := g.net.took(); !slices.ContainsFunc(got, func(s string) bool { return strings.HasSuffix(s, "announce") }) {
			t.Errorf("did %q, want an announcement", got)
		}
		g.hear(peer, 250)
		g.net.took()
		g.othersClaim(thief)
		synctest.Wait()
		if got := g.net.took(); len(got) != 1 || !strings.HasSuffix(got[0], "release") {
			t.Errorf("did %q, want the release", got)
		}
	})
}

// One that yields keeps the address for a while, but does not announce it any more:
// two that rise at once would each call the clients, and the last word would count.
func TestYieldingHushes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, vipConfig(), nil)
		g.active()
		before := g.net.hushed
		g.hear(peer, 250)
		if v := g.snapshot(); v.state != vrrp.Backup || !v.holding {
			t.Fatalf("%v, holding %v; want a Backup that lingers", v.state, v.holding)
		}
		if n := g.net.hushed - before; n != 1 {
			t.Errorf("hushed %d times, want once", n)
		}
	})
}

// The successor's advertisement may still be in the socket when its announcement
// is heard: it is no thief.
func TestC64SuccessorHeardFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, vipConfig(), nil)
		g.active()
		g.pass(time.Second)
		g.net.took()
		g.net.wasEmpty(g.clock.now())
		g.pass(100 * time.Microsecond)
		g.net.queue(vrrp.Advert{Src: peer, Priority: 250, At: g.clock.now()})
		g.othersClaim(thief)
		synctest.Wait()
		if v := g.snapshot(); v.state != vrrp.Backup || v.holding {
			t.Errorf("%v, holding %v; want a Backup that holds nothing", v.state, v.holding)
		}
		if got := g.net.took(); slices.ContainsFunc(got, func(s string) bool { return strings.HasSuffix(s, "announce") }) {
			t.Errorf("did %q: announced against its successor", got)
		}
	})
}

// announceAfter is past the longest that a contested router waits to announce.
const announceAfter = 2 * time.Second

func TestRouterRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, vipConfig(), nil)
		g.connect()
		g.logged()
		routed := g.datagram(peer, 250)
		routed.TTL = 254
		strange := g.datagram(other, 250)
		strange.Payload = vrrpV2
		for range 100 {
			g.handle(routed)
			g.handle(strange)
			g.handle(&transport.Datagram{Src: own, Dst: group4, TTL: 255})
		}
		want := []string{
			"198.51.100.2 sends advertisements with a TTL that is not 255: they are forged or were routed: find the sender by its MAC; servers on different networks need unicast peers",
			"198.51.100.3 speaks VRRP version 2 for VRID 51: set it to version 3 (keepalived: vrrp_version 3)",
		}
		if diff := cmp.Diff(want, g.logged()); diff != "" {
			t.Errorf("log (-want +got):\n%s", diff)
		}
		c := g.count()
		if c["ip-ttl-errors"] != 100 || c["version-errors"] != 100 || c["own-source"] != 100 || c["advertisement-rcvd"] != 0 {
			t.Errorf("counters: %v", c)
		}
		got := g.told.current(time.Now())
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("status (-want +got):\n%s", diff)
		}
		if len(g.peers.latest()) != 0 {
			t.Error("a sender that was refused counts as a peer")
		}
	})
}

// vrrpV2 is the beginning of an advertisement of version 2.
var vrrpV2 = []byte{0x21, 51, 100, 1, 0, 1, 0, 0, 198, 51, 100, 100}

func TestRouterNotices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, vipConfig(), nil)
		g.connect()
		g.logged()
		d := g.datagram(peer, 250)
		p := vrrp.Packet{VRID: 51, Priority: 250, Interval: time.Second, Addrs: []netip.Addr{other}}
		d.Payload = p.Append(nil, peer, group4, vrrp.ChecksumPseudoHeader)
		g.handle(d)
		g.handle(d)
		want := []string{
			"198.51.100.2 advertises each 1s, this node each 250ms: use one vipd.toml on all servers",
			"198.51.100.2 uses VRID 51 for other addresses (198.51.100.3): if it is a stranger choose another vrid, else use one vipd.toml on all servers",
		}
		if diff := cmp.Diff(want, g.logged()); diff != "" {
			t.Errorf("C49 C50 log (-want +got):\n%s", diff)
		}
	})
}

func TestWireOrder(t *testing.T) {
	a, b := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2")
	ll, ll2 := netip.MustParseAddr("fe80::1"), netip.MustParseAddr("fe80::2")
	tests := map[string]struct{ in, want []netip.Addr }{
		"none":             {nil, nil},
		"as configured":    {[]netip.Addr{b, a}, []netip.Addr{b, a}},
		"link-local first": {[]netip.Addr{b, ll, a, ll2}, []netip.Addr{ll, ll2, b, a}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			before := slices.Clone(tt.in)
			if diff := cmp.Diff(tt.want, wireOrder(tt.in), equateAddrs, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if !slices.Equal(before, tt.in) {
				t.Error("the configuration was changed")
			}
		})
	}
}
