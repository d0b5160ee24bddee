package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/vipd/vipd/vip"
	"github.com/vipd/vipd/vrrp"
	"github.com/vipd/vipd/vrrp/transport"
)

// listenFor is how long Discover listens for VRIDs in use: three intervals of a
// router with the protocol's default of one second. As long, each second, it asks who has
// the addresses (RFC 5227, section 2.1.1, has three probes too).
const listenFor = 3100 * time.Millisecond

// survey is what others do where the addresses of one family belong.
type survey struct {
	home
	routers []announced // by VRID and source
	claims  []vip.Heard
}

// announced is what was heard of a router for a VRID last.
type announced struct {
	vrid     uint8
	src      netip.Addr
	addrs    []netip.Addr // none if it was not version 3
	interval time.Duration
	signed   bool
	unicast  bool // not to the group
}

// surveys are those of the families that the addresses have.
type surveys []survey

// surveyAll looks at all places at a time.
func surveyAll(ctx context.Context, homes []home) (surveys, error) {
	limited, cancel := context.WithTimeout(ctx, listenFor)
	defer cancel()
	all := make(surveys, len(homes))
	group, until := errgroup.WithContext(limited)
	for i, h := range homes {
		s := &all[i]
		s.home = h
		group.Go(func() (err error) {
			s.routers, err = listen(until, h.ifi, h.family)
			return err
		})
		group.Go(func() (err error) {
			s.claims, err = vip.Claims(until, h.ifi, h.addrs)
			return err
		})
	}
	err := group.Wait()
	if errors.Is(err, os.ErrPermission) {
		return nil, noPermissionError{err}
	}
	if err == nil && ctx.Err() != nil {
		return nil, errors.New("interrupted before all was heard: nothing was written")
	}
	return all, err
}

// noPermissionError says what to do where one may neither listen nor ask.
type noPermissionError struct{ error }

func (noPermissionError) Error() string {
	return "cannot listen for VRIDs in use without root: run vipd init as root, or choose one with --vrid"
}

func (e noPermissionError) Unwrap() error { return e.error }

// listen collects what is advertised, in either version.
func listen(ctx context.Context, ifi *net.Interface, f vrrp.Family) ([]announced, error) {
	c, err := newClock()
	if err != nil {
		return nil, err
	}
	recv, err := transport.NewReceiver(ifi, f, c.now)
	if err != nil {
		return nil, err
	}
	defer recv.Close()
	var mu sync.Mutex
	var heard []announced
	for v := 1; v <= 255; v++ {
		err := recv.Handle(uint8(v), func(d *transport.Datagram) {
			a := announced{vrid: uint8(v), src: d.Src, unicast: !d.Dst.IsMulticast()}
			var p vrrp.Packet
			if n, why := p.Parse(f, d.Payload); why == vrrp.Accepted {
				a.addrs, a.interval, a.signed = p.Addrs, p.Interval, n < len(d.Payload)
			}
			mu.Lock()
			defer mu.Unlock()
			heard = note(heard, a)
		})
		if err != nil {
			return nil, err
		}
	}
	if err := recv.Run(ctx); err != nil {
		return nil, err
	}
	mu.Lock()
	defer mu.Unlock()
	return heard, nil
}

// maxHeard bounds how many routers are kept: there are 255 VRIDs, and what goes beyond
// some for each is a flood.
const maxHeard = 1024

// note puts what was heard of a router in its place, instead of what was heard before.
func note(heard []announced, a announced) []announced {
	i, known := slices.BinarySearchFunc(heard, a, func(x, y announced) int {
		return cmp.Or(cmp.Compare(x.vrid, y.vrid), x.src.Compare(y.src))
	})
	switch {
	case known:
		heard[i] = a
	case len(heard) < maxHeard:
		heard = slices.Insert(heard, i, a)
	}
	return heard
}

// group returns the router that advertises just these addresses.
func (s survey) group() (announced, bool) {
	i := slices.IndexFunc(s.routers, func(r announced) bool { return same(r.addrs, s.addrs) })
	if i < 0 {
		return announced{}, false
	}
	return s.routers[i], true
}

// same compares without regard to order.
func same(a, b []netip.Addr) bool {
	sorted := func(l []netip.Addr) []netip.Addr { return slices.SortedFunc(slices.Values(l), netip.Addr.Compare) }
	return slices.Equal(sorted(a), sorted(b))
}

// claimants are the stations that say that an address is theirs.
func (s survey) claimants(a netip.Addr) []string {
	var macs []string
	for _, c := range s.claims {
		if c.Addr == a {
			macs = append(macs, c.MAC.String())
		}
	}
	return macs
}

// version2 tells of routers of which it is not known what they have.
func (s survey) version2() string {
	i := slices.IndexFunc(s.routers, func(r announced) bool { return len(r.addrs) == 0 })
	if i < 0 {
		return ""
	}
	return fmt.Sprintf(", perhaps %s, which advertises VRID %d in a version of VRRP that vipd does not join", s.routers[i].src, s.routers[i].vrid)
}

// on says what a router does.
func (r announced) on(s survey) string {
	if len(r.addrs) == 0 {
		return fmt.Sprintf("%s advertises it on %s in another version of VRRP", r.src, s.ifi.Name)
	}
	return fmt.Sprintf("%s advertises %s with it on %s", r.src, addresses(r.addrs), s.ifi.Name)
}

// group returns the router that advertises just the addresses of a family, if all such
// have one VRID. It refuses what cannot be joined.
func (all surveys) group() (*announced, error) {
	var found *announced
	for _, s := range all {
		for _, r := range s.routers {
			if !same(r.addrs, s.addrs) {
				if err := s.overlap(r); err != nil {
					return nil, err
				}
				continue
			}
			if found != nil && found.vrid != r.vrid {
				return nil, fmt.Errorf("%s advertises %s with VRID %d, and %s %s with VRID %d: each needs a [[vip]] of its own, from a vipd init for each; one address with two VRIDs is an error of those servers",
					found.src, addresses(found.addrs), found.vrid, r.src, addresses(r.addrs), r.vrid)
			}
			if found == nil {
				found = &r
			}
		}
	}
	return found, nil
}

// overlap refuses a router that has some of the addresses, and others or not all.
func (s survey) overlap(r announced) error {
	for _, a := range s.addrs {
		if slices.Contains(r.addrs, a) {
			return fmt.Errorf("%s advertises %s with VRID %d as one virtual router: to join it give just these as --address, else take others", r.src, addresses(r.addrs), r.vrid)
		}
	}
	return nil
}

// stranger returns a router that uses a VRID for other addresses, and where.
func (all surveys) stranger(vrid uint8) (survey, announced, bool) {
	for _, s := range all {
		for _, r := range s.routers {
			if r.vrid == vrid && !same(r.addrs, s.addrs) {
				return s, r, true
			}
		}
	}
	return survey{}, announced{}, false
}

// used tells which VRIDs were heard, in any family: a [[vip]] has one for both.
func (all surveys) used() map[uint8]bool {
	used := make(map[uint8]bool)
	for _, s := range all {
		for _, r := range s.routers {
			used[r.vrid] = true
		}
	}
	return used
}

func (all surveys) vrids() int { return len(all.used()) }

// free returns the first VRID that is not in use, from the last byte of the address
// on: so each server comes to the same one without having heard another.
func (all surveys) free(a netip.Addr) (uint8, bool) {
	used := all.used()
	b := a.AsSlice()
	from := int(b[len(b)-1])
	for i := range 256 {
		if v := uint8(from + i); v != 0 && !used[v] {
			return v, true
		}
	}
	return 0, false
}

// suggestion names a VRID that is free, if there is one.
func (all surveys) suggestion(a netip.Addr) string {
	v, ok := all.free(a)
	if !ok {
		return ""
	}
	return fmt.Sprintf(" (such as %d)", v)
}

// where names the interfaces.
func (all surveys) where() string {
	var names []string
	for _, s := range all {
		if !slices.Contains(names, s.ifi.Name) {
			names = append(names, s.ifi.Name)
		}
	}
	return strings.Join(names, " and ")
}

// unclaimed tells whether nobody answered for any address.
func (all surveys) unclaimed() bool {
	return !slices.ContainsFunc(all, func(s survey) bool { return len(s.claims) > 0 })
}
