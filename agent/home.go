package agent

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vipd/vipd/agent/control"
	"github.com/vipd/vipd/vip"
	"github.com/vipd/vipd/vrrp"
)

// home is where the addresses of one family belong.
type home struct {
	ifi    *net.Interface
	family vrrp.Family
	addrs  []netip.Addr
}

// unseenError is of an interface on which nobody can be asked or listened to.
type unseenError struct{ error }

// homesOf finds the interface of each family.
func homesOf(w Wish) ([]home, error) {
	var all []home
	for _, f := range []vrrp.Family{vrrp.IPv4, vrrp.IPv6} {
		addrs := ofFamily(w.Addresses, f)
		if len(addrs) == 0 {
			continue
		}
		ifi, err := interfaceFor(w.Interface, addrs)
		if err != nil {
			return nil, err
		}
		if ifi.Flags&net.FlagUp == 0 {
			return nil, unseenError{fmt.Errorf("%s is down: ip link set %s up", ifi.Name, ifi.Name)}
		}
		all = append(all, home{ifi, f, addrs})
	}
	return all, nil
}

// interfaceFor returns the interface of that name, or else the one whose subnets hold all
// the addresses.
func interfaceFor(name string, addrs []netip.Addr) (*net.Interface, error) {
	if name != "" {
		ifi, err := net.InterfaceByName(name)
		if err != nil {
			return nil, unseenError{fmt.Errorf("there is no interface %s on this host: ip link shows what there is", name)}
		}
		return ifi, nil
	}
	var all *net.Interface
	for _, a := range addrs {
		ifi, err := vip.InterfaceFor(a)
		if err != nil {
			return nil, fmt.Errorf("%w; or name one with --interface", err)
		}
		if all != nil && all.Index != ifi.Index {
			return nil, fmt.Errorf("%s belongs on %s, and %s on %s: give each a [[vip]] of its own, or name the interface with --interface", addrs[0], all.Name, a, ifi.Name)
		}
		all = ifi
	}
	return all, nil
}

// checkOnHost refuses addresses that are the host's own, and those that no host of a subnet
// can have.
func checkOnHost(homes []home, own tenants) error {
	all, err := net.Interfaces()
	if err != nil {
		return fmt.Errorf("list the interfaces of this host: %w", err)
	}
	for _, ifi := range all {
		subnets, err := prefixesOf(ifi)
		if err != nil {
			return err
		}
		for _, h := range homes {
			for _, a := range h.addrs {
				if err := checkAgainst(a, ifi.Name, subnets, own); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// elsewhere is for who has an address that another program has put on the host.
const elsewhere = "if keepalived or kube-vip has put it there, use --from-keepalived or --from-kube-vip"

// checkAgainst holds an address against those of an interface.
func checkAgainst(a netip.Addr, name string, there []netip.Prefix, own tenants) error {
	for _, p := range there {
		switch {
		case p.Addr() == a && !p.IsSingleIP():
			return fmt.Errorf("%s is this host's own address, on %s: a virtual IP is one that no host has; take a free one of its subnet; %s", a, name, elsewhere)
		case p.Addr() == a && own.of(a) == nil:
			return fmt.Errorf("%s is on this host already, on %s, and was not put there by its agent%s: take a free one; %s", a, name, own.unasked(), elsewhere)
		case p.Addr() != a && p.Contains(a) && a == p.Masked().Addr() && p.Bits() < a.BitLen()-1:
			return fmt.Errorf("%s is the address of the subnet %s itself, on %s: take a free one of a host in it", a, p.Masked(), name)
		case p.Contains(a) && a == broadcast(p):
			return fmt.Errorf("%s is the broadcast address of the subnet %s, on %s: take a free one of a host in it", a, p.Masked(), name)
		}
	}
	return nil
}

// tenants are the routers of this host's agent that hold their addresses.
type tenants struct {
	routers []control.Router
	err     error // why the agent could not be asked
}

func askTenants(ctx context.Context, runtimeDir string) tenants {
	ctx, cancel := context.WithTimeout(ctx, control.Timeout)
	defer cancel()
	s, err := control.NewClient(control.Socket(runtimeDir)).Status(ctx)
	return tenants{slices.DeleteFunc(s.Routers, func(r control.Router) bool { return !r.Holding || r.VRID == 0 }), err}
}

// of returns the router that has an address, or nil.
func (t tenants) of(a netip.Addr) *control.Router {
	i := slices.IndexFunc(t.routers, func(r control.Router) bool { return slices.Contains(r.Addresses, a.String()) })
	if i < 0 {
		return nil
	}
	return &t.routers[i]
}

// unasked says why it is not known what the agent has.
func (t tenants) unasked() string {
	if t.err == nil {
		return ""
	}
	return fmt.Sprintf(", as far as can be known (%v)", t.err)
}

// broadcast returns the last address of an IPv4 subnet that has one for all its hosts.
func broadcast(p netip.Prefix) netip.Addr {
	if !p.Addr().Is4() || p.Bits() >= 31 { // RFC 3021
		return netip.Addr{}
	}
	b := p.Masked().Addr().As4()
	binary.BigEndian.PutUint32(b[:], binary.BigEndian.Uint32(b[:])|1<<(32-p.Bits())-1)
	return netip.AddrFrom4(b)
}

func prefixesOf(ifi net.Interface) ([]netip.Prefix, error) {
	addrs, err := ifi.Addrs()
	if err != nil {
		return nil, fmt.Errorf("list the addresses of %s: %w", ifi.Name, err)
	}
	var all []netip.Prefix
	for _, a := range addrs {
		n, ok := a.(*net.IPNet)
		if !ok {
			continue
		}
		ip, ok := netip.AddrFromSlice(n.IP)
		bits, _ := n.Mask.Size()
		if ok {
			all = append(all, netip.PrefixFrom(ip.Unmap(), bits))
		}
	}
	return all, nil
}
