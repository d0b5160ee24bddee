package e2e

import (
	"context"
	"errors"
	"time"
)

// agentScenarios are what happens to the agent of the node that holds the VIP.
func agentScenarios() []scenario {
	return []scenario{
		{
			name: "kill -9 of the agent", times: 5,
			fault: func(x *trial) {
				before := x.restarts(x.first)
				x.on(x.first, "systemctl", "kill", "--signal=KILL", "--kill-whom=main", "vipd.service")
				x.moved()
				x.until("systemd to start the agent again", func(context.Context) error {
					if x.restarts(x.first) == before {
						return errors.New("it has not")
					}
					return nil
				})
			},
			limits: limits{failed: anyNumber, gap: time.Second, median: 200 * time.Millisecond, moves: 1},
			also:   "systemd starts it again",
		},
		{
			name: "systemctl restart vipd",
			fault: func(x *trial) {
				x.on(x.first, "systemctl", "restart", "vipd.service")
				x.stays(x.first, 2*time.Second)
			},
			limits: limits{gap: 100 * time.Millisecond},
		},
		{
			name: "systemctl stop vipd",
			fault: func(x *trial) {
				x.on(x.first, "systemctl", "stop", "vipd.service")
				x.moved()
			},
			limits: limits{resets: 2, gap: 100 * time.Millisecond, moves: 1},
		},
		{
			name: "systemctl start vipd, after a stop",
			fault: func(x *trial) {
				backup := x.backup()
				x.on(backup, "systemctl", "stop", "vipd.service")
				x.on(backup, "systemctl", "start", "vipd.service")
				x.stays(x.first, 3*time.Second)
			},
			limits: limits{gap: 100 * time.Millisecond},
		},
	}
}

// restarts returns how often systemd has started a node's agent again by itself.
func (x *trial) restarts(n *node) string {
	x.Helper()
	count, err := n.Property(x.Context(), "vipd.service", "NRestarts")
	x.must(err)
	return count
}
