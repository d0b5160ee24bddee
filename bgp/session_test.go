package bgp

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vipd/vipd/vrrp"
)

var (
	vip4     = netip.MustParseAddr("198.51.100.100")
	vip6     = netip.MustParseAddr("2001:db8::100")
	hop4     = netip.MustParseAddr("203.0.113.1")
	hop6     = netip.MustParseAddr("2001:db8:1::1")
	routerAt = netip.MustParseAddr("203.0.113.254")
)

func testPeer() Peer {
	return Peer{
		Address: routerAt, Port: 179, AS: 64601, TTL: 1, Hold: 3 * time.Second, Retry: time.Second,
		Families: []vrrp.Family{vrrp.IPv4, vrrp.IPv6},
		Policy:   Policy{LocalPreference: 100, Step: 4, NextHop4: hop4, NextHop6: hop6},
	}
}

// router stands in for the other side: it accepts connections, and says what it is told to.
type router struct {
	t      *testing.T
	open   open
	silent bool          // after the session is up
	first  []byte        // said in place of an OPEN
	conns  chan net.Conn // each connection that is up

	mu  sync.Mutex
	got []string // updates, in hexadecimal without header
	bye []*Error
}

func newRouter(t *testing.T) *router {
	return &router{t: t, conns: make(chan net.Conn, 64), open: open{
		AS: 64601, Hold: 90 * time.Second, ID: routerAt, Families: []vrrp.Family{vrrp.IPv4, vrrp.IPv6}, FourOctets: true, Refresh: true,
	}}
}

func (r *router) dial(context.Context, *Peer) (net.Conn, error) {
	here, there := pipe()
	go r.serve(there)
	return here, nil
}

// turns has those who write wait for each other by a channel: for the lock of a pipe, time
// in a bubble waits too.
type turns struct {
	net.Conn
	turn chan struct{}
}

func pipe() (here, there net.Conn) {
	here, there = net.Pipe()
	return here, turns{there, make(chan struct{}, 1)}
}

func (c turns) Write(b []byte) (int, error) {
	c.turn <- struct{}{}
	defer func() { <-c.turn }()
	return c.Conn.Write(b)
}

func (r *router) serve(c net.Conn) {
	defer c.Close()
	var b []byte
	buf := make([]byte, 4096)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		b = append(b, buf[:n]...)
		for {
			kind, body, rest, err := split(b)
			if errors.Is(err, errMore) {
				break
			}
			if err != nil {
				r.t.Error(err)
				return
			}
			r.take(c, kind, body)
			b = rest
		}
	}
}

func (r *router) take(c net.Conn, kind uint8, body []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch kind {
	case typeOpen:
		if r.first != nil {
			go c.Write(r.first)
			return
		}
		go func() { c.Write(r.open.marshal()); c.Write(keepalive()); r.conns <- c }()
	case typeUpdate:
		r.got = append(r.got, hex.EncodeToString(body))
	case typeNotification:
		r.bye = append(r.bye, parseNotification(body))
	case typeKeepalive:
		if !r.silent {
			go c.Write(keepalive())
		}
	}
}

// updates returns what was received since the last time.
func (r *router) updates() []string {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	got := r.got
	r.got = nil
	return got
}

// farewells are the notifications that were received.
func (r *router) farewells() []*Error {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.bye)
}

// news are the events of a speaker.
type news struct {
	mu   sync.Mutex
	list []string
}

func (n *news) add(e Event) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !e.Repeat {
		n.list = append(n.list, e.Words)
	}
}

func (n *news) all() []string {
	synctest.Wait()
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.list)
}

func speak(t *testing.T, r *router, p Peer) (*Speaker, *news) {
	t.Helper()
	n := &news{}
	ctx, cancel := context.WithCancel(context.Background())
	s := NewSpeaker(ctx, r.dial, nil, n.add)
	s.Configure(Config{AS: 64512, ID: hop4, Peers: []Peer{p}})
	t.Cleanup(func() { s.Close(); cancel(); synctest.Wait() })
	synctest.Wait()
	return s, n
}

// announcing returns a speaker that a router has heard of one route from, which is renewed.
func announcing(t *testing.T) (*router, *Speaker, *news) {
	t.Helper()
	r := newRouter(t)
	s, n := speak(t, r, testPeer())
	renewing(t, s, vip4)
	s.Announce(Route{Addr: vip4, Standing: Ready})
	r.updates()
	return r, s, n
}

// renewing renews a route until the test ends.
func renewing(t *testing.T, s *Speaker, addr netip.Addr) {
	stop := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			s.Renew(addr)
			select {
			case <-time.After(500 * time.Millisecond):
			case <-stop:
				return
			}
		}
	}()
	t.Cleanup(func() { close(stop); <-ended })
}

const (
	end4 = "00000000"
	end6 = "00000006800f03000201"
	// ORIGIN IGP, AS_PATH 64512, NEXT_HOP 203.0.113.1, and 198.51.100.100/32
	ready4    = "0000" + "0014" + "40010100" + "400206" + "0201" + "0000fc00" + "400304" + "cb007101" + "20c6336464"
	withdraw4 = "0005" + "20c6336464" + "0000"
)

func TestAnnounceWithdraw(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRouter(t)
		s, n := speak(t, r, testPeer())
		if got := r.updates(); !slices.Equal(got, []string{end4, end6}) {
			t.Fatalf("at first: %v", got)
		}
		if got := n.all(); len(got) != 1 || !strings.Contains(got[0], "is up") {
			t.Errorf("news: %q", got)
		}
		renewing(t, s, vip4)
		s.Announce(Route{Addr: vip4, Standing: Ready})
		if got := r.updates(); !slices.Equal(got, []string{ready4}) {
			t.Fatalf("announced: %v", got)
		}
		s.Announce(Route{Addr: vip4, Standing: Ready})
		time.Sleep(time.Minute)
		if got := r.updates(); got != nil {
			t.Fatalf("nothing has changed, and yet: %v", got)
		}
		s.Withdraw(vip4)
		if got := r.updates(); !slices.Equal(got, []string{withdraw4}) {
			t.Fatalf("withdrawn: %v", got)
		}
		if p := s.Peers()[0]; p.State != Established || p.Routes != 0 || p.Hold != 3*time.Second || p.Counters.Dropped != 0 {
			t.Errorf("%+v", p)
		}
	})
}

func TestLeaseRunsOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRouter(t)
		s, _ := speak(t, r, testPeer())
		s.Announce(Route{Addr: vip4, Standing: Ready})
		r.updates()
		time.Sleep(Lease + lookAgain)
		if got := r.updates(); !slices.Equal(got, []string{withdraw4}) {
			t.Fatalf("nobody renews it: %v", got)
		}
	})
}

func TestIPv6AndRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRouter(t)
		s, _ := speak(t, r, testPeer())
		renewing(t, s, vip6)
		r.updates()
		s.Announce(Route{Addr: vip6, Standing: Ready})
		got := r.updates()
		const nlri = "8020010db8000000000000000000000100"
		if len(got) != 1 || !strings.Contains(got[0], "800e26"+"000201"+"10"+"20010db8000100000000000000000001"+"00"+nlri) {
			t.Fatalf("announced: %v", got)
		}
		c := <-r.conns
		c.Write(end(append(begin(nil, typeRefresh), 0, 2, 0, 1)))
		if again := r.updates(); !slices.Equal(again, got) {
			t.Errorf("asked again: %v", again)
		}
		s.Withdraw(vip6)
		if got := r.updates(); len(got) != 1 || !strings.HasSuffix(got[0], "800f14"+"000201"+nlri) {
			t.Errorf("withdrawn: %v", got)
		}
	})
}

func TestWrongAS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRouter(t)
		r.open.AS = 64999
		s, n := speak(t, r, testPeer())
		time.Sleep(20 * time.Minute)
		if got := n.all(); len(got) != 1 || !strings.Contains(got[0], "it says that it is AS 64999, and vipd.toml says 64601") {
			t.Errorf("news: %q", got)
		}
		r.mu.Lock()
		if len(r.bye) < 35 || len(r.bye) > 50 || r.bye[0].Code != codeOpen || r.bye[0].Subcode != 2 {
			t.Errorf("told %d times: %+v", len(r.bye), r.bye[0])
		}
		r.mu.Unlock()
		if p := s.Peers()[0]; p.State == Established || !strings.Contains(p.Problem, "64999") {
			t.Errorf("%+v", p)
		}
	})
}

// TestNoHoldTime: a router that wants none would send traffic to a dead node for ever.
func TestNoHoldTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRouter(t)
		r.open.Hold = 0
		s, n := speak(t, r, testPeer())
		if got := n.all(); len(got) != 1 || !strings.Contains(got[0], "its hold time is 0") {
			t.Errorf("news: %q", got)
		}
		r.mu.Lock()
		if len(r.bye) != 1 || r.bye[0].Code != codeOpen || r.bye[0].Subcode != 6 {
			t.Errorf("told: %+v", r.bye)
		}
		r.mu.Unlock()
		if p := s.Peers()[0]; p.State == Established {
			t.Errorf("%+v", p)
		}
	})
}

func TestRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRouter(t)
		r.first = (&Error{Code: codeOpen, Subcode: 2}).marshal()
		_, n := speak(t, r, testPeer())
		if got := n.all(); len(got) != 1 || !strings.Contains(got[0], "it expects another AS") {
			t.Errorf("news: %q", got)
		}
	})
}

// TestRouterSaysWhy: what the router's operator said stays in sight while attempts fail, until the
// session is up again.
func TestRouterSaysWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRouter(t)
		s, _ := speak(t, r, testPeer())
		const why = `an operator has shut the session down there, and says "works"`
		r.mu.Lock()
		r.first = (&Error{Code: codeCease, Subcode: 5}).marshal()
		r.mu.Unlock()
		(<-r.conns).Write(shutdown("works").marshal())
		synctest.Wait()
		if st := s.Peers()[0]; st.Problem != why {
			t.Errorf("ended: %+v", st)
		}
		time.Sleep(10 * time.Second)
		if st := s.Peers()[0]; st.Problem != "it refuses the connection: is this node configured there?; before that: "+why {
			t.Errorf("refused: %+v", st)
		}
		r.mu.Lock()
		r.first = nil
		r.mu.Unlock()
		time.Sleep(retryMost)
		if st := s.Peers()[0]; st.State != Established || st.Problem != "" {
			t.Errorf("up: %+v", st)
		}
	})
}

func TestHoldTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRouter(t)
		r.silent = true
		_, n := speak(t, r, testPeer())
		time.Sleep(3*time.Second + time.Millisecond)
		got := n.all()
		if len(got) != 2 || !strings.Contains(got[1], "nothing was heard of it for the hold time of 3s") {
			t.Errorf("news: %q", got)
		}
	})
}

func TestMalformedUpdatesAndFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRouter(t)
		s, n := speak(t, r, testPeer())
		c := <-r.conns
		good := marshalAnnounce(vip4, attributes{NextHops: []netip.Addr{hop4}, Path: []uint32{64601}}, true)
		for i := range 10_000 {
			c.Write(good)
			if i%1000 == 0 {
				c.Write(update([]byte{1, 2}, []byte{0x50, 2, 0xff, 0xff}, nil))
			}
		}
		synctest.Wait()
		p := s.Peers()[0]
		if p.State != Established || p.Counters.UpdatesReceived != 10_010 || p.Counters.Malformed != 10 {
			t.Errorf("%+v", p)
		}
		if got := n.all(); len(got) != 2 || !strings.Contains(got[1], "malformed updates") {
			t.Errorf("news: %q", got)
		}
	})
}

func TestReconfigured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, s, n := announcing(t)
		p := testPeer()
		p.Policy.Communities = []uint32{64512<<16 | 7}
		s.Configure(Config{AS: 64512, ID: hop4, Peers: []Peer{p}})
		if got := r.updates(); len(got) != 1 || !strings.Contains(got[0], "c00804fc000007") {
			t.Fatalf("a new policy: %v", got)
		}
		if got := n.all(); len(got) != 1 {
			t.Errorf("the session noticed: %q", got)
		}
		p.Hold = 9 * time.Second
		s.Configure(Config{AS: 64512, ID: hop4, Peers: []Peer{p}})
		time.Sleep(settling)
		r.updates()
		if st := s.Peers()[0]; st.State != Established || st.Hold != 9*time.Second || st.Routes != 1 {
			t.Errorf("another hold time: %+v", st)
		}
	})
}

// TestTermsChange: a session whose terms have changed, or that is configured no more, announces
// that it leaves, in the AS that it is of, before it ends; and what is withdrawn meanwhile is.
func TestTermsChange(t *testing.T) {
	leaving := strings.NewReplacer(
		"0014", "003b", "400206"+"0201"+"0000fc00", "400226"+"0209"+strings.Repeat("0000fc00", 9), // prepended twice four times
		"20c6336464", "c00804ffff0000"+"20c6336464", // GRACEFUL_SHUTDOWN
	).Replace(ready4)
	for name, c := range map[string]struct {
		as     uint32
		change func(*Peer)
	}{
		"hold time": {64512, func(p *Peer) { p.Hold = 9 * time.Second }},
		"AS":        {64513, func(*Peer) {}},
		"removed":   {64512, func(p *Peer) { p.Address = hop4 }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, s, _ := announcing(t)
				p := testPeer()
				c.change(&p)
				s.Configure(Config{AS: c.as, ID: hop4, Peers: []Peer{p}, Drain: 2 * time.Second})
				if got := r.updates(); !slices.Contains(got, leaving) {
					t.Fatalf("it does not leave: %v, want %s", got, leaving)
				}
				time.Sleep(1900 * time.Millisecond)
				if n := len(r.farewells()); n != 0 {
					t.Fatalf("it ended before the time: %d", n)
				}
				time.Sleep(200 * time.Millisecond)
				if bye := r.farewells(); len(bye) != 1 || bye[0].Code != codeCease || bye[0].Subcode != ceaseConfigured {
					t.Fatalf("the last word: %v", bye)
				}
				if st := s.Peers()[0]; st.State != Established || st.Routes != 1 || st.Problem != "" {
					t.Errorf("the next one: %+v", st)
				}
			})
		})
	}
}

// TestTermsChangeAgain: each session waits for the one before it, and none outlasts the speaker.
func TestTermsChangeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, s, _ := announcing(t)
		p := testPeer()
		for range 3 {
			p.Hold += time.Second
			s.Configure(Config{AS: 64512, ID: hop4, Peers: []Peer{p}, Drain: 2 * time.Second})
			synctest.Wait()
			if st := s.Peers()[0]; st.State != Established || st.Hold != 3*time.Second || st.Routes != 1 || !strings.Contains(st.Problem, "as leaving") {
				t.Fatalf("it does not wait: %+v", st)
			}
			time.Sleep(500 * time.Millisecond)
		}
		if n := len(r.conns); n != 1 {
			t.Errorf("%d connections", n)
		}
		s.Withdraw(vip4)
		if got := r.updates(); !slices.Contains(got, withdraw4) {
			t.Errorf("withdrawn meanwhile: %v", got)
		}
		began := time.Now()
		s.Close()
		if d := time.Since(began); d > 0 {
			t.Errorf("closing took %v", d)
		}
	})
}

// single is a connection that tells when it is closed.
type single struct {
	net.Conn
	open *atomic.Int32
	once sync.Once
}

func (c *single) Close() error {
	c.once.Do(func() { c.open.Add(-1) })
	return c.Conn.Close()
}

// TestOneConnectionAtATime: a session that replaces another waits for its end. A router may
// refuse a second connection, or end both.
func TestOneConnectionAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var open atomic.Int32
		r := newRouter(t)
		dial := func(ctx context.Context, p *Peer) (net.Conn, error) {
			if open.Add(1) > 1 {
				t.Error("a second connection beside the first")
			}
			c, err := r.dial(ctx, p)
			return &single{Conn: c, open: &open}, err
		}
		ctx, cancel := context.WithCancel(context.Background())
		s := NewSpeaker(ctx, dial, nil, func(Event) {})
		defer func() { s.Close(); cancel() }()
		p := testPeer()
		for range 20 {
			s.Configure(Config{AS: 64512, ID: hop4, Peers: []Peer{p}})
			time.Sleep(settling)
			synctest.Wait()
			if st := s.Peers()[0]; st.State != Established || st.Hold != p.Hold {
				t.Fatalf("%+v", st)
			}
			p.Hold += time.Second
		}
	})
}

func TestPolicy(t *testing.T) {
	for _, c := range []struct {
		name      string
		policy    Policy
		peer      uint32
		standing  Standing
		rank      uint8
		path      int
		pref, med uint32
		leaving   bool
	}{
		{"external, ready", Policy{Step: 4}, 64601, Ready, 0, 1, 0, 0, false},
		{"external, degraded", Policy{Step: 4}, 64601, Degraded, 0, 5, 0, 0, false},
		{"external, leaving", Policy{Step: 4}, 64601, Leaving, 0, 9, 0, 0, true},
		{"external, last resort", Policy{Step: 4}, 64601, LastResort, 0, 13, 0, 0, false},
		{"external by MED", Policy{Worse: ByMED, Step: 1000, MED: 5}, 64601, Degraded, 7, 1, 0, 1012, false},
		{"internal, ready", Policy{Worse: ByLocalPreference, LocalPreference: 100, Step: 30}, 64512, Ready, 54, 0, 100, 54, false},
		{"internal, last resort", Policy{Worse: ByLocalPreference, LocalPreference: 100, Step: 30}, 64512, LastResort, 0, 0, 10, 0, false},
		{"never below zero", Policy{Worse: ByLocalPreference, LocalPreference: 50, Step: 30}, 64512, LastResort, 0, 0, 0, 0, false},
	} {
		a := c.policy.attributes(Route{Addr: vip4, Standing: c.standing, Rank: c.rank}, 64512, c.peer, nil)
		if len(a.Path) != c.path || a.LocalPreference != c.pref || a.MED != c.med || slices.Contains(a.Communities, gracefulShutdown) != c.leaving {
			t.Errorf("%s: %+v", c.name, a)
		}
	}
}

// TestBestMED: a MED of 0 is sent where MED decides, for there are routers to which a route
// without one is the worst.
func TestBestMED(t *testing.T) {
	const zero = "80040400000000"
	for _, c := range []struct {
		policy Policy
		ranked bool
		sent   bool
	}{
		{Policy{}, false, false},
		{Policy{}, true, true},
		{Policy{Worse: ByMED, Step: 1000}, false, true},
	} {
		a := c.policy.attributes(Route{Addr: vip4, Standing: Ready, Ranked: c.ranked}, 64512, 64601, []netip.Addr{hop4})
		if got := strings.Contains(hex.EncodeToString(marshalAnnounce(vip4, a, true)), zero); got != c.sent {
			t.Errorf("%+v, ranked %v: MED 0 is sent: %v", c.policy, c.ranked, got)
		}
	}
}

func TestOpenRoundTrip(t *testing.T) {
	for _, o := range []open{
		{AS: 64512, Hold: 3 * time.Second, ID: hop4, Families: []vrrp.Family{vrrp.IPv4, vrrp.IPv6}, FourOctets: true, ExtendedNextHop: true, Refresh: true},
		{AS: 4200000000, Hold: 0, ID: hop4, Families: []vrrp.Family{vrrp.IPv6}, FourOctets: true},
	} {
		got, err := parseOpen(o.marshal()[headerLen:])
		if err != nil || fmt.Sprint(got) != fmt.Sprint(o) {
			t.Errorf("%+v: %+v, %v", o, got, err)
		}
	}
}

func FuzzStream(f *testing.F) {
	f.Add(newRouter(nil).open.marshal())
	f.Add(keepalive())
	f.Add(marshalAnnounce(vip6, attributes{NextHops: []netip.Addr{hop6}, Path: []uint32{4200000000}, LargeCommunities: []LargeCommunity{{1, 2, 3}}}, false))
	f.Add((&Error{Code: codeCease, Subcode: 9}).marshal())
	f.Fuzz(func(t *testing.T, b []byte) {
		for {
			kind, body, rest, err := split(b)
			if err != nil {
				return
			}
			switch kind {
			case typeOpen:
				_, _ = parseOpen(body)
			case typeUpdate:
				_ = skim(body)
			case typeNotification:
				_ = parseNotification(body).Error()
			}
			b = rest
		}
	})
}

// TestFloodIsPaced: a router that sends all it can does not keep the agent busy.
func TestFloodIsPaced(t *testing.T) {
	const messages = 50_000
	synctest.Test(t, func(t *testing.T) {
		r := newRouter(t)
		s, _ := speak(t, r, testPeer())
		c := <-r.conns
		began := time.Now()
		for range messages {
			c.Write(keepalive())
		}
		if d := time.Since(began); d < 2*time.Second {
			t.Errorf("%d messages were read in %v", messages, d)
		}
		if p := s.Peers()[0]; p.State != Established || p.Counters.Dropped != 0 {
			t.Errorf("%+v", p)
		}
	})
}

// TestRefreshAgainAndAgain: a router that asks without end is answered once in a second.
func TestRefreshAgainAndAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _, _ := announcing(t)
		c := <-r.conns
		for range 100 {
			c.Write(askAgain)
		}
		if got := r.updates(); !slices.Equal(got, []string{ready4}) {
			t.Errorf("at once: %v", got)
		}
		time.Sleep(10 * time.Second)
		if got := r.updates(); !slices.Equal(got, []string{ready4}) {
			t.Errorf("later: %v", got)
		}
	})
}

// askAgain is a ROUTE-REFRESH for IPv4.
var askAgain = end(append(begin(nil, typeRefresh), 0, 1, 0, 1))

// TestRefreshAfterRestart: routes that the successor does not know yet are not withdrawn
// because the router asks for all of them.
func TestRefreshAfterRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRouter(t)
		here, there := pipe()
		go r.serve(there)
		ctx, cancel := context.WithCancel(context.Background())
		s := NewSpeaker(ctx, r.dial, nil, func(Event) {})
		x := newSession(s, testPeer())
		k := &Kept{Hold: 3 * time.Second, Routes: []Announced{{vip4, vrrp.IPv4}}}
		c := newTalk(x, testPeer(), here)
		c.hold, c.families, c.fourOctets = k.Hold, testPeer().Families, true
		c.listen()
		done := make(chan error)
		go func() { done <- c.established(k) }()
		there.Write(askAgain)
		time.Sleep(resumeGrace / 2)
		if got := r.updates(); got != nil {
			t.Errorf("in the time of grace: %v", got)
		}
		time.Sleep(resumeGrace)
		if got := r.updates(); !slices.Equal(got, []string{withdraw4}) {
			t.Errorf("after it: %v", got)
		}
		x.stop(&Error{Code: codeCease, Subcode: ceaseShutdown})
		<-done
		cancel()
	})
}

// TestNoNextHop: a route that cannot be announced for want of a next hop is reported once,
// and is no problem any more once there is one. Malformed updates are another matter.
func TestNoNextHop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRouter(t)
		p := testPeer()
		p.Policy.NextHop6 = netip.Addr{}
		s, n := speak(t, r, p) // over a pipe, which has no address
		c := <-r.conns
		renewing(t, s, vip6)
		s.Announce(Route{Addr: vip6, Standing: Ready})
		synctest.Wait()
		bad := update([]byte{1, 2}, []byte{0x50, 2, 0xff, 0xff}, nil)
		for range 3 {
			c.Write(bad)
			time.Sleep(time.Second)
		}
		if got := n.all(); len(got) != 3 || !strings.Contains(got[1], "has no address") || !strings.Contains(got[2], "malformed") {
			t.Errorf("news: %q", got)
		}
		if got := s.Peers()[0].Problem; !strings.Contains(got, "has no address") || !strings.Contains(got, "malformed") {
			t.Errorf("the problem: %q", got)
		}
		p.Policy.NextHop6 = hop6
		s.Configure(Config{AS: 64512, ID: hop4, Peers: []Peer{p}})
		synctest.Wait()
		if got := s.Peers()[0]; strings.Contains(got.Problem, "has no address") || !strings.Contains(got.Problem, "malformed") || got.Routes != 1 {
			t.Errorf("there is one: %+v", got)
		}
	})
}

func TestRetryGrows(t *testing.T) {
	for _, c := range []struct {
		retry    time.Duration
		failures int
		want     time.Duration
	}{
		{time.Second, -1, time.Second},
		{time.Second, 0, time.Second},
		{time.Second, 3, 8 * time.Second},
		{time.Second, 1000, 30 * time.Second},
		{10 * time.Minute, 1000, 10 * time.Minute},
	} {
		if got := longer(c.retry, c.failures); got != c.want {
			t.Errorf("%v after %d failures: %v, not %v", c.retry, c.failures, got, c.want)
		}
	}
}

// TestFailuresAreCounted: by what they failed for.
func TestFailuresAreCounted(t *testing.T) {
	dialing := func(err error) Dialer { return func(context.Context, *Peer) (net.Conn, error) { return nil, err } }
	talking := func(first []byte) Dialer {
		r := newRouter(t)
		r.first = first
		return r.dial
	}
	closing := func(context.Context, *Peer) (net.Conn, error) {
		here, there := net.Pipe()
		go func() {
			there.Read(make([]byte, maxMessage))
			there.Close()
		}()
		return here, nil
	}
	for _, c := range []struct {
		dial Dialer
		want Failure
	}{
		{dialing(unix.ECONNREFUSED), Refused},
		{dialing(unix.EHOSTUNREACH), Unreachable},
		{dialing(context.DeadlineExceeded), Unanswered},
		{dialing(unix.ECONNRESET), Closed},
		{dialing(unix.EPERM), Other},
		{talking((&Error{Code: codeOpen, Subcode: 2}).marshal()), Disagreed},
		{closing, Closed},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(context.Background())
			s := NewSpeaker(ctx, c.dial, nil, func(Event) {})
			s.Configure(Config{AS: 64512, ID: hop4, Peers: []Peer{testPeer()}})
			time.Sleep(time.Second / 2)
			want := Counters{}.Failed
			want[c.want] = 1
			if got := s.Peers()[0].Counters.Failed; got != want {
				t.Errorf("%v: %v", c.want, got)
			}
			s.Close()
			cancel()
		})
	}
}
