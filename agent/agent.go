package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vipd/vipd/agent/control"
	"github.com/vipd/vipd/bgp"
	"github.com/vipd/vipd/config"
	"github.com/vipd/vipd/health"
	"github.com/vipd/vipd/systemd"
	"github.com/vipd/vipd/vip"
	"github.com/vipd/vipd/vrrp"
	"golang.org/x/sys/unix"
)

// Options says where an agent finds things. Logger is required.
type Options struct {
	ConfigPath string
	RuntimeDir string // made if missing
	Version    string
	Logger     *slog.Logger
	Notifier   *systemd.Notifier
	// Units watches units of systemd; nil: there is none.
	Units Units
	// Restarting is asked when the agent is to end: whether it is started again at
	// once, and so has to leave the addresses for its successor. Nil: no.
	Restarting func() bool
	// Inherited are the sockets that systemd kept from the predecessor, by name.
	Inherited map[string]*os.File
	// Synchronised says why the wall clock is not; nil: ask the kernel, or systemd.
	Synchronised func(context.Context) error
	// WallClock is the host's clock; nil: the system's.
	WallClock func() time.Time
}

// Units is what the agent wants of systemd.
type Units interface {
	Watch(ctx context.Context, unit string, tell func(systemd.State)) error
	ClockSynchronised(ctx context.Context) (bool, error)
}

// placeAgain is how long a VIP without an interface waits for the next look.
const placeAgain = time.Second

// Agent runs the virtual routers of one host.
type Agent struct {
	opts    Options
	clock   clock
	record  *recorder
	hooks   *hooks
	started time.Time
	save    chan struct{} // asks for the state to be saved

	askClock chan struct{} // has the clock watch look now

	// For the health monitor and the routers' loops, which must not wait for mu.
	live    atomic.Pointer[[]*router]
	ways    atomic.Pointer[[]*route]
	monitor atomic.Pointer[health.Monitor]
	verdict atomic.Pointer[health.Verdict] // the last one that was told to the routers
	unit    atomic.Pointer[health.Unit]
	ready   atomic.Bool // the API server has been ready, here or under the predecessor

	probed   probeMeter
	exposure exposure
	handover handover               // before a stop of K3s
	told     atomic.Pointer[string] // the status line that systemd has

	mu       sync.Mutex
	cfg      *config.Config
	auth     *auth
	routers  map[id]*placed
	segments []*segment
	routing  *routing    // nil: no VIP has mode "bgp"
	sessions []*bgp.Kept // left to the successor
	stopMon  context.CancelFunc
	drained  bool  // by the operator
	barred   error // why signatures need a better clock
	state    state // what the predecessor left

	reloading sync.Mutex // one reload at a time, and none once the agent leaves
	leaving   bool
	restarts  bool       // leaving for a successor that goes on at once
	saving    sync.Mutex // one writer of the state at a time, and none after the last word
	sealed    bool

	ctx     context.Context // that of everything that runs, until the routers have left
	running sync.WaitGroup
	failed  chan error
}

// placed is a router and where it runs.
type placed struct {
	router  *router
	stop    context.CancelFunc // ends the loop without a word to anybody
	segment *segment           // nil: no interface was found yet
	why     string             // why not
	resume  savedState         // where its predecessor left off; zero: start afresh
}

type segmentKey struct {
	name   string
	family vrrp.Family
}

// Run runs an agent until ctx ends, and then hands over: it returns once others
// have taken over, or it is clear that none will. Errors are for the operator.
func Run(ctx context.Context, o Options) error {
	a, err := newAgent(o)
	if err != nil {
		return err
	}
	return a.run(ctx)
}

// ConfigError is returned by [Run] for a configuration with which it cannot start:
// to start it again is of no use until somebody has changed that.
type ConfigError struct{ err error }

func (e *ConfigError) Error() string { return e.err.Error() }
func (e *ConfigError) Unwrap() error { return e.err }

func newAgent(o Options) (*Agent, error) {
	cfg, keys, err := load(o.ConfigPath)
	if err != nil {
		return nil, &ConfigError{err}
	}
	c, err := newClock()
	if err != nil {
		return nil, err
	}
	a := &Agent{
		opts: o, clock: c, record: newRecorder(o.Logger), hooks: newHooks(o.Logger), started: time.Now(), save: make(chan struct{}, 1),
		cfg: cfg, auth: keys, routers: make(map[id]*placed),
		failed: make(chan error, 1), askClock: make(chan struct{}, 1),
	}
	if o.Synchronised == nil {
		a.opts.Synchronised = a.synchronised
	}
	if o.WallClock == nil {
		a.opts.WallClock = time.Now
	}
	a.clock.day = &timeOfDay{read: a.opts.WallClock, elapsed: c.now, stepped: a.askAboutClock}
	a.clockNeeded(false)
	a.live.Store(new([]*router))
	return a, nil
}

// load reads a configuration and the keys that it names.
func load(path string) (*config.Config, *auth, error) {
	cfg, err := config.Load(path)
	if err != nil {
		return nil, nil, err
	}
	keys, err := readAuth(cfg.Auth)
	return cfg, keys, errors.Join(err, checkPasswords(cfg.BGP))
}

func (a *Agent) run(ctx context.Context) error {
	if err := capable(); err != nil {
		return err
	}
	if err := os.MkdirAll(a.opts.RuntimeDir, 0o700); err != nil {
		return fmt.Errorf("make the runtime directory: %w", err)
	}
	listener, err := control.Listen(control.Socket(a.opts.RuntimeDir))
	if err != nil {
		return err
	}
	defer listener.Close()
	watcher, err := vip.NewWatcher(a.linkChanged)
	if err != nil {
		return err
	}
	a.inherit()

	// What runs outlives ctx: the routers still have to hand over.
	inner, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	a.ctx = inner
	defer a.startRecorder(ctx)()
	a.advise()
	a.spawn(func() error { return watcher.Run(inner) })
	a.spawn(func() error { a.clockWatch(inner); return nil })
	if err := a.start(); err != nil {
		cancel()
		a.running.Wait()
		return err
	}
	a.spawn(func() error { return control.Serve(inner, listener, a, a.opts.Logger) })
	a.spawn(func() error { a.placer(inner); return nil })
	a.spawn(func() error { a.exposer(inner); return nil })
	a.spawn(func() error { a.saver(inner); return nil })
	a.spawn(func() error { return a.watchdog(inner) })
	a.notify("ready", a.opts.Notifier.Ready())

	var failure error
	select {
	case <-ctx.Done():
	case failure = <-a.failed:
	}
	a.leave()
	cancel()
	a.running.Wait()
	return failure
}

// startRecorder returns what ends the recorder, once all is written.
func (a *Agent) startRecorder(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	recorded := make(chan struct{})
	a.record.changed, a.record.tell = a.changed, a.hooks.tell
	a.hooks.configure(a.cfg.Hooks)
	go func() {
		defer close(recorded)
		a.record.keep(a.opts.RuntimeDir)
		a.record.run(ctx)
	}()
	return func() {
		cancel()
		<-recorded
		a.endHooks()
	}
}

// endHooks lets the hooks run on what happened last, unless a successor waits: it tells
// them again what is so.
func (a *Agent) endHooks() {
	if a.restarts {
		a.hooks.end(0)
		return
	}
	a.hooks.end(lastHooks)
}

// advise logs what could be better about how the agent is run.
func (a *Agent) advise() {
	if policy, _ := systemd.RealTime(); policy != "rr" && policy != "fifo" {
		a.opts.Logger.Info("no real-time scheduling: on an overloaded host advertisements may be late (CPUSchedulingPolicy=rr in a unit)")
	}
	if err := mayRun(a.cfg.Hooks); err != nil {
		a.opts.Logger.Error(err.Error())
	}
}

// spawn runs a part of the agent, whose error ends all of it.
func (a *Agent) spawn(f func() error) {
	a.running.Go(func() {
		if err := f(); err != nil {
			select {
			case a.failed <- err:
			default:
			}
		}
	})
}

// capable says in one line what the process lacks.
func capable() error {
	return permitted(map[string]int{"CAP_NET_ADMIN": unix.CAP_NET_ADMIN, "CAP_NET_RAW": unix.CAP_NET_RAW})
}

func permitted(capabilities map[string]int) error {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&hdr, &data[0]); err != nil {
		return fmt.Errorf("read the capabilities: %w", err)
	}
	var missing []string
	for name, bit := range capabilities {
		if data[bit/32].Effective&(1<<(bit%32)) == 0 {
			missing = append(missing, name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	slices.Sort(missing)
	return fmt.Errorf("no permission: %s missing: run vipd as root, or with these capabilities", strings.Join(missing, " and "))
}

// inherit reads what a predecessor left. Without it the agent starts afresh.
func (a *Agent) inherit() {
	s, err := loadState(a.opts.RuntimeDir)
	if err != nil {
		a.record.failed("the saved state is of no use", err)
	}
	s.Sequences = s.sequencesAt(a.clock.now())
	if a.auth.byTime() {
		a.clock.day.restore(s.ClockAhead)
	}
	a.state, a.drained = s, s.Drained
	a.ready.Store(s.HasBeenReady)
	if s.Drained {
		a.record.drain("still drained: vipd resume ends it")
	}
}

// start makes the routers of the configuration and the health monitor.
func (a *Agent) start() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, v := range a.cfg.VIPs {
		for _, x := range shares(v) {
			a.add(x)
		}
	}
	a.state.Routers, a.state.Routes = nil, nil // what is added later is new
	a.removeLeftovers()
	if a.routing == nil {
		a.forgetSessions() // vipd.toml has changed
	}
	if err := a.startMonitor(a.cfg); err != nil {
		return &ConfigError{err}
	}
	a.place()
	return nil
}

// share is what one router has of a VIP: its addresses of one family.
type share struct {
	vip    config.VIP
	family vrrp.Family
}

func shares(v config.VIP) []share {
	var out []share
	for _, f := range v.Families() {
		out = append(out, share{v, f})
	}
	return out
}

func (s share) id() id { return id{s.vip.Name, s.family} }

// add makes a router, or a route, and starts its loop.
func (a *Agent) add(s share) {
	if s.vip.Mode == config.ModeBGP {
		a.addRoute(s)
		return
	}
	i := s.id()
	r := newRouter(i, s.vip, a.auth, a.ready.Load(), a.clock, a.record, a.probeNow)
	ctx, stop := context.WithCancel(a.ctx)
	r.marks = a.state.Marks[i.String()]
	r.sequence.Restore(a.state.Sequences[i.String()])
	r.inherited = a.state.Routers[i.String()].SentAt
	a.routers[i] = &placed{router: r, stop: stop}
	a.running.Go(func() { r.run(ctx) })
	if a.drained {
		r.demote(drained, true)
	}
	if a.barred != nil {
		r.post(vrrp.Bar(true))
	}
	if a.resumes(i, s.vip) {
		a.routers[i].resume = a.state.Routers[i.String()]
		r.verdict(a.state.Grade, 0, "")
	}
	a.publishLive() // first, or a verdict that comes now would pass it by
	a.acquaint(r)
}

// publishLive tells the health monitor which routers there are.
func (a *Agent) publishLive() {
	var live []*router
	for _, p := range a.routers {
		live = append(live, p.router)
	}
	slices.SortFunc(live, func(x, y *router) int { return x.id.compare(y.id) })
	a.live.Store(&live)
}

// resumes reports whether a router may go on as Active where its predecessor
// left off: it is the same one, its peers have not missed it, and the addresses
// are still there.
func (a *Agent) resumes(i id, cfg config.VIP) bool {
	s, ok := a.state.Routers[i.String()]
	if !ok || !a.state.HasBeenReady || !s.mayResume(a.clock.now()) {
		return false
	}
	addrs := ofFamily(cfg.Addresses, i.Family)
	same := s.VRID == cfg.VRID && (cfg.Interface == "" || cfg.Interface == s.Interface) && slices.Equal(parseAddrs(s.Addresses), addrs)
	if !same || cfg.VirtualMAC { // its macvlan does not outlive the agent
		return false
	}
	return allHeld(s.Interface, addrs)
}

// allHeld reports whether the addresses are all on the interface.
func allHeld(iface string, addrs []netip.Addr) bool {
	ifi, err := net.InterfaceByName(iface)
	if err != nil {
		return false
	}
	held, err := vip.Held(ifi, addrs)
	return err == nil && len(held) == len(addrs)
}

// removeLeftovers takes addresses off that a dead agent left, except for those
// that a router goes on with.
func (a *Agent) removeLeftovers() {
	var stale []netip.Addr
	for i, p := range a.routers {
		if p.resume.State == "" {
			stale = append(stale, ofFamily(p.router.snapshot().cfg.Addresses, i.Family)...)
		}
	}
	if a.routing != nil {
		for i, w := range a.routing.routes {
			if w.resume == bgp.None {
				stale = append(stale, ofFamily(w.route.snapshot().cfg.Addresses, i.Family)...)
			}
		}
	}
	removed, err := vip.Remove(stale)
	if err != nil {
		a.record.failed("remove addresses that were left behind", err)
	}
	if len(removed) > 0 {
		a.opts.Logger.Info("removed addresses that were left behind", "addresses", removed)
	}
}

// placer finds an interface for routers that have none.
func (a *Agent) placer(ctx context.Context) {
	tick := time.NewTicker(placeAgain)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			a.mu.Lock()
			a.place()
			a.mu.Unlock()
		case <-ctx.Done():
			return
		}
	}
}

func (a *Agent) place() {
	a.placeRoutes()
	for i, p := range a.routers {
		a.unplace(p)
		if p.segment != nil {
			continue
		}
		cfg := p.router.snapshot().cfg
		name, err := interfaceOf(cfg, i.Family)
		if err != nil {
			p.why = "waiting: " + err.Error()
			a.record.waiting(cfg.Interface, i.Family, p.why)
			continue
		}
		p.segment, p.why = a.segmentOf(segmentKey{name, i.Family}, cfg.Interface == ""), ""
		p.segment.add(p.router, p.resume)
		p.resume = savedState{}
	}
}

// interfaceOf returns the configured interface, or the one whose subnet holds
// the addresses.
func interfaceOf(cfg config.VIP, f vrrp.Family) (string, error) {
	if cfg.Interface != "" {
		return cfg.Interface, nil
	}
	var err error
	for _, addr := range ofFamily(cfg.Addresses, f) {
		ifi, e := vip.InterfaceFor(addr)
		if e == nil {
			return ifi.Name, nil
		}
		err = e
	}
	return "", err
}

// segmentOf returns the segment of an interface, which was found by a subnet or is named.
func (a *Agent) segmentOf(k segmentKey, found bool) *segment {
	for _, s := range a.segments {
		if s.found == found && s.family == k.family && s.name() == k.name {
			return s
		}
	}
	s := newSegment(k.name, k.family, a.clock, a.record)
	s.found = found
	a.segments = append(a.segments, s)
	a.running.Go(func() { s.run(a.ctx) })
	return s
}

// linkChanged is the watcher's.
func (a *Agent) linkChanged(c vip.Change) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if (c.Kind == vip.AddrAdded || c.Kind == vip.AddrRemoved) && a.virtualChanged(c) {
		return
	}
	if c.Kind == vip.AddrAdded {
		a.ownReturned(c)
	}
	for _, s := range a.segments {
		s.wake()
	}
}

// virtualChanged reports whether the address is one of the VIPs, and has one that
// was taken off put back.
func (a *Agent) virtualChanged(c vip.Change) bool {
	if a.routeChanged(c) {
		return true
	}
	for i, p := range a.routers {
		if i.Family != vrrp.FamilyOf(c.Addr) || !p.router.has(c.Addr) {
			continue
		}
		if c.Kind == vip.AddrRemoved && p.router.snapshot().holding {
			p.router.post(vrrp.AddressLost())
		}
		return true
	}
	return false
}

// ownReturned has the VIPs put behind an address of the node's own that came back.
func (a *Agent) ownReturned(c vip.Change) {
	ifi, err := net.InterfaceByIndex(c.Index)
	if err != nil {
		return // it is gone, which is told too
	}
	for i, p := range a.routers {
		if v := p.router.snapshot(); v.holding && v.iface == ifi.Name && vrrp.FamilyOf(c.Addr) == i.Family {
			p.router.post(vrrp.AddressLost())
		}
	}
}

// leave ends the routers: for a restart they leave everything as it is, else
// they hand over and wait for it.
func (a *Agent) leave() {
	a.notify("stopping", a.opts.Notifier.Stopping())
	a.reloading.Lock() // a reload that has begun hands over what it takes out
	a.leaving = true
	a.reloading.Unlock()
	if a.restarting() {
		a.restarts = true
		a.opts.Logger.Info("restarting: the addresses stay")
		a.leaveAddresses()
		return
	}
	var routes sync.WaitGroup
	routes.Go(a.retireRoutes)
	a.retireAll(a.all())
	routes.Wait()
	a.forgetState()
}

// restarting reports whether a successor will go on with the addresses. One that
// must refuse its configuration does not start, and one that finds no state takes them off.
func (a *Agent) restarting() bool {
	if a.opts.Restarting == nil || !a.opts.Restarting() {
		return false
	}
	if _, _, err := load(a.opts.ConfigPath); err != nil {
		a.record.failed("not restarting but handing over: the next agent would refuse its configuration", err)
		return false
	}
	if err := a.saveState(false); err != nil {
		a.record.failed("not restarting but handing over: the next agent would start afresh", err)
		return false
	}
	return true
}

// leaveAddresses ends the routers without a word. Those with a virtual MAC hand
// over, for their macvlan ends with the agent; first, while the others still advertise.
func (a *Agent) leaveAddresses() {
	var virtual, others []*placed
	for _, p := range a.all() {
		if p.router.snapshot().cfg.VirtualMAC {
			virtual = append(virtual, p)
			continue
		}
		others = append(others, p)
	}
	a.retireAll(virtual)
	for _, p := range others {
		p.stop()
		<-p.router.done
	}
	a.leaveRoutes()
	if err := a.saveState(true); err != nil {
		a.record.failed("the next agent will start afresh", err)
	}
}

func (a *Agent) retireAll(all []*placed) {
	var wg sync.WaitGroup
	for _, p := range all {
		wg.Go(func() { a.retire(p) })
	}
	wg.Wait()
}

// retire has a router hand over, and takes its addresses off.
func (a *Agent) retire(p *placed) {
	defer p.stop()
	p.router.post(vrrp.Shutdown())
	<-p.router.done
	a.mu.Lock()
	s := p.segment // the placer may have found one meanwhile
	a.mu.Unlock()
	if s != nil {
		s.remove(a.ctx, p.router)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.state.note(p.router) // its last words are signed too
}

func (a *Agent) all() []*placed {
	a.mu.Lock()
	defer a.mu.Unlock()
	var out []*placed
	for _, p := range a.routers {
		out = append(out, p)
	}
	return out
}

func (a *Agent) notify(what string, err error) {
	if err != nil {
		a.record.failed("tell systemd: "+what, err)
	}
}
