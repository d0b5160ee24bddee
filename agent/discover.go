package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/vipd/vipd/config"
	"github.com/vipd/vipd/vip"
	"github.com/vipd/vipd/vrrp"
	"github.com/vipd/vipd/vrrp/transport"
)

// listenFor is how long Discover listens for VRIDs in use: three intervals of a
// router with the protocol's default of one second.
const listenFor = 3100 * time.Millisecond

// Wish is what the operator wants of a new configuration. What is left empty is
// found out.
type Wish struct {
	Addresses      []netip.Addr
	Interface      string
	VRID           uint8
	Priority       uint8
	AdvertInterval time.Duration
}

// Discover makes the draft of a configuration from a wish and from what it finds
// on the host and its network.
func Discover(ctx context.Context, w Wish) (config.Draft, error) {
	d := config.Draft{
		Addresses: w.Addresses, Interface: w.Interface, VRID: w.VRID, Priority: w.Priority, AdvertInterval: w.AdvertInterval,
		Why: make(map[string]string),
	}
	iface := w.Interface
	if iface == "" {
		ifi, err := vip.InterfaceFor(w.Addresses[0])
		if err != nil {
			return d, fmt.Errorf("%w; or name one with --interface", err)
		}
		// It may have another name on the next server, so it is not written down.
		iface = ifi.Name
		d.Why["vip.addresses"] = "here on " + iface + ", whose subnet holds it; each server finds its own interface"
	}
	if d.VRID == 0 {
		if err := chooseVRID(ctx, iface, &d); err != nil {
			return d, err
		}
	}
	return d, nil
}

// chooseVRID listens to the segment, and joins the group that has the addresses
// already or picks a VRID that nobody uses.
func chooseVRID(ctx context.Context, iface string, d *config.Draft) error {
	ifi, err := net.InterfaceByName(iface)
	if err != nil {
		return fmt.Errorf("find interface %s: %w", iface, err)
	}
	f := vrrp.FamilyOf(d.Addresses[0])
	heard, err := listen(ctx, ifi, f)
	if errors.Is(err, os.ErrPermission) {
		return errors.New("cannot listen for VRIDs in use without root: run vipd init as root, or choose one with --vrid")
	}
	if err != nil {
		return err
	}
	if v, ok := heard.with(ofFamily(d.Addresses, f)); ok {
		join(d, v, heard[v])
		return nil
	}
	v, ok := heard.free(d.Addresses[0])
	if !ok {
		return fmt.Errorf("every VRID is in use on %s", ifi.Name)
	}
	d.VRID = v
	d.Why["vip.vrid"] = fmt.Sprintf("nobody on %s was heard to use it (others heard: %d); all servers need the same", ifi.Name, len(heard))
	return nil
}

// join takes over what routers of a group have to agree on.
func join(d *config.Draft, v uint8, a announced) {
	d.VRID = v
	d.Why["vip.vrid"] = fmt.Sprintf("%s advertises the addresses with it: this server joins", a.src)
	if a.signed {
		d.Why["vip.vrid"] += "; it signs them, so add the [auth] of its vipd.toml here"
	}
	if d.AdvertInterval == 0 && a.interval >= 10*time.Millisecond && a.interval != config.Default().VIPs[0].AdvertInterval {
		d.AdvertInterval = a.interval
		d.Why["vip.advert_interval"] = "that of " + a.src.String()
	}
}

// segmentVRIDs are those in use on a segment.
type segmentVRIDs map[uint8]announced

// announced is what was heard for a VRID last.
type announced struct {
	src      netip.Addr
	addrs    []netip.Addr // none if it was not version 3
	interval time.Duration
	signed   bool
}

// with returns the VRID with which just these addresses are advertised.
func (s segmentVRIDs) with(addrs []netip.Addr) (uint8, bool) {
	want := slices.SortedFunc(slices.Values(addrs), netip.Addr.Compare)
	for v := 1; v <= 255; v++ {
		a, ok := s[uint8(v)]
		if ok && slices.Equal(slices.SortedFunc(slices.Values(a.addrs), netip.Addr.Compare), want) {
			return uint8(v), true
		}
	}
	return 0, false
}

// free returns the first VRID that is not in use, from the last byte of the address
// on: so each server comes to the same one without having heard another.
func (s segmentVRIDs) free(a netip.Addr) (uint8, bool) {
	b := a.AsSlice()
	from := int(b[len(b)-1])
	for i := range 256 {
		v := uint8(from + i)
		if _, used := s[v]; !used && v != 0 {
			return v, true
		}
	}
	return 0, false
}

// listen collects what is advertised, in either version.
func listen(ctx context.Context, ifi *net.Interface, f vrrp.Family) (segmentVRIDs, error) {
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
	heard := make(segmentVRIDs)
	for v := 1; v <= 255; v++ {
		err := recv.Handle(uint8(v), func(d *transport.Datagram) {
			a := announced{src: d.Src}
			var p vrrp.Packet
			if n, why := p.Parse(f, d.Payload); why == vrrp.Accepted {
				a.addrs, a.interval, a.signed = p.Addrs, p.Interval, n < len(d.Payload)
			}
			mu.Lock()
			heard[uint8(v)] = a
			mu.Unlock()
		})
		if err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, listenFor)
	defer cancel()
	if err := recv.Run(ctx); err != nil {
		return nil, err
	}
	mu.Lock()
	defer mu.Unlock()
	return heard, nil
}
