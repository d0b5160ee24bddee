package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vipd/vipd/config"
	"github.com/vipd/vipd/vrrp"
	"github.com/vipd/vipd/vrrp/transport"
)

var (
	own    = netip.MustParseAddr("198.51.100.1")
	peer   = netip.MustParseAddr("198.51.100.2")
	other  = netip.MustParseAddr("198.51.100.3")
	vip4   = netip.MustParseAddr("198.51.100.100")
	group4 = vrrp.IPv4.Group()
)

const interval = 250 * time.Millisecond

// vipConfig is the configuration that the router tests start from.
func vipConfig() config.VIP {
	return config.VIP{
		Name: "k3s", Addresses: []netip.Addr{vip4}, VRID: 51, Priority: 200, PriorityUnique: true,
		AdvertInterval: interval, Preempt: true, WhenDown: config.LastResort, Checksum: config.PseudoHeader,
	}
}

var errSend = errors.New("no buffer space")

// network stands in for what a router has of the network: it writes down what is
// asked of it, and fails where told to.
type network struct {
	began time.Time

	mu       sync.Mutex
	log      []string // "0s claim"
	tokens   []vrrp.Instant
	sent     []sentPacket
	sendFail error
	waiting  []vrrp.Advert // in the socket
	deliver  func(vrrp.Advert)
	empty    vrrp.Instant // when the socket was last found so
	hushed   int
}

type sentPacket struct {
	dst     netip.Addr
	payload []byte
}

func (n *network) note(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.log = append(n.log, fmt.Sprintf("%v ", time.Since(n.began))+fmt.Sprintf(format, args...))
}

func (n *network) Claim()    { n.note("claim") }
func (n *network) Release()  { n.note("release") }
func (n *network) Announce() { n.note("announce") }
func (n *network) Hush() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.hushed++
}
func (n *network) Renew(token vrrp.Instant) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.tokens = append(n.tokens, token)
}

func (n *network) Send(_, dst netip.Addr, payload []byte) error {
	n.mu.Lock()
	err := n.sendFail
	if err == nil {
		n.sent = append(n.sent, sentPacket{dst, append([]byte(nil), payload...)})
	}
	n.mu.Unlock()
	if err == nil {
		n.note("send %d to %v", payload[2], dst)
	}
	return err
}

func (n *network) fail(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.sendFail = err
}

// wasEmpty says when the socket was last found empty.
func (n *network) wasEmpty(at vrrp.Instant) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.empty = at
}

// queue puts an advertisement in the socket.
func (n *network) queue(a vrrp.Advert) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.waiting = append(n.waiting, a)
}

// drain hands on what waits in the socket, unless that was found empty since then.
func (n *network) drain(since vrrp.Instant) {
	n.mu.Lock()
	if n.empty >= since {
		n.mu.Unlock()
		return
	}
	waiting := n.waiting
	n.waiting = nil
	n.mu.Unlock()
	for _, a := range waiting {
		n.deliver(a)
	}
}

// took returns what was written down, and forgets it.
func (n *network) took() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := n.log
	n.log, n.tokens, n.sent = nil, nil, nil
	return out
}

func (n *network) renewals() []vrrp.Instant {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]vrrp.Instant(nil), n.tokens...)
}

func (n *network) packets() []sentPacket {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]sentPacket(nil), n.sent...)
}

// rig is a router with a network, inside a synctest bubble.
type rig struct {
	*router
	t      *testing.T
	net    *network
	record *recorder
	probes int
	checks int
	iface  string
}

// newRig starts the loop of a router that has no network yet. Its clock stands at
// a whole number of renewals.
func newRig(t *testing.T, cfg config.VIP, a *auth) *rig {
	t.Helper()
	c := clock{start: time.Now(), origin: vrrp.Instant(100 * renewEvery)}
	g := &rig{t: t, iface: "eth0", record: newRecorder(slog.New(slog.DiscardHandler)), net: &network{began: time.Now()}}
	g.router = newRouter(id{cfg.Name, vrrp.IPv4}, cfg, a, false, c, g.record, func() { g.probes++ })
	g.net.deliver = g.receive
	ctx, cancel := context.WithCancel(context.Background())
	go g.run(ctx)
	t.Cleanup(func() { cancel(); <-g.done })
	return g
}

// receive is the receiver's: it has handle take an advertisement that arrived at a.At.
func (g *rig) receive(a vrrp.Advert) {
	d := g.datagram(a.Src, a.Priority)
	d.Arrival = a.At
	g.handle(d)
}

func (g *rig) datagram(src netip.Addr, priority uint8) *transport.Datagram {
	p := vrrp.Packet{VRID: 51, Priority: priority, Interval: interval, Addrs: []netip.Addr{vip4}}
	return &transport.Datagram{
		Src: src, Dst: group4, TTL: vrrp.TTL, Arrival: g.clock.now(),
		Payload: p.Append(nil, src, group4, vrrp.ChecksumPseudoHeader),
	}
}

// connect gives the router the network and the inspector of its segment.
func (g *rig) connect() {
	g.t.Helper()
	s := newSegment("eth0", vrrp.IPv4, g.clock, g.record)
	s.src = own
	s.inspect(&member{router: g.router}, own)
	g.attach(&link{iface: g.iface, src: own, holder: g.net, sender: g.net, drain: g.net.drain, check: func() { g.checks++ }}, false)
	synctest.Wait()
}

// ready tells the router that its API server is.
func (g *rig) ready() {
	g.verdict(vrrp.Ready, 0, "")
	synctest.Wait()
}

// hear has the router hear an advertisement now.
func (g *rig) hear(src netip.Addr, priority uint8) {
	g.handle(g.datagram(src, priority))
	synctest.Wait()
}

// pass lets time go by.
func (g *rig) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// backup makes the router a Backup of peer.
func (g *rig) backup() {
	g.connect()
	g.ready()
	g.hear(peer, 250)
}

// active makes the router Active by silence, and forgets what that took.
func (g *rig) active() {
	g.t.Helper()
	g.connect()
	g.ready()
	g.pass(4 * interval)
	if s := g.snapshot().state; s != vrrp.Active {
		g.t.Fatalf("%v after 4 intervals of silence", s)
	}
	g.net.took()
	g.net.mu.Lock()
	g.net.began = time.Now()
	g.net.mu.Unlock()
}

// logged returns the messages that wait to be logged.
func (g *rig) logged() []string {
	var out []string
	for range len(g.record.entries) {
		out = append(out, (<-g.record.entries).msg)
	}
	return out
}
