package agent

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
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
		if err := freeVRID(ctx, iface, &d); err != nil {
			return d, err
		}
	}
	return d, nil
}

// freeVRID picks a VRID that nobody on the segment advertises.
func freeVRID(ctx context.Context, iface string, d *config.Draft) error {
	ifi, err := net.InterfaceByName(iface)
	if err != nil {
		return fmt.Errorf("find interface %s: %w", iface, err)
	}
	used, err := heardVRIDs(ctx, ifi, vrrp.FamilyOf(d.Addresses[0]))
	if errors.Is(err, os.ErrPermission) {
		return errors.New("cannot listen for VRIDs in use without root: run vipd init as root, or choose one with --vrid")
	}
	if err != nil {
		return err
	}
	for _, n := range rand.Perm(255) {
		if v := uint8(n + 1); !used[v] {
			d.VRID = v
			d.Why["vip.vrid"] = fmt.Sprintf("nobody on %s was heard to use it (others heard: %d); all servers need the same", ifi.Name, len(used))
			return nil
		}
	}
	return fmt.Errorf("every VRID is in use on %s", ifi.Name)
}

// heardVRIDs listens for advertisements of either version.
func heardVRIDs(ctx context.Context, ifi *net.Interface, f vrrp.Family) (map[uint8]bool, error) {
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
	used := make(map[uint8]bool)
	for v := 1; v <= 255; v++ {
		err := recv.Handle(uint8(v), func(*transport.Datagram) {
			mu.Lock()
			used[uint8(v)] = true
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
	return used, nil
}
