package agent

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/vipd/vipd/bgp"
	"github.com/vipd/vipd/config"
	"github.com/vipd/vipd/vip"
	"github.com/vipd/vipd/vrrp"
)

// routing is what the routes of an agent share. There is none until one is configured.
type routing struct {
	speaker    *bgp.Speaker
	configured bool   // the speaker is
	why        string // why it is not
	keepers    map[vrrp.Family]*vip.Keeper
	holders    map[id]*vip.Holder
	indexes    map[id]int // of the interfaces
	routes     map[id]*way
}

// way is a route and how its loop is ended.
type way struct {
	route  *route
	end    context.CancelFunc // without a word to anybody
	resume bgp.Standing
}

// addRoute makes a route and starts its loop. The caller holds a.mu.
func (a *Agent) addRoute(s share) {
	a.makeRouting()
	i := s.id()
	r := newRoute(i, s.vip, a.cfg.BGP.DrainDelay, a.ready.Load(), a.clock, a.record, a.routing.speaker)
	ctx, end := context.WithCancel(a.ctx)
	w := &way{route: r, end: end}
	a.routing.routes[i] = w
	a.running.Go(func() { r.run(ctx) })
	if a.drained {
		r.demote(drained, true)
	}
	if a.resumesRoute(i, s.vip) {
		w.resume = a.state.Routes[i.String()].Standing
	}
	a.publishWays()
	a.acquaint(r)
}

func (a *Agent) makeRouting() {
	if a.routing != nil {
		return
	}
	a.routing = &routing{
		speaker: bgp.NewSpeaker(a.ctx, bgp.Dial, a.keptSessions(), a.record.session),
		keepers: make(map[vrrp.Family]*vip.Keeper), holders: make(map[id]*vip.Holder), indexes: make(map[id]int), routes: make(map[id]*way),
	}
}

// routes returns the routes there are, without waiting for a.mu.
func (a *Agent) routes() []*route {
	if list := a.ways.Load(); list != nil {
		return *list
	}
	return nil
}

// publishWays tells the health monitor which routes there are.
func (a *Agent) publishWays() {
	list := []*route{}
	if a.routing != nil {
		for _, w := range a.routing.routes {
			list = append(list, w.route)
		}
	}
	slices.SortFunc(list, func(x, y *route) int { return x.id.compare(y.id) })
	a.ways.Store(&list)
}

// resumesRoute reports whether a route may go on where its predecessor left off.
func (a *Agent) resumesRoute(i id, cfg config.VIP) bool {
	s, ok := a.state.Routes[i.String()]
	if !ok || !a.state.Restarting || !a.state.HasBeenReady || s.Standing == bgp.None || a.clock.now().Sub(a.state.Saved) >= vip.Lease {
		return false
	}
	addrs := ofFamily(cfg.Addresses, i.Family)
	return cfg.Interface == s.Interface && slices.Equal(parseAddrs(s.Addresses), addrs) && allHeld(s.Interface, addrs)
}

// placeRoutes gives routes their interfaces, and the speaker its configuration, as soon as
// there are any. The caller holds a.mu.
func (a *Agent) placeRoutes() {
	if a.routing == nil {
		return
	}
	for i, w := range a.routing.routes {
		err := a.placeRoute(i, w)
		w.route.setBlocked(err)
		if err != nil {
			a.record.waiting(w.route.snapshot().cfg.Interface, i.Family, err.Error())
		}
	}
	if !a.routing.configured && a.cfg.BGP != nil {
		a.configureSpeaker() // last: what a predecessor announced is known by now
	}
}

func (a *Agent) placeRoute(i id, w *way) error {
	name := w.route.snapshot().cfg.Interface
	ifi, err := net.InterfaceByName(name)
	if err != nil && unseen(err) {
		return nil
	}
	holder := a.routing.holders[i]
	if holder != nil && (err != nil || ifi.Index != a.routing.indexes[i]) {
		a.unplaceRoute(i, w)
		holder = nil
	}
	switch {
	case err != nil:
		return fmt.Errorf("waiting for interface %s, which does not exist: check the name (ip link)", name)
	case ifi.Flags&net.FlagUp == 0:
		return fmt.Errorf("interface %s is down: ip link set %s up", name, name)
	case holder != nil:
		return nil
	}
	k, err := a.keeperOf(i.Family)
	if err != nil {
		return err
	}
	holder, err = vip.NewHolder(vip.Config{
		Interface: ifi, Addrs: ofFamily(w.route.snapshot().cfg.Addresses, i.Family), Routed: true,
		Clock: a.clock.now, Keeper: k, Report: w.route.heldEvent,
	})
	if err != nil {
		return err
	}
	a.routing.holders[i], a.routing.indexes[i] = holder, ifi.Index
	w.route.attach(name, holder, w.resume)
	w.resume = bgp.None
	return nil
}

func (a *Agent) unplaceRoute(i id, w *way) {
	w.route.detach()
	a.closeHolder(i)
}

func (a *Agent) closeHolder(i id) {
	if h := a.routing.holders[i]; h != nil {
		a.record.closed("a route", h.Close())
		delete(a.routing.holders, i)
	}
}

// keeperOf returns the keeper of the addresses of a family, which lasts as long as the agent.
func (a *Agent) keeperOf(f vrrp.Family) (*vip.Keeper, error) {
	if k := a.routing.keepers[f]; k != nil {
		return k, nil
	}
	k, err := vip.NewKeeper(f)
	if err != nil {
		return nil, err
	}
	a.routing.keepers[f] = k
	a.spawn(func() error { defer k.Close(); return k.Run(a.ctx) })
	return k, nil
}

// configureSpeaker gives the speaker its peers. The caller holds a.mu.
func (a *Agent) configureSpeaker() {
	var virtual []netip.Addr
	for _, v := range a.cfg.VIPs {
		virtual = append(virtual, v.Addresses...)
	}
	cfg, err := speakerConfig(a.cfg.BGP, virtual, a.state.RouterID)
	if err != nil {
		a.routing.configured, a.routing.why = false, err.Error() // it is tried again
		a.record.failed("the BGP sessions are not as configured yet", err)
		return
	}
	a.routing.speaker.Avoid(virtual)
	a.routing.speaker.Configure(cfg)
	a.routing.configured, a.routing.why, a.state.RouterID = true, "", cfg.ID
	a.forgetSessions()
}

func speakerConfig(b *config.BGP, virtual []netip.Addr, before netip.Addr) (bgp.Config, error) {
	id, err := routerID(b, virtual, before)
	if err != nil {
		return bgp.Config{}, err
	}
	cfg := bgp.Config{AS: b.LocalAS, ID: id, Drain: b.DrainDelay}
	for _, p := range b.Peers {
		secret, err := p.ReadPassword()
		if err != nil {
			return cfg, err
		}
		peer := speakerPeer(b, p)
		peer.Password = secret
		cfg.Peers = append(cfg.Peers, peer)
	}
	return cfg, nil
}

func speakerPeer(b *config.BGP, p config.BGPPeer) bgp.Peer {
	out := bgp.Peer{
		Address: p.Address, Port: p.Port, AS: p.AS, Source: p.Source, Interface: p.SourceInterface, TTL: 1, Hold: p.HoldTime, Keepalive: p.Keepalive,
		Retry: p.ConnectRetry, BFD: p.BFD, Families: p.Families, ExtendedNextHop: p.ExtendedNextHop,
		Policy: bgp.Policy{
			Communities: p.Communities, LocalPreference: p.LocalPreference, MED: p.MED, Step: p.WorseStep,
			NextHop4: p.NextHop4, NextHop6: p.NextHop6,
			Worse: map[config.WorseBy]bgp.Attribute{
				config.WorseByPath: bgp.ByPath, config.WorseByPreference: bgp.ByLocalPreference, config.WorseByMED: bgp.ByMED,
			}[p.WorseBy],
		},
	}
	for _, c := range p.LargeCommunities {
		out.Policy.LargeCommunities = append(out.Policy.LargeCommunities, c)
	}
	switch {
	case p.TTLSecurity > 0:
		out.TTL, out.LeastTTL = 255, 256-int(p.TTLSecurity)
	case p.Multihop > 0:
		out.TTL = int(p.Multihop)
	case b.Internal(p):
		out.TTL = 64
	}
	return out
}

// checkPasswords refuses a configuration whose passwords cannot be read.
func checkPasswords(b *config.BGP) error {
	if b == nil {
		return nil
	}
	for _, p := range b.Peers {
		if _, err := p.ReadPassword(); err != nil {
			return err
		}
	}
	return nil
}

// stopRoutes withdraws routes and takes their addresses off, all at once.
func (a *Agent) stopRoutes(gone []*way) {
	var wg sync.WaitGroup
	for _, w := range gone {
		wg.Go(func() {
			defer w.end()
			w.route.stop()
			a.mu.Lock()
			defer a.mu.Unlock()
			a.closeHolder(w.route.id)
		})
	}
	wg.Wait()
}

// allRoutes returns the routes there are.
func (a *Agent) allRoutes() []*way {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.routing == nil {
		return nil
	}
	var out []*way
	for _, w := range a.routing.routes {
		out = append(out, w)
	}
	return out
}

// retireRoutes withdraws all routes and ends the sessions.
func (a *Agent) retireRoutes() {
	if a.routing == nil {
		return
	}
	a.stopRoutes(a.allRoutes())
	a.routing.speaker.Close()
}

// leaveRoutes ends the routes without a word, and leaves the sessions to the successor.
func (a *Agent) leaveRoutes() {
	if a.routing == nil {
		return
	}
	for _, w := range a.allRoutes() {
		w.end()
		<-w.route.done
	}
	for _, k := range a.routing.speaker.Suspend() {
		if err := a.opts.Notifier.Store(sessionName(k.Peer), k.File); err != nil {
			a.record.failed(fmt.Sprintf("the session with %v ends with this agent", k.Peer), err)
			continue
		}
		a.mu.Lock()
		a.sessions = append(a.sessions, k)
		a.mu.Unlock()
	}
}

// sessionName is what systemd knows a connection by, which may have no colon.
func sessionName(peer netip.Addr) string { return "bgp-" + strings.ReplaceAll(peer.String(), ":", "_") }

// keptSessions returns those that the predecessor left.
func (a *Agent) keptSessions() []*bgp.Kept {
	var out []*bgp.Kept
	for _, k := range a.state.Sessions {
		f := a.opts.Inherited[sessionName(k.Peer)]
		if f == nil || !a.state.Restarting {
			continue
		}
		delete(a.opts.Inherited, sessionName(k.Peer))
		k.File = f
		out = append(out, k)
	}
	return out
}

// forgetSessions has systemd close what it kept: the sessions have to end with this agent,
// if it crashes.
func (a *Agent) forgetSessions() {
	names := make(map[string]bool)
	for _, k := range a.state.Sessions {
		names[sessionName(k.Peer)] = true
	}
	for name, f := range a.opts.Inherited { // also if the saved state is lost
		names[name] = true
		f.Close()
	}
	for name := range names {
		a.notify("forget session", a.opts.Notifier.Forget(name))
	}
	a.state.Sessions = nil
	a.opts.Inherited = map[string]*os.File{}
}

// routeChanged reports whether an address is that of a route, and has one that was taken
// off put back.
func (a *Agent) routeChanged(c vip.Change) bool {
	if a.routing == nil {
		return false
	}
	for i, w := range a.routing.routes {
		v := w.route.snapshot()
		if i.Family != vrrp.FamilyOf(c.Addr) || !slices.Contains(v.cfg.Addresses, c.Addr) {
			continue
		}
		if c.Kind == vip.AddrRemoved && v.holding {
			w.route.lost()
		}
		return true
	}
	return false
}

// takeOutRoutes takes routes out of the agent; they still run. The caller holds a.mu.
func (a *Agent) takeOutRoutes(gone []share) []*way {
	var out []*way
	if a.routing == nil {
		return nil
	}
	for _, s := range gone {
		if w := a.routing.routes[s.id()]; w != nil {
			out = append(out, w)
			delete(a.routing.routes, s.id())
		}
	}
	a.publishWays()
	return out
}

// adjustRouting follows a reload: routes may have changed, the peers or their passwords, or
// the last route may be gone. The caller holds a.mu.
func (a *Agent) adjustRouting() {
	switch {
	case a.routing == nil:
	case a.cfg.BGP == nil:
		a.routing.speaker.Configure(bgp.Config{})
		a.routing.configured, a.routing.why = false, ""
	default:
		for _, v := range a.cfg.VIPs {
			for _, s := range shares(v) {
				if w := a.routing.routes[s.id()]; w != nil {
					w.route.configure(s.vip, a.cfg.BGP.DrainDelay)
				}
			}
		}
		a.configureSpeaker()
	}
}

// routingLags says after a reload that the sessions do not follow it yet. The caller holds a.mu.
func (a *Agent) routingLags() string {
	if a.routing == nil || a.routing.why == "" {
		return ""
	}
	return "; the BGP sessions are as before, until this is mended: " + a.routing.why
}
