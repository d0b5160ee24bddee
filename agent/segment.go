package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vipd/vipd/config"
	"github.com/vipd/vipd/vip"
	"github.com/vipd/vipd/vrrp"
	"github.com/vipd/vipd/vrrp/transport"
)

const (
	// lookAgain is how often a segment looks at its interface without being told.
	lookAgain = time.Minute
	// grace is how long the node's own address may be missing: a network
	// manager that restarts takes it off and puts it back.
	grace = 300 * time.Millisecond
	// conflictDelay is past the predecessor's linger, during which it answers
	// for the addresses rightfully; conflictTime is how long to ask.
	conflictDelay = 500 * time.Millisecond
	conflictTime  = 2500 * time.Millisecond
	conflictAgain = 10 * time.Second
)

// segment gives the routers of one interface and address family the network. It
// waits for the interface and its address, opens the sockets that the routers
// share, and follows what happens to the interface.
type segment struct {
	found  bool // the interface was found by a subnet, not named in vipd.toml
	family vrrp.Family
	clock  clock
	record *recorder
	asked  inquiries

	kick chan struct{}
	cmds chan func()

	mu        sync.Mutex
	called    string    // the interface
	gone      bool      // it was seen not to exist
	why       string    // why the routers cannot run; "": they can
	listeners []*router // who wants to hear of announcements
	joining   []*member // to be taken in at the next look
	broken    *port     // a part of it has ended

	// Owned by run.
	members map[id]*member
	port    *port
	src     netip.Addr
	waiting bool      // some router is blocked
	missing time.Time // since when the interface has had no address; zero: it has one
}

// member is a router and what was opened for it alone.
type member struct {
	router *router
	resume savedState
	holder *vip.Holder
	sender *transport.Sender  // virtual MAC: through the macvlan; else the port's
	cancel context.CancelFunc // ends the checks

	checks   sync.WaitGroup
	checking atomic.Bool
}

func newSegment(name string, f vrrp.Family, c clock, rec *recorder) *segment {
	return &segment{
		called: name, family: f, clock: c, record: rec, members: make(map[id]*member),
		kick: make(chan struct{}, 1), cmds: make(chan func()), why: "starting",
	}
}

// run follows the interface until ctx ends, and then closes everything. Routers
// that still have the network then are cut off without a word.
func (s *segment) run(ctx context.Context) {
	again := time.NewTimer(0)
	defer again.Stop()
	for {
		select {
		case <-s.kick:
			s.rejoin()
		case <-again.C:
			s.rejoin()
		case f := <-s.cmds:
			f()
		case <-ctx.Done():
			s.close()
			return
		}
		again.Reset(s.look(ctx))
	}
}

// do has the segment's goroutine run f and waits for it.
func (s *segment) do(ctx context.Context, f func()) {
	ran := make(chan struct{})
	select {
	case s.cmds <- func() { f(); close(ran) }:
		<-ran
	case <-ctx.Done():
	}
}

// add gives a router to the segment; it gets the network as soon as there is one.
func (s *segment) add(r *router, resume savedState) {
	s.mu.Lock()
	s.joining = append(s.joining, &member{router: r, resume: resume})
	s.mu.Unlock()
	s.wake()
}

// takeIn makes members of the routers that were added.
func (s *segment) takeIn() {
	s.mu.Lock()
	joining := s.joining
	s.joining = nil
	s.mu.Unlock()
	for _, m := range joining {
		s.members[m.router.id] = m
	}
	if len(joining) > 0 {
		s.listen()
	}
}

// remove takes a router from the segment and the network from the router.
func (s *segment) remove(ctx context.Context, r *router) {
	s.do(ctx, func() {
		s.takeIn()
		if m := s.members[r.id]; m != nil && m.router == r {
			s.detach(m)
			delete(s.members, r.id)
			s.listen()
		}
	})
}

// refresh has the receiver judge a router's packets by its new configuration.
func (s *segment) refresh(ctx context.Context, r *router) {
	s.do(ctx, func() {
		m := s.members[r.id]
		if m == nil || m.holder == nil {
			return
		}
		s.inspect(m, m.router.snapshot().src)
		s.blocked(m, s.follow(m)) // other peers may want another source
	})
}

func (s *segment) listen() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listeners = nil
	for _, m := range s.members {
		s.listeners = append(s.listeners, m.router)
	}
}

// wake has the segment look at its interface soon.
func (s *segment) wake() {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

// problem returns why the routers cannot run, or "".
func (s *segment) problem() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.why
}

func (s *segment) setProblem(why string) {
	s.mu.Lock()
	was := s.why
	s.why = why
	s.mu.Unlock()
	if why != was && why != "" {
		s.record.waiting(s.name(), s.family, why)
	}
}

// look compares the interface with what is open, and returns when to look again.
func (s *segment) look(ctx context.Context) time.Duration {
	s.takeIn()
	if len(s.members) == 0 {
		s.closePort()
		return lookAgain
	}
	ifi, src, err := s.usable()
	s.mu.Lock()
	s.gone = errors.Is(err, errNoInterface)
	s.mu.Unlock()
	if errors.Is(err, errUnseen) && s.port != nil {
		s.record.failed("the routers go on as they are", err)
		return time.Second
	}
	if errors.Is(err, vip.ErrNoOwnAddress) && s.port != nil && s.port.ifi.Index == ifi.Index {
		if s.missing.IsZero() {
			s.missing = time.Now()
		}
		if left := grace - time.Since(s.missing); left > 0 {
			return left
		}
	}
	s.missing = time.Time{}
	if err != nil {
		s.down(err.Error())
		return time.Second
	}
	if s.port != nil && (s.isBroken() || s.port.ifi.Index != ifi.Index) {
		s.down("the interface was replaced")
		s.closePort()
	}
	if err := s.up(ctx, ifi, src); err != nil {
		s.down(err.Error())
		return time.Second
	}
	s.setProblem("")
	if s.waiting {
		return time.Second
	}
	return lookAgain
}

func (s *segment) isBroken() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.broken == s.port
}

// errUnseen says that an interface could not be looked at, which says nothing about it.
var errUnseen = errors.New("cannot look at the interface")

// usable returns the interface and the source address, or what is missing, in
// words that tell the operator what is waited for.
func (s *segment) usable() (*net.Interface, netip.Addr, error) {
	ifi, err := s.find()
	if err != nil {
		return nil, netip.Addr{}, err
	}
	if ifi.Flags&net.FlagUp == 0 {
		return nil, netip.Addr{}, fmt.Errorf("waiting for interface %s, which is down: ip link set %s up", s.name(), s.name())
	}
	if ifi.Flags&net.FlagRunning == 0 {
		return nil, netip.Addr{}, fmt.Errorf("waiting for interface %s, which has no carrier: check the cable or the peer", s.name())
	}
	src, err := vip.Primary(ifi, s.family, s.virtual())
	if errors.Is(err, vip.ErrNoOwnAddress) {
		return ifi, netip.Addr{}, fmt.Errorf("waiting for interface %s: %w", s.name(), err)
	}
	if err != nil {
		return nil, netip.Addr{}, fmt.Errorf("%w %s: %w", errUnseen, s.name(), err)
	}
	return ifi, src, nil
}

// up opens what is not open yet and gives every router the network.
func (s *segment) up(ctx context.Context, ifi *net.Interface, src netip.Addr) error {
	if s.port == nil {
		p, err := s.openPort(ctx, ifi)
		if err != nil {
			return err
		}
		s.port = p
	}
	if !bytes.Equal(s.port.ifi.HardwareAddr, ifi.HardwareAddr) {
		if err := s.newMAC(ctx, ifi); err != nil {
			return err
		}
	}
	s.src, s.waiting = src, false
	for _, m := range s.members {
		if name, gone := m.bereft(); gone {
			s.record.failed("making the interface of the virtual MAC anew", errors.New("something removed "+name))
			s.detach(m)
		}
		if m.holder == nil {
			s.blocked(m, s.attach(ctx, m))
			continue
		}
		s.blocked(m, s.follow(m))
	}
	return s.watchAddrs()
}

// bereft reports whether something has removed the interface of a member's virtual MAC.
func (m *member) bereft() (name string, gone bool) {
	if m.sender == nil {
		return "", false
	}
	link := m.holder.Link()
	_, err := net.InterfaceByIndex(link.Index)
	return link.Name, err != nil && !unseen(err)
}

// blocked notes what keeps one router of the segment from running, or that
// nothing does.
func (s *segment) blocked(m *member, err error) {
	if err != nil {
		s.waiting = true
		s.record.waiting(s.name(), s.family, fmt.Sprintf("%s: %v", m.router.id, err))
	}
	m.router.setBlocked(err)
}

// follow gives a router that runs its new source address, if that has changed.
func (s *segment) follow(m *member) error {
	src, err := s.sourceOf(m)
	if err != nil || src == m.router.snapshot().src {
		return err
	}
	s.inspect(m, src)
	m.router.moved(src)
	s.record.moved(m.router.id, s.name(), src)
	return nil
}

// sourceOf returns the address that a router's advertisements come from: that of
// the segment, or a global one where IPv6 peers know this node by it.
func (s *segment) sourceOf(m *member) (netip.Addr, error) {
	cfg := m.router.snapshot().cfg
	peers := ofFamily(cfg.Peers, s.family)
	if s.family == vrrp.IPv4 || len(peers) == 0 || peers[0].IsLinkLocalUnicast() {
		return s.src, nil
	}
	src, err := vip.GlobalPrimary(s.port.ifi, s.family, s.virtual())
	if err != nil {
		return netip.Addr{}, fmt.Errorf("waiting for a global address on %s, for its peers are global: %w", s.name(), err)
	}
	return src, nil
}

// virtual returns the virtual addresses of all members.
func (s *segment) virtual() []netip.Addr {
	var vips []netip.Addr
	for _, m := range s.members {
		vips = append(vips, m.router.snapshot().cfg.Addresses...)
	}
	return vips
}

// attach opens what one router needs and gives it the network.
func (s *segment) attach(ctx context.Context, m *member) error {
	r := m.router
	cfg := r.snapshot().cfg
	addrs := ofFamily(cfg.Addresses, s.family)
	src, err := s.sourceOf(m)
	if err != nil {
		return err
	}
	out, err := s.openHolder(m, cfg, addrs)
	if err != nil {
		return err
	}
	h := m.holder
	ctx, m.cancel = context.WithCancel(context.WithoutCancel(ctx))
	s.inspect(m, src)
	if err := s.port.recv.Handle(cfg.VRID, r.handle); err != nil {
		s.release(m)
		return err
	}
	resume := m.resume.mayResume(s.clock.now())
	if !resume && m.resume.State != "" {
		h.Release() // the network came too late: a successor has the addresses by now
	}
	m.resume = savedState{}
	r.attach(&link{
		iface: s.name(), src: src, holder: h, sender: out, drain: s.port.recv.DrainSince,
		check: s.checker(ctx, m, addrs),
	}, resume)
	return nil
}

// openHolder gives a member its holder, and returns what it sends through.
func (s *segment) openHolder(m *member, cfg config.VIP, addrs []netip.Addr) (sender, error) {
	h, err := vip.NewHolder(vip.Config{
		Interface: s.port.ifi, Addrs: addrs, VRID: cfg.VRID,
		VirtualMAC: cfg.VirtualMAC, Clock: s.clock.now, Keeper: s.port.keeper, Announcer: s.port.say, Report: m.router.heldEvent,
	})
	if err != nil {
		return nil, err
	}
	if !cfg.VirtualMAC {
		m.holder = h
		return s.port.send, nil
	}
	own, err := transport.NewSender(h.Link(), s.family)
	if err != nil {
		return nil, errors.Join(err, h.Close())
	}
	m.holder, m.sender = h, own
	return fallback{own, s.port.send}, nil
}

// fallback sends through the macvlan with the virtual MAC, and through the
// interface itself while that is down: the first advertisement comes before the claim.
type fallback struct{ virtual, real sender }

func (f fallback) Send(src, dst netip.Addr, payload []byte) error {
	if f.virtual.Send(src, dst, payload) == nil {
		return nil
	}
	return f.real.Send(src, dst, payload)
}

// inspect gives the router an inspector that knows this node's addresses.
func (s *segment) inspect(m *member, src netip.Addr) {
	r := m.router
	cfg := r.snapshot().cfg
	in := &vrrp.Inspector{
		Family: s.family, VRID: cfg.VRID, Interval: cfg.AdvertInterval,
		Addrs:    wireOrder(ofFamily(cfg.Addresses, s.family)),
		Own:      []netip.Addr{src},
		Peers:    ofFamily(cfg.Peers, s.family),
		Verifier: r.auth.Load().verifier(cfg.AdvertInterval), Counters: &r.counters,
	}
	if in.Verifier != nil {
		if old := r.inspector.Load(); old != nil {
			in.Verifier.Inherit(old.Verifier)
		}
		in.Verifier.Restore(r.marks)
	}
	r.inspector.Store(in)
}

// release closes what was opened for one router.
func (s *segment) release(m *member) {
	if m.holder == nil {
		return
	}
	m.cancel()
	m.checks.Wait()
	err := m.holder.Close()
	if m.sender != nil {
		err = errors.Join(err, m.sender.Close())
	}
	s.record.closed(s.name(), err)
	m.holder, m.sender = nil, nil
}

// down takes the network from all routers and says why.
func (s *segment) down(why string) {
	for _, m := range s.members {
		s.detach(m)
	}
	s.setProblem(why)
}

func (s *segment) detach(m *member) {
	if m.holder == nil {
		return
	}
	if s.port != nil {
		if err := s.port.recv.Handle(m.router.snapshot().cfg.VRID, nil); err != nil {
			s.record.failed("stop listening", err)
		}
	}
	m.router.detach()
	s.release(m)
}

func (s *segment) close() {
	for _, m := range s.members {
		s.detach(m)
	}
	s.closePort()
}

// heard is the ear's: another station says that it has a VIP. It is the
// successor of a router that leaves, or a conflict.
func (s *segment) heard(h vip.Heard) {
	s.asked.heard(h)
	s.mu.Lock()
	listeners := s.listeners
	s.mu.Unlock()
	for _, r := range listeners {
		if slices.Contains(r.snapshot().cfg.Addresses, h.Addr) {
			r.othersClaim(h)
		}
	}
}

// check has f look for another station with the addresses, unless the last one
// still looks: each goes on as long as it finds one.
func (m *member) check(f func()) {
	if !m.checking.CompareAndSwap(false, true) {
		return
	}
	m.checks.Go(func() {
		defer m.checking.Store(false)
		f()
	})
}

// conflictQuestion asks whether another station has an address, until ctx ends.
type conflictQuestion func(ctx context.Context, ifi *net.Interface, addr netip.Addr) (net.HardwareAddr, bool, error)

// checker returns what looks for another station with a member's addresses. A macvlan
// has a MAC of its own, and so needs sockets of its own to be answered.
func (s *segment) checker(ctx context.Context, m *member, addrs []netip.Addr) func() {
	say, index, question := s.port.say, m.holder.Link().Index, vip.Conflict
	if m.sender == nil {
		question = func(ctx context.Context, ifi *net.Interface, a netip.Addr) (net.HardwareAddr, bool, error) {
			return s.asked.ask(ctx, say, ifi.HardwareAddr, a)
		}
	}
	look := func() { s.checkConflict(ctx, m.router, index, addrs, question) }
	return func() { m.check(look) }
}

// checkConflict asks whether another station has an address that is held here, and
// goes on asking while one does. It runs beside the takeover and never delays it.
func (s *segment) checkConflict(ctx context.Context, r *router, index int, addrs []netip.Addr, ask conflictQuestion) {
	for wait := conflictDelay; ; wait = conflictAgain {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
		if !s.conflicts(ctx, r, index, addrs, ask) {
			return
		}
	}
}

// conflicts asks for each address, and tells of those that another station has.
func (s *segment) conflicts(ctx context.Context, r *router, index int, addrs []netip.Addr, ask conflictQuestion) bool {
	ifi, err := net.InterfaceByIndex(index) // each time, for its MAC may change
	if err != nil {
		return false // it is gone, which is told too
	}
	var any bool
	for _, a := range addrs {
		asking, cancel := context.WithTimeout(ctx, conflictTime)
		mac, found, err := ask(asking, ifi, a)
		cancel()
		if ctx.Err() != nil {
			return false
		}
		if err != nil {
			s.record.failed("look for another station with "+a.String(), err)
		}
		if v := r.snapshot(); found && v.holding && v.state == vrrp.Active {
			any = true
			r.answered(a, mac)
		}
	}
	return any
}
