package e2e

import (
	"context"
	"time"
)

// machineScenarios are what happens to whole machines.
func machineScenarios() []scenario {
	return []scenario{
		{
			name: "loss of power, and its return",
			fault: func(x *trial) {
				x.must(x.first.powerOff())
				now := x.moved()
				x.comeBack(x.first)
				x.stays(now, time.Second)
			},
			limits: limits{failed: anyNumber, gap: 1200 * time.Millisecond, moves: 1},
			also:   "the VIP stays at the return",
		},
		{
			name: "loss of power of a Backup, and its return",
			fault: func(x *trial) {
				x.must(x.backup().powerOff())
				x.stays(x.first, time.Second)
				x.comeBack(x.backup())
				x.stays(x.first, time.Second)
			},
			limits: limits{gap: 100 * time.Millisecond},
		},
		{
			name: "loss of power of all machines at once, and its return",
			fault: func(x *trial) {
				x.each(func(_ context.Context, n *node) error { return n.powerOff() })
				x.each(func(ctx context.Context, n *node) error { return n.powerOn(ctx) })
				x.allReady()
				for _, n := range x.nodes {
					x.ownAddress(n)
				}
			},
			limits: limits{failed: anyNumber, gap: 20 * time.Second, moves: anyNumber},
			also:   "the VIP is back with the first K3s",
		},
		{
			name: "reboot, on each machine after the other",
			fault: func(x *trial) {
				for _, n := range x.nodes {
					x.must(n.reboot(x.Context()))
					x.ranks(n, "ready")
				}
			},
			limits: limits{resets: 4, gap: 100 * time.Millisecond, moves: anyNumber},
		},
		{
			name: "systemctl poweroff, after vipd drain",
			fault: func(x *trial) {
				x.on(x.first, "vipd", "drain", "--wait")
				now := x.moved()
				x.must(x.first.Shutdown(x.Context(), "poweroff"))
				x.comeBack(x.first)
				x.stays(now, 500*time.Millisecond)
			},
			limits: limits{resets: 2, gap: 100 * time.Millisecond, moves: 1},
			also:   "the node is no longer drained when it is back",
		},
		{
			name: "systemctl poweroff",
			fault: func(x *trial) {
				x.must(x.first.Shutdown(x.Context(), "poweroff"))
				x.moved()
			},
			limits: limits{resets: 2, gap: 100 * time.Millisecond, moves: 1},
		},
		{
			name: "reboot of the node that priority_by_host prefers",
			fault: func(x *trial) {
				defer x.configure(`vrid\b`, "priority_by_host = { "+x.first.name+" = 250 }\nvrid")()
				x.must(x.first.reboot(x.Context()))
				x.until("the VIP to be back", x.holds(x.first))
				x.answered(x.first)
			},
			limits: limits{resets: 4, gap: 100 * time.Millisecond, moves: 2},
			also:   "it takes the VIP back",
		},
	}
}

// comeBack gives a machine its power back, and waits until it takes part again.
func (x *trial) comeBack(n *node) {
	x.Helper()
	x.must(n.powerOn(x.Context()))
	x.ranks(n, "ready")
}
