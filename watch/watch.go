package watch

import (
	"context"
	"errors"
	"fmt"

	"net"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/vipd/vipd/vrrp"
)

// Options say what to watch, and for how long.
type Options struct {
	Config    string // path of vipd.toml, which need not exist
	Interface string // "": those of vipd.toml, else that of the default route
	VRID      uint8  // 0: all
	Write     string // path of a pcap file to make; "": none
	Count     int    // packets to show; 0: no end
	Duration  time.Duration
}

// Run shows what it hears on out until ctx ends, the time is over or there was enough. Too
// little within the time is an error.
func Run(ctx context.Context, o Options, out *Printer) (err error) {
	w, err := open(o, out)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	if o.Duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.Duration)
		defer cancel()
	}
	if err := w.listen(ctx); err != nil {
		return err
	}
	if err := w.end(); err != nil {
		return err
	}
	if shown := w.total.Adverts + w.total.Announcements; o.Count > 0 && shown < o.Count && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("heard only %d of %d packets in %v", shown, o.Count, o.Duration)
	}
	return nil
}

// watcher joins the parts.
type watcher struct {
	o     Options
	out   *Printer
	taps  []*tap
	pcap  *recording
	rules *rules
	obs   *observer
	total Total
	start string
}

func open(o Options, out *Printer) (*watcher, error) {
	cfg, byWhat := load(o.Config)
	ifis, err := interfaces(o.Interface, cfg)
	if err != nil {
		return nil, err
	}
	w := &watcher{o: o, out: out, rules: newRules(cfg, ownAddresses(), interfaceOf)}
	for _, ifi := range ifis {
		t, err := openTap(ifi)
		if err != nil {
			return nil, errors.Join(err, w.close())
		}
		w.taps = append(w.taps, t)
	}
	if o.Write != "" {
		if w.pcap, err = record(o.Write); err != nil {
			return nil, errors.Join(err, w.close())
		}
	}
	w.obs = newObserver(w.expected(ifis), w.vips(), time.Now())
	w.start = fmt.Sprintf("listening on %s %s%s", names(ifis), byWhat, w.unreadable())
	return w, nil
}

func names(ifis []*net.Interface) string {
	var list []string
	for _, ifi := range ifis {
		list = append(list, ifi.Name)
	}
	return strings.Join(list, " and ")
}

func (w *watcher) unreadable() string {
	if n := len(w.rules.blind); n > 0 {
		return fmt.Sprintf("; keys that cannot be read here: %d", n)
	}
	return ""
}

// expected returns the elections whose silence is told of.
func (w *watcher) expected(ifis []*net.Interface) []election {
	var list []election
	for _, ifi := range ifis {
		var here []election
		for _, r := range w.rules.routers {
			if r.iface == ifi.Name && w.wanted(r.vip.VRID) {
				here = append(here, election{ifi.Name, r.f, r.vip.VRID})
			}
		}
		if len(here) == 0 {
			here = []election{{ifi.Name, 0, w.o.VRID}}
		}
		list = append(list, here...)
	}
	return list
}

func (w *watcher) vips() []netip.Addr {
	var list []netip.Addr
	for _, r := range w.rules.routers {
		if w.wanted(r.vip.VRID) {
			list = append(list, ofFamily(r.vip.Addresses, r.f)...)
		}
	}
	return list
}

func (w *watcher) wanted(vrid uint8) bool { return w.o.VRID == 0 || w.o.VRID == vrid }

// listen shows what the taps hear. One goroutine does all but the reading.
func (w *watcher) listen(ctx context.Context) error {
	if err := w.out.print(Event{Time: time.Now(), Kind: KindStart, Text: w.start}); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	heard := make(chan captured, 256)
	group, ctx := errgroup.WithContext(ctx)
	for _, t := range w.taps {
		group.Go(func() error { return t.run(ctx, heard) })
	}
	group.Go(func() error {
		defer cancel()
		return w.show(ctx, heard)
	})
	return group.Wait()
}

// lookout is how often silence is looked for.
const lookout = 250 * time.Millisecond

func (w *watcher) show(ctx context.Context, heard <-chan captured) error {
	tick := time.NewTicker(lookout)
	defer tick.Stop()
	for w.o.Count == 0 || w.total.Adverts+w.total.Announcements < w.o.Count {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			for _, s := range w.obs.silences(now) {
				if err := w.out.print(Event{Time: now, Kind: KindSilence, Interface: s.iface, Text: s.text}); err != nil {
					return err
				}
			}
		case c := <-heard:
			if err := w.take(c); err != nil {
				return err
			}
		}
	}
	return nil
}

// take shows one frame, if it is to be shown, and what follows from it.
func (w *watcher) take(c captured) error {
	if c.err != nil {
		return w.out.print(Event{Time: c.at, Kind: KindInterface, Interface: c.ifi.Name, Text: c.ifi.Name + " is down: nothing is heard until it is up"})
	}
	if err := w.pcap.add(c); err != nil {
		return err
	}
	events := w.look(c, time.Now())
	for _, e := range events {
		if err := w.out.print(e); err != nil {
			return err
		}
	}
	return nil
}

func (w *watcher) look(c captured, now time.Time) []Event {
	d, cl := decode(c.frame)
	switch {
	case d != nil:
		return w.lookAdvert(c, d, now)
	case cl != nil:
		return w.lookClaim(c, cl, now)
	}
	return nil
}

func (w *watcher) lookAdvert(c captured, d *datagram, now time.Time) []Event {
	m := readMessage(d)
	if !w.wanted(m.vrid) {
		return nil
	}
	v := w.rules.judge(c.ifi.Name, d, c.own, m.keyID(), c.at)
	w.total.Adverts++
	if v.reason != vrrp.Accepted {
		w.total.Refusals++
	}
	events := []Event{{Time: c.at, Kind: KindAdvertisement, Interface: c.ifi.Name, Own: c.own, Advert: advert(d, m, v)}}
	return w.conflicts(events, c.at, w.obs.advert(c.ifi.Name, d, m, v.reason, now))
}

func (w *watcher) lookClaim(c captured, cl *claim, now time.Time) []Event {
	isVIP, found := w.obs.claim(c.ifi.Name, cl, now)
	var events []Event
	if isVIP && cl.gratuitous {
		w.total.Announcements++
		events = []Event{{Time: c.at, Kind: KindAnnouncement, Interface: c.ifi.Name, Own: c.own,
			Announcement: &Announcement{cl.addr.String(), cl.mac.String(), cl.form}}}
	}
	return w.conflicts(events, c.at, found)
}

func (w *watcher) conflicts(events []Event, at time.Time, found []Conflicting) []Event {
	for _, f := range found {
		w.total.Conflicts++
		events = append(events, Event{Time: at, Kind: KindConflict, Interface: f.iface, Conflict: &f.Conflict, Text: f.text})
	}
	return events
}

// end prints the totals.
func (w *watcher) end() error {
	for _, t := range w.taps {
		w.total.Dropped += t.dropped()
	}
	n := w.total
	text := fmt.Sprintf("advertisements: %d (refused: %d), announcements: %d, conflicts: %d; frames dropped by the kernel: %d",
		n.Adverts, n.Refusals, n.Announcements, n.Conflicts, n.Dropped)
	return w.out.print(Event{Time: time.Now(), Kind: KindEnd, Total: &n, Text: text})
}

func (w *watcher) close() error {
	var errs []error
	for _, t := range w.taps {
		errs = append(errs, t.close())
	}
	return errors.Join(append(errs, w.pcap.close())...)
}
