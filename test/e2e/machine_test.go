package e2e

import "time"

// machineScenarios are what happens to the whole machine that holds the VIP.
func machineScenarios() []scenario {
	return []scenario{
		{
			name: "loss of power",
			fault: func(x *trial) {
				x.must(x.first.powerOff())
				x.moved()
			},
			limits: limits{failed: anyNumber, gap: 1200 * time.Millisecond, moves: 1},
		},
		{
			name: "reboot",
			fault: func(x *trial) {
				x.must(x.first.reboot(x.Context()))
				x.moved()
			},
			limits: limits{resets: 2, gap: 100 * time.Millisecond, moves: 1},
		},
	}
}
