package agent

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
)

// The interface of a virtual MAC that something else removes, as ip link del or a network
// manager that tidies up, is made again.
func TestVirtualMACRemoved(t *testing.T) {
	wired(t)
	const name = "vipd51-4"
	n := start(t, strings.Replace(oneVIP, "50ms", "100ms", 1)+"virtual_mac = true\n")
	whole := func() bool {
		r := n.routerOf("k3s")
		return r.State == "Active" && r.Holding && on(name, "198.51.100.100") && len(r.Problems) == 0
	}
	within(t, 5*time.Second, "Active with the virtual MAC", whole)
	for range 2 {
		link, err := netlink.LinkByName(name)
		must(t, err)
		must(t, netlink.LinkDel(link))
		within(t, 3*time.Second, "another in its place", func() bool {
			ifi, err := net.InterfaceByName(name)
			return err == nil && ifi.Index != link.Attrs().Index
		})
		within(t, 3*time.Second, "Active with it", whole)
	}
}
