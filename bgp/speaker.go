package bgp

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Lease is how long a route is announced unless it is renewed: a loop that hangs must not
// go on attracting traffic to addresses that have gone by then.
const Lease = 2 * time.Second

// Event is news of a session, for the log.
type Event struct {
	Peer   netip.Addr
	Up     bool
	Down   bool // it was up; neither: something else is to be said
	Words  string
	Repeat bool // the same as the last time
}

// Dialer connects to a peer. The options of the socket are its affair.
type Dialer func(ctx context.Context, p *Peer) (net.Conn, error)

// Speaker keeps sessions with the routers, and announces the same routes to each. Its
// methods may be called by several goroutines and never wait for the network.
type Speaker struct {
	dial   Dialer
	report func(Event) // must not block
	bfd    *BFD

	mu       sync.Mutex
	cfg      Config
	own      []netip.Addr // the virtual addresses, never a next hop
	rib      map[netip.Addr]*entry
	sessions []*session
	parting  []*session // those that leave, as they are configured no more
	kept     []*Kept    // from a predecessor, for sessions that do not run yet
	ctx      context.Context
	running  sync.WaitGroup
}

type entry struct {
	Route
	renewed time.Time
}

// NewSpeaker returns a Speaker that has no peers until [Speaker.Configure]. What a
// predecessor kept is gone on with.
func NewSpeaker(ctx context.Context, dial Dialer, kept []*Kept, report func(Event)) *Speaker {
	return &Speaker{dial: dial, report: report, rib: make(map[netip.Addr]*entry), kept: kept, ctx: ctx, bfd: NewBFD()}
}

// Configure makes cfg the configuration. Sessions that it does not concern go on; the others
// leave as the node does when it is drained, before another one takes their place.
func (s *Speaker) Configure(cfg Config) {
	s.mu.Lock()
	defer s.mu.Unlock()
	same := cfg.AS == s.cfg.AS && cfg.ID == s.cfg.ID
	s.cfg = cfg
	old := s.sessions
	s.sessions = nil
	s.kept = slices.DeleteFunc(s.kept, s.endUnfit)
	for _, p := range cfg.Peers {
		i := slices.IndexFunc(old, func(x *session) bool { return same && x.goesOn(&p) })
		if i >= 0 {
			old[i].configure(p)
			s.sessions = append(s.sessions, old[i])
			old = slices.Delete(old, i, i+1)
			continue
		}
		x := newSession(s, p)
		if o := latest(p.Address, s.parting, old); o != nil {
			x.after = o.done
		}
		s.start(x, p)
		s.sessions = append(s.sessions, x)
	}
	s.parting = slices.DeleteFunc(s.parting, (*session).over)
	for _, x := range old {
		x.leave(cfg.Drain, &Error{Code: codeCease, Subcode: ceaseConfigured})
	}
	s.parting = append(s.parting, old...)
	for _, k := range s.kept {
		k.drop()
	}
	s.kept = nil
}

// latest returns the last session with a peer; nil if there is none.
func latest(peer netip.Addr, lists ...[]*session) (last *session) {
	for _, x := range slices.Concat(lists...) {
		if x.state.Peer == peer {
			last = x
		}
	}
	return last
}

// endUnfit ends what a predecessor kept of a session if no peer can go on with it.
func (s *Speaker) endUnfit(k *Kept) bool {
	if slices.ContainsFunc(s.cfg.Peers, func(p Peer) bool { return k.fits(s.cfg, &p) }) {
		return false
	}
	k.end()
	return true
}

// start runs a session, with what a predecessor kept of it. The caller holds s.mu.
func (s *Speaker) start(x *session, p Peer) {
	for i, k := range s.kept {
		if k.fits(s.cfg, &p) {
			x.kept = k
			s.kept = slices.Delete(s.kept, i, i+1)
			break
		}
	}
	s.running.Go(func() {
		defer close(x.done)
		x.run(s.ctx)
	})
}

// Announce announces a route, or announces it otherwise, and renews its lease.
func (s *Speaker) Announce(r Route) {
	s.mu.Lock()
	old, ok := s.rib[r.Addr]
	s.rib[r.Addr] = &entry{r, time.Now()}
	s.mu.Unlock()
	if !ok || old.Route != r {
		s.wake()
	}
}

// Renew extends the lease of a route.
func (s *Speaker) Renew(addr netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.rib[addr]; e != nil {
		e.renewed = time.Now()
	}
}

// Withdraw withdraws a route.
func (s *Speaker) Withdraw(addr netip.Addr) {
	s.mu.Lock()
	_, ok := s.rib[addr]
	delete(s.rib, addr)
	s.mu.Unlock()
	if ok {
		s.wake()
	}
}

// Avoid names addresses that are never taken for a next hop: the virtual ones.
func (s *Speaker) Avoid(addrs []netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.own = slices.Clone(addrs)
}

func (s *Speaker) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range slices.Concat(s.sessions, s.parting) {
		x.wake()
	}
}

// routes returns what is to be announced now.
func (s *Speaker) routes() []Route {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	var out []Route
	for _, e := range s.rib {
		if now.Sub(e.renewed) <= Lease {
			out = append(out, e.Route)
		}
	}
	return out
}

func (s *Speaker) avoided() []netip.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.own
}

// Peers returns how each session fares, in the order of the configuration: one that is still to
// leave, for its terms have changed, in place of that which waits for it.
func (s *Speaker) Peers() []Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Status
	for _, x := range s.sessions {
		i := slices.IndexFunc(s.parting, func(o *session) bool { return o.state.Peer == x.state.Peer && o.leaves() && !o.over() })
		if i < 0 {
			out = append(out, x.status())
			continue
		}
		st := s.parting[i].status()
		st.Problem = "its terms have changed: it is announced as leaving, and another one follows"
		out = append(out, st)
	}
	return out
}

// Close ends the sessions with a word to the routers, and waits for it.
func (s *Speaker) Close() {
	s.part()
	for _, x := range s.current() {
		x.stop(shutdown("vipd was stopped here, after it had withdrawn its routes"))
	}
	s.running.Wait()
	s.bfd.Close()
}

// Suspend ends the sessions without a word, and returns those that are up for a successor,
// who has to go on with them before the routers' hold time is over.
func (s *Speaker) Suspend() []*Kept {
	s.part()
	list := s.current()
	for _, x := range list {
		x.suspend()
	}
	s.running.Wait()
	s.bfd.Close()
	var out []*Kept
	for _, x := range list {
		if x.kept != nil {
			out = append(out, x.kept)
		}
	}
	return out
}

// part ends the sessions at once that leave.
func (s *Speaker) part() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range s.parting {
		x.stop(&Error{Code: codeCease, Subcode: ceaseConfigured})
	}
}

func (s *Speaker) current() []*session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.sessions)
}
