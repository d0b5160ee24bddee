package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/vipd/vipd/doctor"
)

// doctorScenarios are what vipd doctor says of units, with a systemd that it can ask.
func doctorScenarios() []scenario {
	return []scenario{{
		name: "vipd doctor, on a Backup whose units are in a bad way", fault: illUnits,
		limits: limits{gap: 100 * time.Millisecond},
		also:   "it finds what was done, and nothing else, and what it says mends it",
	}}
}

// ailment is a fault of units, and what vipd doctor has to find of it.
type ailment struct {
	cause    func(*trial, *node)
	findings []doctor.Finding // Severity is that of the kind
	mend     func(*trial, *node, doctor.Report)
}

// illUnits makes one fault after the other. Each examination has to find the fault, and
// none of those before it.
func illUnits(x *trial) {
	n := x.backup()
	x.finds(n, nil)
	for _, a := range ailments() {
		a.cause(x, n)
		a.mend(x, n, x.finds(n, a.findings))
		x.until("the agent to be back", x.hearsActive(n))
	}
	x.loseRealTime(n)
	x.finds(n, nil)
}

func ailments() []ailment {
	const (
		named, strange = "k3s-vip.service", "k3s-backup.service"
		enable         = "systemctl enable --now vipd"
		noRestart      = "/run/systemd/system/vipd.service.d/no-restart.conf"
	)
	var undo func() // of the bad vipd.toml
	return []ailment{
		{
			cause: func(x *trial, n *node) {
				x.writeUnit(n, named, "/usr/bin/vipd run")
				x.writeUnit(n, strange, "/usr/bin/true")
				x.on(n, "systemctl", "daemon-reload")
				x.on(n, "systemctl", "enable", named)
			},
			findings: []doctor.Finding{
				{ID: "unit-named-k3s", Subject: named, Evidence: "it runs vipd, and K3s's scripts stop what is named k3s*",
					Remedy: "systemctl disable --now " + named + " && rm " + unitFile(named) + " && systemctl daemon-reload && " + enable},
				{ID: "unit-strange-k3s", Subject: strange, Evidence: "K3s's scripts stop and remove what is named k3s*",
					Remedy: "give it another name if it is not part of K3s"},
			},
			mend: func(x *trial, n *node, r doctor.Report) {
				x.remedy(n, r, "unit-named-k3s")
				x.on(n, "rm", unitFile(strange))
				x.on(n, "systemctl", "daemon-reload")
			},
		},
		{
			// The units are enabled together, and so disabled.
			cause: func(x *trial, n *node) { x.on(n, "systemctl", "disable", "vipd.service") },
			findings: []doctor.Finding{
				{ID: "unit-disabled", Subject: "vipd.service", Evidence: "it is disabled", Remedy: enable},
				{ID: "handover-disabled", Subject: "vipd-handover.service", Evidence: "it is disabled", Remedy: "systemctl enable vipd-handover"},
			},
			mend: func(x *trial, n *node, r doctor.Report) {
				x.remedy(n, r, "handover-disabled")
				x.remedy(n, r, "unit-disabled")
			},
		},
		{
			cause: func(x *trial, n *node) { x.on(n, "systemctl", "mask", "--now", "vipd.service") },
			findings: []doctor.Finding{{ID: "unit-missing", Subject: "vipd.service", Evidence: "it is masked",
				Remedy: "install the package; if it is masked: systemctl unmask vipd && systemctl start vipd"}},
			mend: func(x *trial, n *node, _ doctor.Report) {
				x.on(n, "sh", "-euc", "systemctl unmask vipd && systemctl start vipd")
			},
		},
		{
			cause: func(x *trial, n *node) {
				undo = x.addConfig(n, bogus)
				x.refuses(n, "systemctl", "restart", "vipd.service")
			},
			findings: []doctor.Finding{{ID: "unit-failed", Subject: "vipd.service", Evidence: "it ended with 78: the configuration is bad",
				Remedy: "vipd check; then: systemctl restart vipd"}},
			mend: func(x *trial, n *node, _ doctor.Report) {
				x.says(x.refuses(n, "vipd", "check"), configFile+":")
				undo()
				x.on(n, "sh", "-euc", "vipd check; systemctl restart vipd")
			},
		},
		{
			cause: func(x *trial, n *node) {
				x.on(n, "sh", "-euc", `mkdir -p "${1%/*}"; printf '[Service]\nRestart=no\n' >"$1"; systemctl daemon-reload`, "sh", noRestart)
				x.kill(n, "KILL")
				x.endsAs(n, "failed")
			},
			findings: []doctor.Finding{{ID: "unit-failed", Subject: "vipd.service", Evidence: "it has failed: signal, exit status 9",
				Remedy: "journalctl -u vipd -n 50; then: systemctl restart vipd"}},
			mend: func(x *trial, n *node, _ doctor.Report) {
				x.on(n, "sh", "-euc", `rm "$1"; systemctl daemon-reload; systemctl restart vipd`, "sh", noRestart)
			},
		},
		{
			cause: func(x *trial, n *node) {
				x.dropIn(n, "no-realtime.conf")
				x.on(n, "systemctl", "restart", "vipd.service")
			},
			findings: []doctor.Finding{{ID: "dropin-lowers-priority", Subject: "vipd.service",
				Evidence: "CPUSchedulingPolicy is other, by " + dropIns + "no-realtime.conf",
				Remedy:   "remove that drop-in unless this machine refuses real-time scheduling, then: systemctl daemon-reload && systemctl restart vipd"}},
			mend: func(x *trial, n *node, _ doctor.Report) {
				x.on(n, "sh", "-euc", `rm "$1"; systemctl daemon-reload && systemctl restart vipd`, "sh", dropIns+"no-realtime.conf")
			},
		},
		{
			cause: func(x *trial, n *node) {
				x.on(n, "sh", "-euc", `mkdir -p "${1%/*}"; printf '[Service]\nNice=5\nWatchdogSec=0\nOOMScoreAdjust=500\nLimitMEMLOCK=64K\n' >"$1"
					systemctl daemon-reload; systemctl restart vipd`, "sh", dropIns+"less.conf")
			},
			findings: []doctor.Finding{{ID: "dropin-lowers-priority", Subject: "vipd.service",
				Evidence: "Nice is 5, WatchdogSec is off, OOMScoreAdjust is 500, LimitMEMLOCK is 65536, by " + dropIns + "less.conf",
				Remedy:   "take Nice, WatchdogSec, OOMScoreAdjust, LimitMEMLOCK out of " + dropIns + "less.conf, then: systemctl daemon-reload && systemctl restart vipd"}},
			mend: func(x *trial, n *node, _ doctor.Report) {
				x.on(n, "sh", "-euc", `rm "$1"; systemctl daemon-reload && systemctl restart vipd`, "sh", dropIns+"less.conf")
			},
		},
	}
}

// unitFile is where an operator puts a unit.
func unitFile(name string) string { return "/etc/systemd/system/" + name }

func (x *trial) writeUnit(n *node, name, command string) {
	x.Helper()
	x.must(n.WriteFile(unitFile(name), []byte("[Service]\nExecStart="+command+"\n[Install]\nWantedBy=multi-user.target\n"), 0o644))
}

// endsAs waits until a node's unit is in a state.
func (x *trial) endsAs(n *node, want string) {
	x.Helper()
	x.until("vipd.service to be "+want, func(context.Context) error {
		if state := x.property(n, "ActiveState"); state != want {
			return fmt.Errorf("it is %s", state)
		}
		return nil
	})
}

// withoutRealTime is what vipd doctor says to do where real-time scheduling is refused.
const withoutRealTime = "mkdir -p " + dropInDir + " && cp /usr/share/vipd/no-realtime.conf " + dropIns +
	" && systemctl daemon-reload && systemctl restart vipd"

// loseRealTime takes real-time scheduling from an agent that runs. That a start without
// it fails is noRealtime's.
func (x *trial) loseRealTime(n *node) {
	x.Helper()
	pid := x.pid(n)
	x.on(n, "chrt", "--all-tasks", "--other", "--pid", "0", pid)
	x.finds(n, []doctor.Finding{{ID: "realtime-refused", Subject: "vipd.service",
		Evidence: "its process " + pid + " is scheduled as other", Remedy: withoutRealTime}})
	x.on(n, "systemctl", "restart", "vipd.service")
	x.until("the agent to be back", x.hearsActive(n))
}

// finds wants vipd doctor to find these of units, and no more.
func (x *trial) finds(n *node, want []doctor.Finding) doctor.Report {
	x.Helper()
	kinds := make(map[string]doctor.Severity)
	for _, k := range doctor.Kinds() {
		if k.Check == "unit" {
			kinds[k.ID] = k.Severity
		}
	}
	var due, got []doctor.Finding
	for _, f := range want {
		f.Severity = kinds[f.ID]
		due = append(due, f)
	}
	r := x.examine(n)
	for _, f := range r.Findings {
		if _, ofUnits := kinds[f.ID]; ofUnits {
			got = append(got, f)
		}
	}
	byID := cmpopts.SortSlices(func(a, b doctor.Finding) bool { return a.ID < b.ID })
	if diff := cmp.Diff(due, got, byID, cmpopts.EquateEmpty()); diff != "" {
		x.Errorf("vipd doctor (-want +got):\n%s", diff)
	}
	return r
}

// remedy does what vipd doctor says of a finding.
func (x *trial) remedy(n *node, r doctor.Report, id string) {
	x.Helper()
	i := slices.IndexFunc(r.Findings, func(f doctor.Finding) bool { return f.ID == id })
	if i < 0 {
		x.Fatalf("there is no %s", id)
	}
	x.on(n, "sh", "-euc", r.Findings[i].Remedy)
}

// examine runs vipd doctor. It listens for as long as it takes to know the Active.
func (x *trial) examine(n *node) doctor.Report {
	x.Helper()
	out := x.on(n, "sh", "-c", "vipd doctor --json --listen 600ms 2>/dev/null || [ $? = 1 ]")
	var r doctor.Report
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		x.Fatalf("vipd doctor: %v: %s", err, out)
	}
	if slices.ContainsFunc(r.LeftOut, func(s doctor.Skipped) bool { return s.Check == "unit" }) {
		x.Errorf("left out: %+v", r.LeftOut)
	}
	return r
}
