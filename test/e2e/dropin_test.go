package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/vipd/vipd/agent/control"
	"github.com/vipd/vipd/doctor"
)

// dropInScenarios are for what the unit alone is not enough, each with the drop-in that
// comes with the package for it.
func dropInScenarios() []scenario {
	return []scenario{
		{
			name:   "a check of type exec, on a Backup",
			fault:  execCheck,
			limits: limits{gap: 100 * time.Millisecond},
			also:   "refused without exec-checks.conf; with it the program has no capabilities, and ordinary priority",
		},
		{
			name:   "no real-time scheduling, on a Backup",
			fault:  noRealtime,
			limits: limits{gap: 100 * time.Millisecond},
			also:   "the start fails with 214/SETSCHEDULER; with no-realtime.conf, as vipd doctor says, it does not",
		},
		{
			name:   "virtual_mac, and kill -9 of the agent",
			fault:  virtualMAC,
			limits: limits{failed: anyNumber, gap: 1500 * time.Millisecond, moves: 3},
			also:   "refused without virtual-mac.conf; with it, all three servers work",
		},
	}
}

// dropIn installs a drop-in as its first lines say. What it returns removes it.
func (x *trial) dropIn(n *node, name string) (undo func()) {
	x.Helper()
	x.on(n, "install", "-D", "-m", "0644", "/usr/share/vipd/"+name, dropIns+name)
	x.on(n, "systemctl", "daemon-reload")
	return func() { x.removeDropIn(n, name) }
}

// dropIns is where an operator puts drop-ins of the agent's unit.
const dropIns = dropInDir + "/"

const dropInDir = "/etc/systemd/system/vipd.service.d"

func (x *trial) removeDropIn(n *node, name string) {
	x.Helper()
	x.on(n, "rm", "-f", dropIns+name)
	x.on(n, "systemctl", "daemon-reload")
}

// asDocumented is a program for a check that fails, and says why, unless it is run as
// the documentation has it.
const asDocumented = `#!/bin/sh
[ "$(id -un)" = vipd ] || { echo "runs as $(id -un)"; exit 1; }
! grep -E '^Cap(Prm|Eff|Amb):\s*0*[1-9a-f]' /proc/self/status || exit 1
chrt -p $$ | grep -q 'policy: SCHED_OTHER$' || { chrt -p $$; exit 1; }
`

func execCheck(x *trial) {
	backup := x.backup()
	x.must(backup.WriteFile("/usr/local/bin/check", []byte(asDocumented), 0o755))
	undo := x.addConfig(backup, "[[check]]\ntype = \"exec\"\ncommand = [\"/usr/local/bin/check\"]\n")
	defer func() { undo(); x.on(backup, "systemctl", "restart", "vipd.service") }()
	x.refuses(backup, "systemctl", "reload", "vipd.service")
	x.says(x.systemctlStatus(backup), "nothing was changed", "use the drop-in exec-checks.conf")
	defer x.dropIn(backup, "exec-checks.conf")()
	x.on(backup, "systemctl", "restart", "vipd.service")
	x.seesStatus(backup, "a check that is content", func(st control.Status) bool { return st.Health.Checks[0].Grade == "ready" })
}

// noRealtime boots a machine that may not schedule in real time, as containers may not.
func noRealtime(x *trial) {
	backup := x.backup()
	backup.Without = "CAP_SYS_NICE"
	defer func() {
		backup.Without = ""
		x.must(backup.reboot(x.Context()))
	}()
	x.must(backup.reboot(x.Context()))
	x.until("the start to fail", func(ctx context.Context) error {
		if out := x.systemctlStatus(backup); !strings.Contains(out, "status=214/SETSCHEDULER") {
			return fmt.Errorf("status: %s", out)
		}
		return nil
	})
	report := x.finds(backup, []doctor.Finding{{ID: "realtime-refused", Subject: "vipd.service",
		Evidence: "its start ended with 214/SETSCHEDULER", Remedy: withoutRealTime}})
	defer x.removeDropIn(backup, "no-realtime.conf")
	x.remedy(backup, report, "realtime-refused")
	x.isBackup(backup)
	x.seesStatus(backup, "a ready API server", func(st control.Status) bool { return st.Health.Grade == "ready" })
}

// virtualMAC goes over to virtual MACs and back, the Backups first, so that the VIP
// moves once each way, and once because of the crash.
func virtualMAC(x *trial) {
	const option = "virtual_mac = true\n"
	undo := x.addConfig(x.backup(), option)
	x.on(x.backup(), "systemctl", "restart", "vipd.service")
	x.seesStatus(x.backup(), "a word of the drop-in", func(st control.Status) bool {
		return len(st.Routers) > 0 && strings.Contains(strings.Join(st.Routers[0].Problems, " "), "virtual-mac.conf")
	})
	undo()
	undos := make(map[*node]func())
	for _, n := range x.holderLast(x.first) {
		config, dropIn := x.addConfig(n, option), x.dropIn(n, "virtual-mac.conf")
		undos[n] = func() { config(); dropIn() }
		x.startAgain(n)
	}
	second := x.moved()
	x.hasVirtualMAC(second)

	before := x.restarts(second)
	x.isBackup(x.first)
	x.kill(second, "KILL")
	third := x.movedFrom(second)
	x.restarted(second, before)
	x.isBackup(second)
	x.hasVirtualMAC(third)

	for _, n := range x.holderLast(third) {
		undos[n]()
		x.startAgain(n)
	}
	x.movedFrom(third)
}

// startAgain stops a node's agent and starts it, so that the VIP is handed over, and
// waits until it takes part again.
func (x *trial) startAgain(n *node) {
	x.Helper()
	x.on(n, "systemctl", "stop", "vipd.service")
	x.on(n, "systemctl", "start", "vipd.service")
	x.seesStatus(n, "an Active", func(st control.Status) bool {
		return st.Health.Grade == "ready" && len(st.Routers) > 0 && st.Routers[0].Active != nil && len(st.Routers[0].Problems) == 0
	})
}

// hasVirtualMAC wants a node to have the VIP on an interface with the virtual MAC.
func (x *trial) hasVirtualMAC(n *node) {
	x.Helper()
	st, err := n.status(x.Context())
	x.must(err)
	vrid := st.Routers[0].VRID
	x.says(x.on(n, "ip", "address", "show", "dev", fmt.Sprintf("vipd%d-4", vrid)),
		fmt.Sprintf("link/ether 00:00:5e:00:01:%02x", vrid), "inet 198.51.100.100")
}

// holderLast returns all nodes, this one at the end.
func (x *trial) holderLast(holder *node) []*node {
	backups := slices.DeleteFunc(slices.Clone(x.nodes), func(n *node) bool { return n == holder })
	return append(backups, holder)
}
