package doctor

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

const (
	agentUnit    = "vipd.service"
	handoverUnit = "vipd-handover.service"

	exitScheduling = 214 // EXIT_SETSCHEDULER of systemd.exec(5)
	exitConfig     = 78
)

func checkUnits(ctx context.Context, p *patient) ([]Finding, error) {
	u, err := p.Units.Show(ctx, agentUnit)
	if err != nil {
		return nil, err
	}
	list := p.checkAgentUnit(u)
	h, err := p.Units.Show(ctx, handoverUnit)
	if err != nil {
		return list, err
	}
	if h.LoadState == "loaded" && !enabled(h) {
		list = append(list, found("handover-disabled", handoverUnit, "it is "+h.UnitFileState, "systemctl enable vipd-handover"))
	}
	strange, err := p.checkNames(ctx)
	return append(list, strange...), err
}

func (p *patient) checkAgentUnit(u Unit) []Finding {
	if u.LoadState != "loaded" {
		return []Finding{found("unit-missing", agentUnit, "it is "+u.LoadState, "install the package; if it is masked: systemctl unmask vipd && systemctl start vipd")}
	}
	var list []Finding
	if !enabled(u) {
		list = append(list, found("unit-disabled", agentUnit, "it is "+u.UnitFileState, "systemctl enable --now vipd"))
	}
	const without = "mkdir -p /etc/systemd/system/vipd.service.d && cp /usr/share/vipd/no-realtime.conf /etc/systemd/system/vipd.service.d/ && systemctl daemon-reload && systemctl restart vipd"
	switch {
	case u.ExitStatus == exitScheduling && u.ActiveState != "active":
		list = append(list, found("realtime-refused", agentUnit, "its start ended with 214/SETSCHEDULER", without))
	case u.ActiveState == "failed" && u.ExitStatus == exitConfig:
		list = append(list, found("unit-failed", agentUnit, "it ended with 78: the configuration is bad", "vipd check; then: systemctl restart vipd"))
	case u.ActiveState == "failed":
		list = append(list, found("unit-failed", agentUnit, fmt.Sprintf("it has failed: %s, exit status %d", u.Result, u.ExitStatus), "journalctl -u vipd -n 50; then: systemctl restart vipd"))
	}
	list = append(list, p.checkGiven(u)...)
	if !isRealTime(policyName(u.Policy)) {
		return list // and so its process
	}
	if u.MainPID != 0 {
		if policy, err := p.Kernel.Policy(u.MainPID); err == nil && !isRealTime(policy) {
			list = append(list, found("realtime-refused", agentUnit, fmt.Sprintf("its process %d is scheduled as %s", u.MainPID, policy), without))
		}
	}
	return list
}

// enabled tells whether the unit is started at each boot. One that is enabled in /run
// (enabled-runtime) is not.
func enabled(u Unit) bool {
	return slices.Contains([]string{"enabled", "static", "alias"}, u.UnitFileState)
}

func isRealTime(policy string) bool { return slices.Contains([]string{"rr", "fifo"}, policy) }

// policyName returns a policy by its name. systemctl show prints the kernel's numbers.
func policyName(policy string) string {
	names := map[string]string{"0": "other", "1": "fifo", "2": "rr", "3": "batch", "5": "idle", "6": "deadline", "7": "ext"}
	if name, ok := names[policy]; ok {
		return name
	}
	return policy
}

// checkNames looks at the units that K3s's scripts take for K3s's.
func (p *patient) checkNames(ctx context.Context) ([]Finding, error) {
	names, err := p.Units.Match(ctx, "k3s*.service")
	if err != nil {
		return nil, err
	}
	var list []Finding
	for _, name := range names {
		u, err := p.Units.Show(ctx, name)
		switch {
		case err != nil:
			return list, err
		case runs(u, "vipd"):
			list = append(list, found("unit-named-k3s", name, "it runs vipd, and K3s's scripts stop what is named k3s*",
				fmt.Sprintf("systemctl disable --now %s && rm %s && systemctl daemon-reload && systemctl enable --now vipd", name, u.Path)))
		case u.LoadState == "loaded" && !runs(u, "k3s") && u.ExecStart != "":
			list = append(list, found("unit-strange-k3s", name, "K3s's scripts stop and remove what is named k3s*", "give it another name if it is not part of K3s"))
		}
	}
	return list, nil
}

// runs tells whether a unit starts a program of that name.
func runs(u Unit, program string) bool {
	for field := range strings.FieldsSeq(strings.ReplaceAll(u.ExecStart, "=", " ")) {
		if filepath.Base(field) == program && strings.HasPrefix(field, "/") {
			return true
		}
	}
	return false
}
