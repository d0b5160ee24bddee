package vip

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/vipd/vipd/vrrp"
)

// Keeper does the work of the Holders of one address family in one goroutine. What
// several of them ask for at a time goes to the kernel together, so that many virtual
// routers cost little more than one: neither a thread nor a look at all addresses each.
//
// Renewals come first, for addresses hang on them, announcements last and one Holder's
// at a time: the interface's queue may be full.
type Keeper struct {
	f    vrrp.Family
	rt   *rtnl
	nl   *netlink.Handle
	diag *diag

	mu      sync.Mutex
	waiting []*Holder // have work to do
	wake    chan struct{}

	// Owned by Run, the first three to leave no garbage: renewals never end.
	jobs   []job
	batch  []assigned
	all    []assigned
	known  bool // whether what follows is
	listed time.Time
	there  map[place]struct{}
	macs   map[int]net.HardwareAddr // of links, as far as they were asked for
}

// listAge bounds the age of a list of addresses that is still good for a renewal or an
// announcement: an address that was taken off in the meantime is put back out of order
// at worst, and only for as long as its claim takes, which follows when the loss is
// noticed.
const listAge = 50 * time.Millisecond

// job is a piece of work and whose it is.
type job struct {
	*Holder
	work
	addrs []netip.Addr // to be put
	err   error
}

// age is how long ago the election loop asked for it.
func (j *job) age() time.Duration { return j.cfg.Clock().Sub(j.token) }

// NewKeeper opens the sockets of a Keeper.
func NewKeeper(f vrrp.Family) (*Keeper, error) {
	k := &Keeper{f: f, wake: make(chan struct{}, 1), there: make(map[place]struct{}), macs: make(map[int]net.HardwareAddr)}
	if err := k.open(); err != nil {
		return nil, errors.Join(err, k.Close())
	}
	return k, nil
}

func (k *Keeper) open() (err error) {
	if k.rt, err = newRtnl(); err != nil {
		return err
	}
	if k.nl, err = netlink.NewHandle(unix.NETLINK_ROUTE); err != nil {
		return fmt.Errorf("open netlink: %w", err)
	}
	k.diag, err = newDiag()
	return err
}

// Close closes the sockets. Run must have returned.
func (k *Keeper) Close() error {
	var err error
	if k.rt != nil {
		err = k.rt.close()
	}
	if k.nl != nil {
		k.nl.Close()
	}
	if k.diag != nil {
		k.diag.close()
	}
	return err
}

// Run works until ctx ends, and then returns nil. It has to outlast its Holders.
func (k *Keeper) Run(ctx context.Context) error {
	for {
		jobs := k.take()
		if len(jobs) > 0 {
			k.do(jobs)
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-k.wake:
		}
	}
}

// ready is told that a Holder has work.
func (k *Keeper) ready(h *Holder) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !h.waiting {
		h.waiting = true
		k.waiting = append(k.waiting, h)
	}
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// urgency is the order in which the operations have their turn.
var urgency = [...]Op{OpRenew, OpClaim, OpRelease, OpAnnounce}

// take returns what is most urgent, of each Holder at most one piece of work.
func (k *Keeper) take() []job {
	k.mu.Lock()
	defer k.mu.Unlock()
	clear(k.jobs) // of Holders that may be closed by now
	jobs := k.jobs[:0]
	for _, op := range urgency {
		for _, h := range k.waiting {
			if w, ok := h.queue.take(op); ok {
				jobs = append(jobs, job{Holder: h, work: w})
			}
			if op == OpAnnounce && len(jobs) > 0 {
				break
			}
		}
		if len(jobs) > 0 {
			break
		}
	}
	k.waiting = slices.DeleteFunc(k.waiting, func(h *Holder) bool {
		h.waiting = !h.queue.empty()
		return !h.waiting
	})
	k.jobs = jobs
	return jobs
}

// do does jobs of one kind.
func (k *Keeper) do(jobs []job) {
	op := jobs[0].op
	switch op {
	case OpClaim:
		k.claim(jobs)
	case OpRenew:
		k.renew(jobs)
	case OpRelease:
		k.release(jobs)
	case OpAnnounce:
		k.announce(jobs)
	}
	for _, j := range jobs {
		j.cfg.Report(Event{Op: op, Err: j.err})
		j.queue.done()
	}
}

func (k *Keeper) claim(jobs []job) {
	err := k.list()
	k.known = false
	for i := range jobs {
		j := &jobs[i]
		switch {
		case err != nil:
			j.err = err
		case j.mac != nil:
			j.err = j.mac.up()
		default:
			j.err = j.keepOrder(k.rt, k.all)
		}
		j.claimed = j.claimed || j.err == nil
		j.addrs = j.cfg.Addrs
	}
	k.put(jobs)
	deadline := time.Now().Add(serviceTimeout)
	for i := range jobs {
		if j := &jobs[i]; j.err == nil {
			j.err = awaitService(k.nl, j.addrs, deadline)
		}
	}
}

func (k *Keeper) renew(jobs []job) {
	err := k.look()
	for i := range jobs {
		j := &jobs[i]
		if j.claimed && err != nil {
			j.err = err
			continue
		}
		j.addrs = k.held(j.Holder)
	}
	k.put(jobs)
	for i := range jobs {
		j := &jobs[i]
		if gone := len(j.cfg.Addrs) - len(j.addrs); j.err == nil && gone > 0 {
			j.err = fmt.Errorf("%d of %d addresses: %w", gone, len(j.cfg.Addrs), ErrGone)
		}
	}
}

// put adds or renews the addresses of jobs, as long as their tokens are fresh.
func (k *Keeper) put(jobs []job) {
	batch := k.batch[:0]
	first := 0
	for i := range jobs {
		j := &jobs[i]
		if age := j.age(); j.err == nil && age > maxAge {
			j.err = fmt.Errorf("put %v: after %v: %w", j.addrs, age, ErrStale)
		}
		if j.err == nil {
			for _, a := range j.addrs {
				batch = append(batch, leased(a, j.Link().Index))
			}
		}
		if len(batch) >= rtnlBatch || i == len(jobs)-1 {
			k.write(jobs[first:i+1], batch)
			batch, first = batch[:0], i+1
		}
	}
	k.batch = batch
}

// write puts the addresses of those jobs that have not failed yet.
func (k *Keeper) write(jobs []job, batch []assigned) {
	errs := k.rt.put(batch)
	n := 0
	for i := range jobs {
		j := &jobs[i]
		if j.err != nil {
			continue
		}
		mine := batch[n : n+len(j.addrs)]
		if errs != nil {
			j.err = errors.Join(errs[n : n+len(mine)]...)
		}
		n += len(mine)
		// A write that was blocked for longer than the lease has put back an
		// address that had expired.
		if age := j.age(); age >= Lease && len(mine) > 0 {
			err := k.rt.remove(mine...)
			j.err = errors.Join(fmt.Errorf("put %v: blocked for %v: %w", j.addrs, age, ErrStale), err)
		}
	}
}

func (k *Keeper) release(jobs []job) {
	k.known = false
	var all []netip.Addr
	for _, j := range jobs {
		j.claimed = false
		all = append(all, j.cfg.Addrs...)
	}
	left := k.diag.destroy(all)
	for i := range jobs {
		j := &jobs[i]
		var errs []error
		if left != nil {
			errs = append(errs, fmt.Errorf("%w: %w", ErrConnectionsLeft, left))
		}
		if j.mac != nil {
			// Before the addresses go: leaving their groups would tell switches that
			// the virtual MAC is still here.
			errs = append(errs, j.mac.down())
		}
		var mine []assigned
		for _, a := range j.cfg.Addrs {
			mine = append(mine, single(a, j.Link().Index))
		}
		j.err = errors.Join(append(errs, k.rt.remove(mine...))...)
	}
}

func (k *Keeper) announce(jobs []job) {
	err := k.look()
	for i := range jobs {
		j := &jobs[i]
		if !j.claimed {
			continue
		}
		if err != nil {
			j.err = err
			continue
		}
		j.err = k.tell(j.Holder)
	}
}

func (k *Keeper) tell(h *Holder) error {
	held := k.held(h)
	if len(held) == 0 || h.out == nil {
		return nil
	}
	mac, err := k.macOf(h.Link())
	if err != nil || !h.queue.wanted() { // the kernel may have let us wait
		return err
	}
	return h.out.announce(mac, held)
}

// macOf asks for a link's MAC each time, nearly, for a bond changes it when it fails over.
func (k *Keeper) macOf(ifi *net.Interface) (net.HardwareAddr, error) {
	if mac, ok := k.macs[ifi.Index]; ok {
		return mac, nil
	}
	link, err := k.nl.LinkByIndex(ifi.Index)
	if err != nil {
		return nil, fmt.Errorf("look up %s: %w", ifi.Name, err)
	}
	k.macs[ifi.Index] = link.Attrs().HardwareAddr
	return link.Attrs().HardwareAddr, nil
}

// look sees to it that the Keeper knows which addresses are where.
func (k *Keeper) look() error {
	now := time.Now()
	if k.known && now.Sub(k.listed) < listAge {
		return nil
	}
	err := k.list()
	k.known, k.listed = err == nil, now
	clear(k.there)
	clear(k.macs)
	for _, a := range k.all {
		k.there[place{a.index, a.Addr()}] = struct{}{}
	}
	return err
}

func (k *Keeper) list() (err error) {
	k.all, err = k.rt.appendList(k.all[:0], k.f)
	return err
}

// held returns those of the addresses that a Holder has claimed which are still there.
func (k *Keeper) held(h *Holder) []netip.Addr {
	missing := func(a netip.Addr) bool {
		_, ok := k.there[place{h.Link().Index, a}]
		return !ok
	}
	switch {
	case !h.claimed:
		return nil
	case !slices.ContainsFunc(h.cfg.Addrs, missing):
		return h.cfg.Addrs
	}
	return slices.DeleteFunc(slices.Clone(h.cfg.Addrs), missing)
}
