package vip

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/vipd/vipd/vrrp"
)

// Holder keeps the addresses of one virtual router on one interface. Claim,
// Renew, Release and Announce hand work to the goroutine in Run and never block:
// a netlink write can wait long for the kernel's lock.
//
// Work is done in the order handed in, except that waiting renewals become one
// and that a Release drops all that waits before it.
type Holder struct {
	cfg   Config
	f     vrrp.Family
	queue queue
	nl    *netlink.Handle
	out   *Announcer
	diag  *diag
	mac   *macvlan // nil without a virtual MAC

	claimed bool // what it has not claimed it neither renews nor announces
}

// Lease is the lifetime that the kernel gives a claimed address: unless renewed,
// it goes by itself. The kernel counts whole seconds and may be up to 1.4 s late.
const Lease = 2 * time.Second

// maxAge is the age beyond which a token is worth nothing: while its renewal
// waited, a successor may have claimed the address.
const maxAge = Lease / 2

// Errors that an Event can hold.
var (
	// ErrStale: the operation waited too long to be safe and was not done.
	ErrStale = errors.New("the operation waited too long")
	// ErrGone: an address to be renewed is not on the interface any more.
	ErrGone = errors.New("the address is gone")
	// ErrNoOwnAddress: the interface has no address of its own in the family
	// yet; a virtual address must not be the first.
	ErrNoOwnAddress = errors.New("the interface has no address of its own yet")
	// ErrConnectionsLeft: the addresses are off, but connections through them
	// could not be destroyed.
	ErrConnectionsLeft = errors.New("open connections were left to hang")
)

// Config is what a Holder needs to know.
type Config struct {
	Interface  *net.Interface
	Addrs      []netip.Addr        // of one family
	VRID       uint8               // names the macvlan and its MAC
	VirtualMAC bool                // put the addresses on a macvlan with the virtual router MAC address
	Clock      func() vrrp.Instant // safe for concurrent use
	Census     *Census             // shared by the Holders of a family; nil: one of its own
	Announcer  *Announcer          // shared by the Holders of a family on Interface; nil, or a virtual MAC: one of its own
	Report     func(Event)         // told of the end of each operation, from Run; must not block
}

// Event is the end of an operation.
type Event struct {
	Op  Op
	Err error // nil when it was done in full
}

// Op is an operation of a Holder.
type Op uint8

// The operations.
const (
	OpClaim Op = iota
	OpRenew
	OpRelease
	OpAnnounce
)

var opNames = [...]string{"claim", "renew", "release", "announce"}

func (o Op) String() string { return opNames[o] }

// NewHolder opens the sockets and, with a virtual MAC, makes the macvlan or takes
// over the one that a predecessor left.
func NewHolder(cfg Config) (*Holder, error) {
	if len(cfg.Addrs) == 0 {
		return nil, errors.New("no addresses to hold")
	}
	cfg.Addrs = slices.Clone(cfg.Addrs)
	for i, a := range cfg.Addrs {
		cfg.Addrs[i] = a.Unmap()
	}
	f := vrrp.FamilyOf(cfg.Addrs[0])
	if slices.ContainsFunc(cfg.Addrs, func(a netip.Addr) bool { return vrrp.FamilyOf(a) != f }) {
		return nil, errors.New("addresses of both families in one virtual router")
	}
	if cfg.Census == nil {
		cfg.Census = new(Census)
	}
	h := &Holder{cfg: cfg, f: f, queue: newQueue()}
	if err := h.open(); err != nil {
		return nil, errors.Join(fmt.Errorf("hold addresses on %s: %w", cfg.Interface.Name, err), h.Close())
	}
	return h, nil
}

func (h *Holder) open() (err error) {
	if h.nl, err = netlink.NewHandle(unix.NETLINK_ROUTE); err != nil {
		return fmt.Errorf("open netlink: %w", err)
	}
	if h.diag, err = newDiag(); err != nil {
		return err
	}
	if h.cfg.VirtualMAC {
		if h.mac, err = newMacvlan(h.nl, h.cfg.Interface, h.f, h.cfg.VRID); err != nil {
			return err
		}
	}
	if h.sharesAnnouncer() {
		h.out = h.cfg.Announcer
		return nil
	}
	h.out, err = NewAnnouncer(h.Link(), h.f)
	return err
}

func (h *Holder) sharesAnnouncer() bool { return h.cfg.Announcer != nil && !h.cfg.VirtualMAC }

// Close removes the macvlan, if there is one, and closes the sockets. Run must
// have returned. Claimed addresses are left to their lease: see Release.
func (h *Holder) Close() error {
	var errs []error
	if h.mac != nil {
		errs = append(errs, h.mac.close())
	}
	if h.out != nil && !h.sharesAnnouncer() {
		errs = append(errs, h.out.Close())
	}
	if h.diag != nil {
		h.diag.close()
	}
	if h.nl != nil {
		h.nl.Close()
	}
	return errors.Join(errs...)
}

// Link returns the interface that the addresses are put on, through which
// advertisements have to be sent: the macvlan, which is down unless the addresses
// are claimed, or the configured interface.
func (h *Holder) Link() *net.Interface {
	if h.mac != nil {
		return h.mac.ifi
	}
	return h.cfg.Interface
}

// Claim puts the addresses on the interface with a fresh lease, behind the
// node's own (IPv4; the kernel lists the newest IPv6 address first, whatever is
// done). Addresses that are there already are leased, and moved when they come first.
func (h *Holder) Claim() { h.queue.put(work{op: OpClaim, token: h.cfg.Clock()}) }

// Renew extends the lease once. The election loop makes the token, so that a
// hung loop loses its addresses. An address that is gone is not put back, and
// nothing is renewed for a token older than half a Lease.
func (h *Holder) Renew(token vrrp.Instant) { h.queue.put(work{op: OpRenew, token: token}) }

// Release destroys the TCP connections that are open through the addresses, so
// that their clients learn of it now, and takes the addresses off.
func (h *Holder) Release() { h.queue.put(work{op: OpRelease}) }

// Announce tells the network where the addresses are. Those that were not
// claimed or are not on the interface any more are not announced.
func (h *Holder) Announce() { h.queue.put(work{op: OpAnnounce}) }

// Run does the work until ctx ends, and then returns nil. A Release handed in
// before that is still carried out, anything else that waits is dropped.
func (h *Holder) Run(ctx context.Context) error {
	for {
		w, ok := h.queue.take()
		switch {
		case !ok && ctx.Err() != nil:
			return nil
		case !ok:
			select {
			case <-ctx.Done():
			case <-h.queue.wake:
			}
		case ctx.Err() == nil || w.op == OpRelease:
			h.cfg.Report(Event{Op: w.op, Err: h.do(w)})
		}
	}
}

func (h *Holder) do(w work) error {
	switch w.op {
	case OpClaim:
		return h.claim(w.token)
	case OpRenew:
		return h.renew(w.token)
	case OpRelease:
		return h.release()
	case OpAnnounce:
		return h.announce()
	}
	return nil
}

func (h *Holder) claim(token vrrp.Instant) error {
	there, err := h.list()
	if err != nil {
		return err
	}
	if h.mac != nil {
		err = h.mac.up()
	} else {
		err = h.keepOrder(there)
	}
	if err != nil {
		return err
	}
	h.claimed = true
	if err := h.put(h.cfg.Addrs, token); err != nil {
		return err
	}
	return awaitService(h.nl, h.cfg.Addrs)
}

// keepOrder makes sure that the node's own address comes before the virtual
// ones: K3s and others take the first for the address of the node.
func (h *Holder) keepOrder(there []assigned) error {
	own := slices.IndexFunc(there, func(a assigned) bool { return a.own(h.cfg.Addrs) })
	if own < 0 {
		return fmt.Errorf("waiting for a global %v address on %s: %w", h.f, h.Link().Name, ErrNoOwnAddress)
	}
	for i, a := range there {
		if !slices.Contains(h.cfg.Addrs, a.Addr()) {
			continue
		}
		if !a.IsSingleIP() {
			return fmt.Errorf("%v is on %s already, with a subnet: is it an address of this node's own?", a.Prefix, h.Link().Name)
		}
		if h.f == vrrp.IPv4 && i < own {
			if err := a.remove(h.nl); err != nil {
				return err
			}
		}
	}
	return nil
}

func (h *Holder) renew(token vrrp.Instant) error {
	if !h.claimed {
		return fmt.Errorf("%d addresses: %w", len(h.cfg.Addrs), ErrGone)
	}
	all, err := h.cfg.Census.since(token, h.cfg.Clock, h.nl, h.f)
	if err != nil {
		return err
	}
	held := among(all, h.Link().Index, h.cfg.Addrs)
	if err := h.put(held, token); err != nil {
		return err
	}
	if len(held) < len(h.cfg.Addrs) {
		return fmt.Errorf("%d of %d addresses: %w", len(h.cfg.Addrs)-len(held), len(h.cfg.Addrs), ErrGone)
	}
	return nil
}

// put adds or renews addrs as long as the token is fresh.
func (h *Holder) put(addrs []netip.Addr, token vrrp.Instant) error {
	for _, a := range addrs {
		if age := h.cfg.Clock().Sub(token); age > maxAge {
			return fmt.Errorf("put %v: after %v: %w", a, age, ErrStale)
		}
		if err := leased(a, h.Link().Index).put(h.nl); err != nil {
			return err
		}
		// A write that was blocked for longer than the lease has put back an
		// address that had expired.
		if age := h.cfg.Clock().Sub(token); age >= Lease {
			err := single(a, h.Link().Index).remove(h.nl)
			return errors.Join(fmt.Errorf("put %v: blocked for %v: %w", a, age, ErrStale), err)
		}
	}
	return nil
}

func (h *Holder) release() error {
	h.claimed = false
	var errs []error
	if err := h.diag.destroy(h.cfg.Addrs); err != nil {
		errs = append(errs, fmt.Errorf("%w: %w", ErrConnectionsLeft, err))
	}
	if h.mac != nil {
		// Before the addresses go: leaving their groups would tell switches that
		// the virtual MAC is still here.
		errs = append(errs, h.mac.down())
	}
	for _, a := range h.cfg.Addrs {
		errs = append(errs, single(a, h.Link().Index).remove(h.nl))
	}
	return errors.Join(errs...)
}

func (h *Holder) announce() error {
	held, err := h.held()
	if err != nil || len(held) == 0 {
		return err
	}
	// Asked for each time, for a bond changes its MAC when it fails over.
	link, err := h.nl.LinkByIndex(h.Link().Index)
	if err != nil {
		return fmt.Errorf("look up %s: %w", h.Link().Name, err)
	}
	return h.out.announce(link.Attrs().HardwareAddr, held)
}

// list returns what is on the Holder's link, in the kernel's order.
func (h *Holder) list() ([]assigned, error) {
	all, err := list(h.nl, h.f)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(a assigned) bool { return a.index != h.Link().Index }), nil
}

// held returns those of the claimed addresses that are still on the link.
func (h *Holder) held() ([]netip.Addr, error) {
	if !h.claimed {
		return nil, nil
	}
	all, err := list(h.nl, h.f)
	return among(all, h.Link().Index, h.cfg.Addrs), err
}
