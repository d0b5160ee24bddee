package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"time"

	"github.com/vipd/vipd/test/client/probe"
	"github.com/vipd/vipd/test/cluster"
)

// networkScenarios are what other programs do to the interface, what happens to a
// Backup, and a second family.
func networkScenarios() []scenario {
	return []scenario{
		{
			name: "systemctl restart systemd-networkd",
			fault: func(x *trial) {
				x.on(x.first, "systemctl", "restart", "systemd-networkd.service")
				x.putBack()
			},
			limits: limits{failed: anyNumber, gap: 300 * time.Millisecond},
			also:   "the VIP is put back, after the node's own address",
		},
		{
			name: "networkctl reconfigure eth0",
			fault: func(x *trial) {
				x.on(x.first, "networkctl", "reconfigure", "eth0")
				x.putBack()
			},
			limits: limits{failed: anyNumber, gap: 300 * time.Millisecond},
			also:   "the VIP is put back, after the node's own address",
		},
		{
			name: "ip -4 address flush dev eth0, then networkctl reconfigure eth0",
			fault: func(x *trial) {
				x.on(x.first, "ip", "-4", "address", "flush", "dev", "eth0")
				x.on(x.first, "networkctl", "reconfigure", "eth0")
				x.until("the node's own address to be back", func(context.Context) error {
					if got := x.addresses(x.first); !slices.Contains(got, x.first.address()+"/24") {
						return fmt.Errorf("there are %v", got)
					}
					return nil
				})
				x.until("one node to hold the VIP", func(ctx context.Context) error { return x.isNormal(ctx, (*node).status) })
				x.ownAddress(x.first)
			},
			limits: limits{failed: anyNumber, gap: 1200 * time.Millisecond, moves: anyNumber},
			also:   "the VIP is not the first address",
		},
		{
			name: "the link is lost, and comes back",
			fault: func(x *trial) {
				x.must(x.lab.Unplug(x.first.port))
				now := x.anotherHolds()
				x.answered(now)
				x.must(x.lab.Plug(x.first.port))
				x.until("the node to follow", x.hearsActive(x.first))
				x.stays(now, time.Second)
			},
			limits: limits{failed: anyNumber, gap: 1200 * time.Millisecond, moves: 1},
			also:   "the VIP stays when the link is back",
		},
		{
			name: "kill -9 of the agent on a Backup, with K3s and without",
			fault: func(x *trial) {
				for range 2 {
					before := x.restarts(x.backup())
					x.kill(x.backup(), "KILL")
					x.until("systemd to start the agent again", func(context.Context) error {
						if x.restarts(x.backup()) == before {
							return errors.New("it has not")
						}
						return nil
					})
					x.until("the agent to follow", x.hearsActive(x.backup()))
					x.on(x.backup(), "systemctl", "stop", "k3s.service")
				}
				x.stays(x.first, 500*time.Millisecond)
			},
			limits: limits{gap: 100 * time.Millisecond},
		},
		{
			name: "IPv6: kill -9 of the agent, then a reboot", fault: sixToo,
			limits: limits{failed: anyNumber, gap: time.Second, moves: anyNumber},
			also:   "clients of an IPv6 VIP that vipd reload has added see no gap over 1s either, and no connection of theirs fails at the reboot",
		},
	}
}

// putBack waits until the VIP is on the interface of the first node, behind the
// node's own address, and stays there.
func (x *trial) putBack() {
	x.Helper()
	x.until("the VIP to be back on the interface", func(context.Context) error {
		if got := x.addresses(x.first); !slices.Contains(got, theVIP) {
			return fmt.Errorf("there are %v", got)
		}
		return nil
	})
	x.stays(x.first, time.Second)
	x.ownAddress(x.first)
}

// anotherHolds waits until another node than the first holds the VIP, while the first
// may hold it too, where the other does not see it. It returns the other.
func (x *trial) anotherHolds() *node {
	x.Helper()
	var now *node
	x.until("another node to hold the VIP", func(ctx context.Context) error {
		for _, n := range x.others(x.first) {
			if x.holds(n)(ctx) == nil {
				now = n
				return nil
			}
		}
		return errors.New("none does")
	})
	return now
}

// holds returns a check that a node holds the VIP.
func (x *trial) holds(n *node) func(context.Context) error {
	return func(ctx context.Context) error {
		st, err := n.status(ctx)
		if err == nil && !st.Routers[0].Holding {
			err = fmt.Errorf("%s is %s", n.name, st.Routers[0].State)
		}
		return err
	}
}

// hearsActive returns a check that a node is Backup, and hears the Active.
func (x *trial) hearsActive(n *node) func(context.Context) error {
	return func(ctx context.Context) error {
		st, err := n.status(ctx)
		if err == nil && (len(st.Routers) == 0 || st.Routers[0].State != "Backup" || st.Routers[0].Active == nil) {
			err = fmt.Errorf("%s does not", n.name)
		}
		return err
	}
}

// configure changes vipd.toml on all nodes: what the pattern matches becomes text.
// It returns how to undo that.
func (x *trial) configure(pattern, text string) (undo func()) {
	x.Helper()
	old, err := os.ReadFile(x.first.Path("/etc/vipd/vipd.toml"))
	x.must(err)
	set := func(toml []byte) {
		x.each(func(ctx context.Context, n *node) error {
			if err := n.WriteFile("/etc/vipd/vipd.toml", toml, 0o644); err != nil {
				return err
			}
			if !n.Runs() {
				return nil
			}
			_, err := n.Systemctl(ctx, "reload", "vipd.service")
			return err
		})
	}
	changed := regexp.MustCompile(`(?m)^`+pattern).ReplaceAll(old, []byte(text))
	if string(changed) == string(old) {
		x.Fatalf("vipd.toml has no %q:\n%s", pattern, old)
	}
	set(changed)
	return func() { set(old) }
}

// six is the table of an IPv6 VIP. The order of priorities keeps two Backups from
// rising at once: link-local addresses, and so their turns, are others in each run.
const six = `
[[vip]]
name = "six"
addresses = ["2001:db8::100"]
vrid = 66
preempt = false
priority_by_host = { k3s1 = 250, k3s2 = 220, k3s3 = 190 }
`

// sixToo adds an IPv6 VIP, and takes it through an unplanned and a planned move.
func sixToo(x *trial) {
	defer x.configure(`\z`, six)()
	x.until("both VIPs to be held", func(ctx context.Context) error { return x.isNormal(ctx, (*node).status) })
	crash, err := x.sixSees(func(held *node) { x.kill(held, "KILL") })
	x.must(err)
	limits{failed: anyNumber, gap: time.Second, moves: 1}.check(x.T, []probe.Report{crash})
	x.until("the agent to be back", func(ctx context.Context) error { return x.isNormal(ctx, (*node).status) })
	reboot, err := x.sixSees(func(held *node) { x.must(held.reboot(x.Context())) })
	x.must(err)
	limits{resets: 2, gap: 100 * time.Millisecond, moves: 1}.check(x.T, []probe.Report{reboot})
}

// sixSees does something to the node that holds the IPv6 VIP, and returns what a
// client of that sees.
func (x *trial) sixSees(fault func(*node)) (probe.Report, error) {
	ctx, cancel := context.WithTimeout(x.Context(), patience)
	defer cancel()
	held, err := x.holderOfSix(ctx)
	if err != nil {
		return probe.Report{}, err
	}
	client, err := x.watch(ctx, cluster.VIP6, 5*clientInterval)
	if err != nil {
		return probe.Report{}, err
	}
	fault(held)
	err = await(ctx, "the IPv6 VIP to move", func() error {
		now, err := x.holderOfSix(ctx)
		if err != nil || now == held {
			return fmt.Errorf("it is still on %s: %w", held.name, err)
		}
		return nil
	})
	if err != nil {
		return probe.Report{}, err
	}
	<-time.After(aftermath)
	r, err := client.Stop()
	x.Logf("client in IPv6: %v, longest gap %v (noise %v), changes %+v", r.Outcomes, r.LongestGap.Length(), r.Noise, r.Changes)
	return r, err
}

func (x *trial) holderOfSix(ctx context.Context) (*node, error) {
	for _, n := range x.nodes {
		st, err := n.status(ctx)
		if err != nil {
			continue // it crashed, or is off
		}
		for _, r := range st.Routers {
			if r.Holding && len(r.Addresses) > 0 && r.Addresses[0] == cluster.VIP6.String() {
				return n, nil
			}
		}
	}
	return nil, errors.New("nobody holds the IPv6 VIP")
}
