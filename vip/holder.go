package vip

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/vipd/vipd/vrrp"
)

// Holder keeps the addresses of one virtual router on one interface. Claim,
// Renew, Release and Announce hand work to its Keeper and never block: a netlink write
// can wait long for the kernel's lock.
//
// Work is done in the order handed in, except that waiting renewals become one
// and that a Release drops all that waits before it.
type Holder struct {
	cfg   Config
	f     vrrp.Family
	queue queue
	out   *Announcer
	mac   *macvlan // nil without a virtual MAC

	waiting bool // guarded by the Keeper

	// Owned by the Keeper's goroutine.
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
	Routed     bool                // routes lead to the addresses: none is announced, and Interface need have no other
	Clock      func() vrrp.Instant // safe for concurrent use
	Keeper     *Keeper             // of the family; shared by its Holders
	Announcer  *Announcer          // shared by the Holders of a family on Interface; nil, or a virtual MAC: one of its own
	Report     func(Event)         // told of the end of each operation, by the Keeper; must not block
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
	h := &Holder{cfg: cfg, f: f}
	if err := h.open(); err != nil {
		return nil, errors.Join(fmt.Errorf("hold addresses on %s: %w", cfg.Interface.Name, err), h.Close())
	}
	return h, nil
}

func (h *Holder) open() (err error) {
	if h.cfg.VirtualMAC {
		if h.mac, err = newMacvlan(h.cfg.Keeper.nl, h.cfg.Keeper.rt, h.cfg.Interface, h.f, h.cfg.VRID); err != nil {
			return err
		}
	}
	if h.cfg.Routed {
		return nil
	}
	if h.sharesAnnouncer() {
		h.out = h.cfg.Announcer
		return nil
	}
	h.out, err = NewAnnouncer(h.Link(), h.f)
	return err
}

func (h *Holder) sharesAnnouncer() bool { return h.cfg.Announcer != nil && !h.cfg.VirtualMAC }

// Close removes the macvlan, if there is one, and closes the sockets. A Release that was
// handed in before is still carried out, anything else that waits is dropped; the
// Keeper must be running. Claimed addresses are left to their lease: see Release.
func (h *Holder) Close() error {
	h.queue.finish()
	var errs []error
	if h.mac != nil {
		errs = append(errs, h.mac.close())
	}
	if h.out != nil && !h.sharesAnnouncer() {
		errs = append(errs, h.out.Close())
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
func (h *Holder) Claim() { h.put(work{op: OpClaim, token: h.cfg.Clock()}) }

// Renew extends the lease once. The election loop makes the token, so that a
// hung loop loses its addresses. An address that is gone is not put back, and
// nothing is renewed for a token older than half a Lease.
func (h *Holder) Renew(token vrrp.Instant) { h.put(work{op: OpRenew, token: token}) }

// Release destroys the TCP connections that are open through the addresses, so
// that their clients learn of it now, and takes the addresses off.
func (h *Holder) Release() { h.put(work{op: OpRelease}) }

// Announce tells the network where the addresses are. Those that were not
// claimed or are not on the interface any more are not announced.
func (h *Holder) Announce() { h.put(work{op: OpAnnounce}) }

// Hush drops an announcement that still waits. Of one that had the addresses for a moment
// it would come after that of its successor, and clients would go by it.
func (h *Holder) Hush() { h.queue.drop(OpAnnounce) }

func (h *Holder) put(w work) {
	h.queue.put(w)
	h.cfg.Keeper.ready(h)
}

// keepOrder makes sure that the node's own address comes before the virtual
// ones: K3s and others take the first for the address of the node.
func (h *Holder) keepOrder(r *rtnl, all []assigned) error {
	there := slices.DeleteFunc(slices.Clone(all), func(a assigned) bool { return a.index != h.Link().Index })
	own := slices.IndexFunc(there, func(a assigned) bool { return a.own(h.cfg.Addrs) })
	if own < 0 && !h.cfg.Routed {
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
			if err := r.remove(a); err != nil {
				return err
			}
		}
	}
	return nil
}
