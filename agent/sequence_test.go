package agent

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vipd/vipd/config"
	"github.com/vipd/vipd/vrrp"
)

// signing is a node that signs, with a clock that can be set, and a peer whose clock is
// right.
type signing struct {
	*Agent
	t     *testing.T
	clock clock
	off   time.Duration // of the host's clock
	dir   string
	keys  *auth
	peer  *vrrp.Inspector
}

func newSigning(t *testing.T, replay config.AntiReplay) *signing {
	t.Helper()
	keys := &auth{
		cfg:  &config.Auth{Mode: config.Enforce, ActiveKey: 1, AntiReplay: replay, Window: 5 * time.Second},
		keys: []vrrp.Key{{ID: 1, Secret: make([]byte, 32)}},
	}
	g := &signing{t: t, dir: t.TempDir(), keys: keys, peer: &vrrp.Inspector{
		Family: vrrp.IPv4, VRID: 51, Interval: interval, Addrs: []netip.Addr{vip4}, Own: []netip.Addr{peer},
		Verifier: keys.verifier(interval), Counters: new(vrrp.Counters),
	}}
	g.clock = clock{start: time.Now(), origin: vrrp.Instant(time.Hour)}
	g.begin()
	return g
}

func (g *signing) wallClock() time.Time { return time.Now().Add(g.off) }

// begin starts an agent with the state of the one before.
func (g *signing) begin() {
	g.t.Helper()
	if g.Agent != nil {
		for _, p := range g.all() {
			p.stop()
		}
	}
	a := &Agent{
		clock: g.clock, ctx: g.t.Context(), auth: g.keys, routers: make(map[id]*placed), record: newRecorder(slog.New(slog.DiscardHandler)),
		opts: Options{RuntimeDir: g.dir}, askClock: make(chan struct{}, 1),
	}
	a.clock.day = &timeOfDay{read: g.wallClock, elapsed: g.clock.now, stepped: a.askAboutClock}
	a.live.Store(new([]*router))
	a.inherit()
	a.add(g.share())
	g.Agent = a
}

func (g *signing) share() share { return share{vipConfig(), vrrp.IPv4} }

// says has the node send an advertisement, and returns what the peer thinks of it.
func (g *signing) says() vrrp.Reason {
	g.t.Helper()
	return g.saidBy(g.routers[g.share().id()].router)
}

func (g *signing) saidBy(r *router) vrrp.Reason {
	g.t.Helper()
	n := &network{began: time.Now()}
	r.wait(func() {
		r.link = &link{src: own, sender: n, drain: n.drain}
		r.send(200)
		r.link = nil
	})
	return g.judged(n)
}

func (g *signing) judged(n *network) vrrp.Reason {
	g.t.Helper()
	said := n.packets()
	if len(said) != 1 {
		g.t.Fatalf("%d advertisements, want one", len(said))
	}
	_, why, _ := g.peer.Inspect(vrrp.Header{Src: own, Dst: group4, TTL: vrrp.TTL}, said[0].payload, g.clock.now(), time.Now())
	return why
}

// farewell is what vipd release says for it.
func (g *signing) farewell() vrrp.Reason {
	g.t.Helper()
	saved, err := loadState(g.dir)
	must(g.t, err)
	c := g.clock
	c.day = saved.timeOfDay(g.wallClock, c.now)
	s := savedState{State: "Active", VRID: 51, Addresses: []string{vip4.String()}, Source: own.String(), Interval: interval}
	p, err := newParting(c, "k3s/IPv4", s, g.keys, saved.sequencesAt(c.now())["k3s/IPv4"])
	must(g.t, err)
	n := &network{began: time.Now()}
	p.router.link.sender = n
	must(g.t, p.say())
	why := g.judged(n)
	must(g.t, forget(saved, g.dir))
	return why
}

// A clock that is set back does not make a node repeat itself, or its peers would refuse
// what it says until the clock has caught up: neither when the agent is restarted or
// dies, nor when a reload makes the router anew.
func TestSequenceSurvives(t *testing.T) {
	restart := func(t *testing.T, g *signing) {
		must(t, g.saveState(true))
		g.begin()
	}
	for kind, back := range map[config.AntiReplay]time.Duration{config.ByMonotonic: 10 * time.Minute, config.ByTime: 3 * time.Second} {
		setBack := func(g *signing) { g.off -= back }
		for name, play := range map[string]func(*testing.T, *signing){
			"restart": func(t *testing.T, g *signing) { setBack(g); g.says(); restart(t, g) },
			"two restarts": func(t *testing.T, g *signing) {
				setBack(g)
				restart(t, g)
				restart(t, g)
			},
			"stop": func(_ *testing.T, g *signing) {
				setBack(g)
				g.says()
				g.forgetState()
				g.begin()
			},
			"crash": func(t *testing.T, g *signing) {
				must(t, g.saveState(false))
				time.Sleep(30 * time.Second)
				g.says()
				setBack(g)
				for range 10 {
					g.says()
					time.Sleep(interval)
				}
				g.begin()
			},
			"crash and release": func(t *testing.T, g *signing) {
				must(t, g.saveState(false))
				time.Sleep(time.Second)
				g.says()
				setBack(g)
				g.says()
				time.Sleep(time.Second)
				if why := g.farewell(); why != vrrp.Accepted {
					t.Errorf("the farewell: %v", why)
				}
				time.Sleep(time.Millisecond)
				g.begin()
			},
			"reload": func(_ *testing.T, g *signing) {
				setBack(g)
				gone := g.takeOut([]share{g.share()})
				g.saidBy(gone[0].router) // it still hands over
				g.retireAll(gone)
				g.add(g.share())
			},
			"auth away and back": func(_ *testing.T, g *signing) {
				r := g.routers[g.share().id()].router
				r.configure(vipConfig(), nil)
				setBack(g)
				r.configure(vipConfig(), g.keys)
			},
		} {
			t.Run(string(kind)+", "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					g := newSigning(t, kind)
					if why := g.says(); why != vrrp.Accepted {
						t.Fatal(why)
					}
					play(t, g)
					for range 3 {
						if why := g.says(); why != vrrp.Accepted {
							t.Errorf("afterwards: %v", why)
						}
					}
				})
			})
		}
	}
}

// Restarts while the clock is behind do not drive the sequence further ahead of it.
func TestSequenceKeepsItsLead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newSigning(t, config.ByMonotonic)
		g.says()
		g.off -= 10 * time.Minute
		for range 100 {
			must(t, g.saveState(false))
			time.Sleep(5 * time.Second)
			g.begin()
			g.says()
		}
		used := g.routers[g.share().id()].router.sequence.Last()
		if ahead := int64(used>>32) - time.Now().Unix(); ahead > 1 {
			t.Errorf("%d s ahead of the clock that was right at first", ahead)
		}
	})
}

// The time that was known to be right outlives the agent: one that begins while the
// host's clock is wrong goes on with it, and so does vipd release.
func TestClockSurvives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newSigning(t, config.ByTime)
		g.Agent.clock.day.trust()
		g.says()
		must(t, g.saveState(false))
		g.off = -time.Hour
		time.Sleep(time.Second)
		if why := g.farewell(); why != vrrp.Accepted {
			t.Errorf("the farewell: %v", why)
		}
		time.Sleep(time.Second)
		g.begin()
		g.opts.Synchronised = func(context.Context) error { return errUnsynchronised }
		g.bar(errClockNotAsked)
		for range 2 { // before and after the clock was asked about
			if why := g.says(); why != vrrp.Accepted {
				t.Errorf("on a wrong clock: %v", why)
			}
			g.checkClock(t.Context())
		}
		if said := strings.Join((&rig{record: g.record}).logged(), "; "); !strings.Contains(said, "signatures go by what it was before") {
			t.Errorf("nobody is told: %q", said)
		}
		if !errors.Is(g.barred, errUnsynchronised) {
			t.Errorf("barred: %v", g.barred)
		}
	})
}

// A router that a reload makes anew does not accept what was recorded before.
func TestReloadKeepsMarks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newSigning(t, config.ByMonotonic)
		hears := func(r *router, b []byte) vrrp.Reason {
			if r.inspector.Load() == nil {
				newSegment("eth0", vrrp.IPv4, g.clock, g.record).inspect(&member{router: r}, own)
			}
			_, why, _ := r.inspector.Load().Inspect(vrrp.Header{Src: peer, Dst: group4, TTL: vrrp.TTL}, b, g.clock.now(), time.Now())
			return why
		}
		signer := g.keys.signer(interval)
		said := func() []byte {
			p := vrrp.Packet{Version: 3, VRID: 51, Priority: 250, Interval: interval, Addrs: []netip.Addr{vip4}}
			pdu := p.Append(nil, peer, group4, vrrp.ChecksumPseudoHeader)
			return signer.Append(pdu, pdu, peer, time.Now())
		}
		before, meanwhile := said(), said()
		if why := hears(g.routers[g.share().id()].router, before); why != vrrp.Accepted {
			t.Fatal(why)
		}
		gone := g.takeOut([]share{g.share()})
		g.guardsAgainstReplay(t) // of the state that is saved now
		if why := hears(gone[0].router, meanwhile); why != vrrp.Accepted {
			t.Fatal(why)
		}
		g.retireAll(gone)
		g.add(g.share())
		for _, recorded := range [][]byte{before, meanwhile} {
			if why := hears(g.routers[g.share().id()].router, recorded); why != vrrp.AuthReplay {
				t.Errorf("recorded before the reload: %v, want %v", why, vrrp.AuthReplay)
			}
		}
	})
}

func (g *signing) guardsAgainstReplay(t *testing.T) {
	t.Helper()
	must(t, g.saveState(false))
	s, err := loadState(g.dir)
	must(t, err)
	if len(s.Marks["k3s/IPv4"]) != 1 {
		t.Errorf("the saved marks: %v", s.Marks)
	}
}
