package agent

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/vipd/vipd/agent/control"
	"github.com/vipd/vipd/bgp"
	"github.com/vipd/vipd/config"
	"github.com/vipd/vipd/vip"
	"github.com/vipd/vipd/vrrp"
)

const (
	// historySize is how many events are kept.
	historySize = 1000
	// backlog is how many wait to be written while the log blocks.
	backlog = 1024
	// sayAgain is how long the same failure is not logged again.
	sayAgain = time.Minute
)

// recorder keeps the history, writes the log and tells the hooks. The loops hand it
// entries and go on: only its own goroutine waits for the disk.
type recorder struct {
	log     *slog.Logger
	changed func()         // called after an event was recorded, from run
	tell    func(occasion) // called likewise for what hooks run on
	book    *chronicle     // nil: the history is in memory alone
	entries chan entry

	mu      sync.Mutex
	history []control.Event
	lost    int
	said    map[string]time.Time
}

// entry is a line of the log, and of the history if it has a kind.
type entry struct {
	event control.Event
	level slog.Level
	msg   string
	attrs []slog.Attr
	facts facts
	saves bool // the saved state is out of date
}

func newRecorder(log *slog.Logger) *recorder {
	return &recorder{log: log, entries: make(chan entry, backlog), said: make(map[string]time.Time)}
}

// keep has the history go on where that in dir ends. It is called before run.
func (r *recorder) keep(dir string) {
	book, old, err := openChronicle(dir)
	if err != nil {
		r.failed("the history before this agent is lost, or that of this one will be", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.book, r.history = book, append(old, r.history...)
}

// run writes until ctx ends, and then what is left.
func (r *recorder) run(ctx context.Context) {
	for {
		select {
		case e := <-r.entries:
			r.write(e)
		case <-ctx.Done():
			for range len(r.entries) {
				r.write(<-r.entries)
			}
			return
		}
	}
}

func (r *recorder) write(e entry) {
	if e.event.Kind != "" {
		r.remember(e.event)
	}
	if e.facts.event != "" && r.tell != nil {
		r.tell(occasionOf(e.event, e.facts))
	}
	r.log.LogAttrs(context.Background(), e.level, e.msg, e.attrs...)
	lost := r.takeLost()
	if lost > 0 {
		r.log.Warn("events were lost while the log stood still", "count", lost)
	}
	if (e.event.Kind != "" || e.saves || lost > 0) && r.changed != nil {
		r.changed()
	}
}

func (r *recorder) remember(e control.Event) {
	r.mu.Lock()
	if len(r.history) >= historySize {
		r.history = slices.Delete(r.history, 0, 1)
	}
	r.history = append(r.history, e)
	r.mu.Unlock()
	if r.book == nil {
		return
	}
	if err := r.book.add(r.history); err != nil { // nobody else changes it
		r.failed("the next agent will not know the history", err)
	}
}

func (r *recorder) takeLost() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.lost
	r.lost = 0
	return n
}

func (r *recorder) put(e entry) {
	e.event.Time = time.Now()
	select {
	case r.entries <- e:
	default:
		r.mu.Lock()
		r.lost++
		r.mu.Unlock()
	}
}

// events returns the history, oldest first.
func (r *recorder) events() []control.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.history)
}

// moves returns the last few changes of state, oldest first.
func (r *recorder) moves(n int) []control.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []control.Event
	for _, e := range slices.Backward(r.history) {
		if e.Kind == control.KindTransition && len(out) < n {
			out = append(out, e)
		}
	}
	slices.Reverse(out)
	return out
}

// move is a change of state and what is told of it.
type move struct {
	vrrp.Transition
	cause    string
	gap      time.Duration // since the last advertisement before ours; 0: unknown
	priority uint8         // as advertised from now
}

// transition records a change of state.
func (r *recorder) transition(i id, cfg config.VIP, iface string, t move) {
	ev := control.Event{
		Kind: control.KindTransition, VIP: i.VIP, Family: i.Family.String(), VRID: cfg.VRID,
		From: t.From.String(), To: t.To.String(), Code: t.Cause.String(), Cause: t.cause,
		Gap: control.Duration(t.gap.Round(time.Microsecond)),
	}
	if t.Peer.IsValid() {
		ev.Peer = t.Peer.String()
	}
	r.put(entry{event: ev, level: slog.LevelInfo, msg: "now " + t.To.String(), attrs: append(about(i, cfg, iface),
		slog.String("state", t.To.String()), slog.String("from", t.From.String()), slog.String("cause", t.cause)),
		facts: factsOf(happeningOf(t.To), i, cfg, iface, t.priority)})
}

func about(i id, cfg config.VIP, iface string) []slog.Attr {
	return []slog.Attr{
		slog.String("vip", i.VIP), slog.String("family", i.Family.String()),
		slog.Int("vrid", int(cfg.VRID)), slog.String("interface", iface),
	}
}

// health records a change of the verdict.
func (r *recorder) health(from, to vrrp.Grade, cause string) {
	level := slog.LevelWarn
	if to == vrrp.Ready {
		level = slog.LevelInfo
	}
	r.put(entry{event: control.Event{Kind: control.KindHealth, From: from.String(), To: to.String(), Cause: cause}, level: level,
		msg: "API server is " + to.String(), attrs: []slog.Attr{slog.String("grade", to.String()), slog.String("cause", cause)}, facts: facts{event: config.Happening(to.String())}})
}

// drain records that the operator drained or resumed the node.
func (r *recorder) drain(words string) {
	r.put(entry{event: control.Event{Kind: control.KindDrain, Cause: words}, level: slog.LevelInfo, msg: words})
}

// reload records what became of a new configuration.
func (r *recorder) reload(words string) {
	r.put(entry{event: control.Event{Kind: control.KindReload, Cause: words}, level: slog.LevelInfo, msg: words})
}

// conflict records that another station says it has a VIP.
func (r *recorder) conflict(i id, cfg config.VIP, iface, words string) {
	r.put(entry{event: control.Event{Kind: control.KindConflict, VIP: i.VIP, Family: i.Family.String(), VRID: cfg.VRID, Cause: words},
		level: slog.LevelError, msg: "address conflict", attrs: append(about(i, cfg, iface), slog.String("cause", words)),
		facts: factsOf(config.OnConflict, i, cfg, iface, 0)})
}

// odd logs what somebody on the network does wrong.
func (r *recorder) odd(i id, words string) {
	r.put(entry{level: slog.LevelWarn, msg: words, attrs: []slog.Attr{slog.String("vip", i.VIP), slog.String("family", i.Family.String())}})
}

// muted logs that advertisements do not go out, or do again.
func (r *recorder) muted(i id, cfg config.VIP, on bool) {
	words, level := "advertisements go out again", slog.LevelInfo
	if on {
		words, level = "advertisements do not go out: other nodes will take the VIP; check the firewall (protocol 112 out) and the interface", slog.LevelError
	}
	r.put(entry{event: control.Event{Kind: control.KindConflict, VIP: i.VIP, Family: i.Family.String(), VRID: cfg.VRID, Cause: words},
		level: level, msg: words, attrs: []slog.Attr{slog.String("vip", i.VIP), slog.String("family", i.Family.String())}})
}

// sendFailed logs, once a minute, why an advertisement did not go out.
func (r *recorder) sendFailed(i id, cfg config.VIP, dst netip.Addr, err error) {
	if r.first("send " + i.VIP + dst.String() + err.Error()) {
		r.put(entry{level: slog.LevelWarn, msg: "an advertisement did not go out", attrs: []slog.Attr{
			slog.String("vip", i.VIP), slog.Int("vrid", int(cfg.VRID)), slog.String("to", dst.String()), slog.String("error", err.Error())}})
	}
}

// claimed logs that the addresses cannot be put on the interface, or can again.
func (r *recorder) claimed(i id, cfg config.VIP, err error) {
	if err == nil {
		r.put(entry{level: slog.LevelInfo, msg: "the addresses are on the interface", attrs: []slog.Attr{slog.String("vip", i.VIP)}})
		return
	}
	r.put(entry{level: slog.LevelError, msg: "cannot put the addresses on the interface", attrs: []slog.Attr{
		slog.String("vip", i.VIP), slog.Int("vrid", int(cfg.VRID)), slog.String("error", err.Error())}})
}

// holderFailed logs, once a minute, what else could not be done to the addresses.
func (r *recorder) holderFailed(i id, e vip.Event) {
	if r.first("holder " + i.String() + e.Op.String() + e.Err.Error()) {
		r.put(entry{level: slog.LevelWarn, msg: "could not " + e.Op.String() + " the addresses", attrs: []slog.Attr{
			slog.String("vip", i.VIP), slog.String("family", i.Family.String()), slog.String("error", e.Err.Error())}})
	}
}

// renamed logs that an interface has another name.
func (r *recorder) renamed(from, to string) {
	r.put(entry{level: slog.LevelInfo, msg: "the interface has another name", saves: true,
		attrs: []slog.Attr{slog.String("from", from), slog.String("interface", to)}})
}

// moved logs that a router's advertisements come from another address.
func (r *recorder) moved(i id, iface string, src netip.Addr) {
	r.put(entry{level: slog.LevelInfo, msg: "this node has another address", saves: true, attrs: []slog.Attr{
		slog.String("vip", i.VIP), slog.String("family", i.Family.String()), slog.String("interface", iface), slog.String("source", src.String())}})
}

// waiting logs what keeps the routers of an interface from running.
func (r *recorder) waiting(iface string, f vrrp.Family, why string) {
	if r.first("waiting " + iface + f.String() + why) {
		r.put(entry{level: slog.LevelWarn, msg: why, attrs: []slog.Attr{slog.String("interface", iface), slog.String("family", f.String())}})
	}
}

// sibling logs, once a minute, that another interface of this host answers for an address.
func (r *recorder) sibling(iface, other string, addr netip.Addr) {
	if r.first("sibling " + iface + other + addr.String()) {
		words := "another interface of this host answers too: sysctl net.ipv4.conf." + other + ".arp_ignore=1"
		r.put(entry{level: slog.LevelWarn, msg: words, attrs: []slog.Attr{
			slog.String("address", addr.String()), slog.String("interface", iface), slog.String("other", other)}})
	}
}

// clockSet logs that the host's clock was set, and what follows.
func (r *recorder) clockSet(words string, by time.Duration) {
	r.put(entry{level: slog.LevelWarn, msg: words, saves: true, attrs: []slog.Attr{slog.Duration("by", by)}})
}

// failed logs, once a minute, an error that the agent can go on after.
func (r *recorder) failed(what string, err error) {
	if r.first(what + err.Error()) {
		r.put(entry{level: slog.LevelWarn, msg: what, attrs: []slog.Attr{slog.String("error", err.Error())}})
	}
}

// closed logs what went wrong on closing something of an interface.
func (r *recorder) closed(iface string, errs ...error) {
	if err := errors.Join(errs...); err != nil {
		r.put(entry{level: slog.LevelDebug, msg: "close", attrs: []slog.Attr{slog.String("interface", iface), slog.String("error", err.Error())}})
	}
}

// first reports whether the same was not said within the last minute.
func (r *recorder) first(what string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if now.Sub(r.said[what]) < sayAgain {
		return false
	}
	if len(r.said) > backlog {
		clear(r.said)
	}
	r.said[what] = now
	return true
}

// announced records that a route is announced in another way, or not any more.
func (r *recorder) announced(i id, cfg config.VIP, iface string, was, now routeView, cause string) {
	ev := control.Event{
		Kind: control.KindRoute, VIP: i.VIP, Family: i.Family.String(), From: was.standing.String(), To: now.standing.String(),
		Code: now.standing.String(), Cause: cause,
	}
	about := []slog.Attr{slog.String("vip", i.VIP), slog.String("family", i.Family.String()), slog.String("interface", iface)}
	words := "route is " + now.standing.String()
	if was.standing == now.standing {
		words = "now " + now.state.String()
	}
	e := entry{level: slog.LevelInfo, msg: words, attrs: append(about, slog.String("standing", now.standing.String()), slog.String("from", was.standing.String()), slog.String("cause", cause)), event: ev}
	if was.state != now.state {
		e.event.Kind, e.event.From, e.event.To = control.KindTransition, was.state.String(), now.state.String()
		e.facts = factsOf(happeningOf(now.state), i, cfg, iface, 0)
	}
	r.put(e)
}

// session records what became of a session with a router.
func (r *recorder) session(e bgp.Event) {
	if first := r.first("session " + e.Words); e.Repeat && !first {
		return
	}
	level := slog.LevelWarn
	if e.Up {
		level = slog.LevelInfo
	}
	ev := control.Event{Kind: control.KindSession, Peer: e.Peer.String(), Cause: e.Words}
	if e.Repeat {
		ev = control.Event{} // the history has it
	}
	r.put(entry{event: ev, level: level, msg: e.Words, attrs: []slog.Attr{slog.String("peer", e.Peer.String())}})
}
