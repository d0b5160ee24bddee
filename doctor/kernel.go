package doctor

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/vipd/vipd/config"
)

func checkClock(_ context.Context, p *patient) ([]Finding, error) {
	synced, err := p.Kernel.Synchronised()
	if err != nil {
		return nil, fmt.Errorf("ask the kernel about the clock: %w", err)
	}
	if synced {
		return nil, nil
	}
	f := found("clock-unsynchronised", "clock", "nothing keeps the clock of this host right", "timedatectl set-ntp true")
	if cfg, err := p.cfg(); err == nil && cfg.Auth != nil && cfg.Auth.AntiReplay == config.ByTime {
		f.Evidence += ", and [auth] goes by it: this server does not claim"
	}
	return []Finding{f}, nil
}

func checkTimer(ctx context.Context, p *patient) ([]Finding, error) {
	cfg, err := p.cfg()
	if err != nil {
		return nil, errNoConfig
	}
	worst, realTime, err := p.Kernel.Lateness(ctx, p.policy(ctx))
	if err != nil {
		return nil, fmt.Errorf("measure timers: %w", err)
	}
	how := "with real-time scheduling"
	if !realTime {
		how = "without real-time scheduling"
	}
	var list []Finding
	for _, v := range cfg.VIPs {
		if v.Mode == config.ModeVRRP && worst > v.AdvertInterval/2 {
			better := (4*worst + 9*time.Millisecond).Truncate(10 * time.Millisecond)
			list = append(list, found("timer-late", v.Name, fmt.Sprintf("a timer was %v late %s; advert_interval is %v", worst.Round(time.Millisecond), how, v.AdvertInterval),
				fmt.Sprintf("advert_interval = %q on all servers, or more CPU for this machine", better)))
		}
	}
	return list, nil
}

// policy is by which the agent is scheduled, or as its unit has it if it does not run.
func (p *patient) policy(ctx context.Context) string {
	const ofTheUnit = "rr"
	pid, err := p.Agent.Process(ctx)
	if err != nil {
		return ofTheUnit
	}
	policy, err := p.Kernel.Policy(pid)
	if err != nil {
		return ofTheUnit
	}
	return policy
}

// oldest is the first kernel that has pidfd_open(2).
var oldest = [2]int{5, 3}

func checkVersions(_ context.Context, p *patient) ([]Finding, error) {
	var list []Finding
	if s, err := p.status(); err == nil && s.Version != p.Version {
		list = append(list, found("version-differs", "agent", fmt.Sprintf("the agent is %s, this program %s", s.Version, p.Version), "systemctl restart vipd, which keeps the VIP where it is"))
	}
	release, err := p.Kernel.Release()
	if err != nil {
		return list, fmt.Errorf("ask for the kernel's release: %w", err)
	}
	if major, minor := kernelVersion(release); major < oldest[0] || major == oldest[0] && minor < oldest[1] {
		list = append(list, found("kernel-old", "kernel", "Linux "+release+" cannot tell of the end of a process by pidfd", "use Linux 5.3 or newer"))
	}
	return list, nil
}

func kernelVersion(release string) (major, minor int) {
	parts := strings.FieldsFunc(release, func(r rune) bool { return r < '0' || r > '9' })
	if len(parts) < 2 {
		return 0, 0
	}
	major, _ = strconv.Atoi(parts[0])
	minor, _ = strconv.Atoi(parts[1])
	return major, minor
}
