package watch

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"

	"github.com/vipd/vipd/config"
	"github.com/vipd/vipd/vip"
)

// load reads the configuration. Without one, or with one that is bad, there is still
// something to see: then the text says what is missing.
func load(path string) (*config.Config, string) {
	cfg, err := config.Load(path)
	switch {
	case err == nil:
		return cfg, "by the rules of " + path
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Sprintf("without %s, so every VRID is shown, and no signature verified", path)
	}
	return nil, fmt.Sprintf("without rules: %v", err)
}

// interfaceOf returns the name of a VIP's interface, "" if there is none.
func interfaceOf(v config.VIP) string {
	if v.Interface != "" {
		return v.Interface
	}
	ifi, err := vip.InterfaceFor(v.Addresses[0])
	if err != nil {
		return ""
	}
	return ifi.Name
}

// interfaces returns where to listen: the named one, else those of the configuration,
// else that of the default route.
func interfaces(name string, cfg *config.Config) ([]*net.Interface, error) {
	var names []string
	switch {
	case name != "":
		names = []string{name}
	case cfg != nil:
		for _, v := range cfg.VIPs {
			if n := interfaceOf(v); v.Mode == config.ModeVRRP && n != "" && !slices.Contains(names, n) {
				names = append(names, n)
			}
		}
	}
	if len(names) == 0 {
		n, err := defaultRoute()
		if err != nil {
			return nil, err
		}
		names = []string{n}
	}
	var list []*net.Interface
	for _, n := range names {
		ifi, err := net.InterfaceByName(n)
		if err != nil {
			return nil, fmt.Errorf("there is no interface %s: \"ip link\" shows what there is", n)
		}
		list = append(list, ifi)
	}
	return list, nil
}

// defaultRoute returns the interface that leads out.
func defaultRoute() (string, error) {
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		routes, err := vip.Dump(func() ([]netlink.Route, error) { return netlink.RouteList(nil, family) })
		if err != nil {
			return "", fmt.Errorf("look for the default route: %w", err)
		}
		for _, r := range routes {
			if r.Dst != nil && !(r.Dst.IP.IsUnspecified() && isZero(r.Dst.Mask)) || r.LinkIndex == 0 {
				continue
			}
			ifi, err := net.InterfaceByIndex(r.LinkIndex)
			if err == nil && len(ifi.HardwareAddr) == macLen {
				return ifi.Name, nil
			}
		}
	}
	return "", errors.New("there is no default route to choose an interface by: name one with --interface")
}

func isZero(mask net.IPMask) bool {
	ones, _ := mask.Size()
	return ones == 0
}

// ownAddresses returns this host's: nobody else may advertise from them.
func ownAddresses() []netip.Addr {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var list []netip.Addr
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok {
			if ip, ok := netip.AddrFromSlice(n.IP); ok {
				list = append(list, ip.Unmap())
			}
		}
	}
	return list
}
