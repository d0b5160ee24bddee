package e2e

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// outageScenarios end K3s everywhere, or on the last server that has it. All servers
// run without --node-ip, and with --flannel-iface: one that finds the VIP on its
// interface when it starts does not start.
func outageScenarios() []scenario {
	return []scenario{
		{
			name: "K3s finds its address again, on each node that held the VIP", fault: flannel(chooseAddress),
			limits: limits{failed: anyNumber, gap: 1200 * time.Millisecond, moves: anyNumber},
			also:   "after systemctl restart k3s, kill -9 of k3s, kill -9 of k3s and the agent at once, reboot: each K3s starts at the first try, with the node's own address",
		},
		{
			name: "systemctl restart k3s, on the last server that has it", fault: flannel(restartTheLast),
			limits: limits{failed: anyNumber, gap: 3 * time.Second},
			also:   "it starts at the first try, with the node's own address",
		},
		{
			name: "systemctl stop k3s, on each server after the other",
			fault: flannel(func(x *trial) {
				for _, n := range x.nodes {
					x.on(n, "systemctl", "stop", "k3s.service")
				}
				x.nowhere()
				x.startAll()
			}),
			limits: limits{failed: anyNumber, gap: 5 * time.Second, moves: anyNumber},
			also:   "nobody has the VIP while K3s runs nowhere; started again, each K3s has the node's own address",
		},
		{
			name: "kill -9 of k3s, on all servers at once",
			fault: flannel(func(x *trial) {
				x.each(func(ctx context.Context, n *node) error {
					_, err := n.Systemctl(ctx, "kill", "--signal=KILL", "--kill-whom=main", "k3s.service")
					return err
				})
				x.nowhere()
				x.allReady()
			}),
			// RestartSec=5s of K3s's own unit, and its start.
			limits: limits{failed: anyNumber, gap: 8 * time.Second, moves: anyNumber},
			also:   "nobody has the VIP meanwhile; each K3s starts at the first try, with the node's own address",
		},
	}
}

// flannel makes a fault one that happens to servers with --flannel-iface, and looks
// at the addresses that they have chosen.
func flannel(fault func(*trial)) func(*trial) {
	set := func(x *trial, flags string) {
		x.each(func(_ context.Context, n *node) error { return n.setFlags(flags) })
	}
	return func(x *trial) {
		began := time.Now()
		set(x, "--flannel-iface=eth0")
		defer set(x, "")
		fault(x)
		for _, n := range x.nodes {
			x.ownAddress(n)
			x.neverTwo(n, began)
		}
	}
}

// chooseAddress has K3s start in many ways on a node that held the VIP just before.
func chooseAddress(x *trial) {
	for _, fault := range []func(n *node){
		func(n *node) { x.on(n, "systemctl", "restart", "k3s.service") },
		func(n *node) { x.killK3s(n) },
		func(n *node) {
			x.on(n, "systemctl", "kill", "--signal=KILL", "--kill-whom=main", "k3s.service", "vipd.service")
		},
		func(n *node) { x.must(n.reboot(x.Context())) },
	} {
		held, err := x.holder(x.Context())
		x.must(err)
		fault(held)
		x.until("the VIP to move", func(ctx context.Context) error {
			if now, err := x.holder(ctx); err != nil || now == held {
				return fmt.Errorf("it is still on %s: %w", held.name, err)
			}
			return nil
		})
		x.ranks(held, "ready")
	}
}

// restartTheLast restarts the only K3s there is, on the node that holds the VIP for
// want of another.
func restartTheLast(x *trial) {
	for _, n := range x.others(x.first) {
		x.on(n, "systemctl", "stop", "k3s.service")
	}
	x.stays(x.first, 500*time.Millisecond)
	x.on(x.first, "systemctl", "restart", "k3s.service")
	x.ranks(x.first, "ready")
	x.answered(x.first)
	x.startAll()
}

// neverTwo wants no K3s on the node to have found two addresses since then.
func (x *trial) neverTwo(n *node, since time.Time) {
	x.Helper()
	x.on(n, "journalctl", "--sync")
	said, err := n.Journal(x.Context(), since, "k3s.service")
	x.must(err)
	if strings.Contains(said, "several global addresses") {
		x.Errorf("K3s on %s has found the VIP on the interface when it started:\n%s", n.name, said)
	}
}

// ownAddress wants K3s to have chosen the node's own address, and that address to be
// the first of the interface.
func (x *trial) ownAddress(n *node) {
	x.Helper()
	chosen, err := os.ReadFile(n.Path("/var/lib/rancher/k3s/node-ip"))
	x.must(err)
	if got := strings.TrimSpace(string(chosen)); got != n.address() {
		x.Errorf("K3s on %s has chosen %s for the node's address", n.name, got)
	}
	if got := x.addresses(n); len(got) == 0 || got[0] != n.address()+"/24" {
		x.Errorf("on %s the first address is not the node's own: %v", n.name, got)
	}
}

// addresses are the IPv4 addresses of a node's interface, in the kernel's order.
func (x *trial) addresses(n *node) []string {
	x.Helper()
	words := strings.Fields(x.on(n, "ip", "-4", "-brief", "address", "show", "dev", "eth0"))
	return words[min(2, len(words)):]
}

// address is the node's own.
func (n *node) address() string { return "198.51.100.1" + strings.TrimPrefix(n.name, "k3s") }

// nowhere waits until no interface has the VIP.
func (x *trial) nowhere() {
	x.Helper()
	x.until("the VIP to be gone", func(context.Context) error {
		for _, n := range x.nodes {
			if got := x.addresses(n); slices.Contains(got, theVIP) {
				return fmt.Errorf("%s has %v", n.name, got)
			}
		}
		return nil
	})
}

// theVIP is how ip shows it.
const theVIP = "198.51.100.100/32"

// startAll starts K3s on all nodes at once, and waits until a client is answered.
func (x *trial) startAll() {
	x.Helper()
	x.each(func(ctx context.Context, n *node) error {
		_, err := n.Systemctl(ctx, "start", "k3s.service")
		return err
	})
	x.allReady()
}

// allReady waits until all nodes are ready, and one of them holds the VIP.
func (x *trial) allReady() {
	x.Helper()
	for _, n := range x.nodes {
		x.ranks(n, "ready")
	}
	x.until("somebody to hold the VIP", func(ctx context.Context) error {
		_, err := x.holder(ctx)
		return err
	})
}

// answered waits until the client is answered by a node.
func (x *trial) answered(n *node) {
	x.Helper()
	ctx, cancel := context.WithTimeout(x.Context(), patience)
	defer cancel()
	x.must(x.client.Await(ctx, n.name))
}

// each does something with all nodes at once.
func (x *trial) each(f func(context.Context, *node) error) {
	x.Helper()
	ctx, cancel := context.WithTimeout(x.Context(), patience)
	defer cancel()
	g, ctx := errgroup.WithContext(ctx)
	for _, n := range x.nodes {
		g.Go(func() error { return f(ctx, n) })
	}
	x.must(g.Wait())
}
