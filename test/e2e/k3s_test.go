package e2e

import "time"

// k3sScenarios are what happens to K3s on the node that holds the VIP.
func k3sScenarios() []scenario {
	return []scenario{
		{
			name: "systemctl stop k3s",
			fault: func(x *trial) {
				x.on(x.first, "systemctl", "stop", "k3s.service")
				x.ranks(x.first, "down")
				x.moved()
			},
			limits: limits{resets: 2, gap: 100 * time.Millisecond, moves: 1},
		},
		{
			name: "systemctl restart k3s",
			fault: func(x *trial) {
				x.on(x.first, "systemctl", "restart", "k3s.service")
				x.moved()
				x.ranks(x.first, "ready")
			},
			limits: limits{resets: 2, gap: 100 * time.Millisecond, moves: 1},
			also:   "the node is ready again, and not drained",
		},
		{
			name: "kill -9 of k3s",
			fault: func(x *trial) {
				x.on(x.first, "systemctl", "kill", "--signal=KILL", "--kill-whom=main", "k3s.service")
				x.moved()
			},
			limits: limits{failed: anyNumber, gap: 500 * time.Millisecond, moves: 1},
		},
		{
			name: "k3s hangs",
			fault: func(x *trial) {
				x.must(x.first.setAPI(x.Context(), "hang"))
				x.ranks(x.first, "down")
				x.moved()
			},
			limits: limits{failed: anyNumber, gap: 3 * time.Second, moves: 1},
		},
	}
}
