package doctor

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// asPackaged is what systemctl show prints of the unit as the package has it (systemd 252).
const asPackaged = `WatchdogUSec=5s
CPUWeight=[not set]
CPUQuotaPerSecUSec=infinity
LimitMEMLOCK=infinity
OOMScoreAdjust=-900
Nice=0
CPUSchedulingPolicy=2
CapabilityBoundingSet=cap_dac_read_search cap_net_admin cap_net_raw
AmbientCapabilities=cap_dac_read_search cap_net_admin cap_net_raw
User=vipd
LoadState=loaded
ActiveState=active
UnitFileState=enabled
`

const (
	aDropIn = "/etc/systemd/system/vipd.service.d/a.conf"
	bDropIn = "/etc/systemd/system/vipd.service.d/b.conf"
)

// What a drop-in takes is told with the drop-in that does.
func TestGiven(t *testing.T) {
	const restart = ", then: systemctl daemon-reload && systemctl restart vipd"
	for name, tt := range map[string]struct {
		shown    string // instead
		a        string // the drop-in; the other has nothing to do with it
		evidence string // empty: nothing is found
		remedy   string
	}{
		"as packaged":          {"", "", "", ""},
		"an old release":       {"LimitMEMLOCK=18446744073709551615\nCPUWeight=18446744073709551615\n", "", "", ""},
		"more than it had":     {"CPUWeight=500\nNice=-20\nWatchdogUSec=2s\n", "CPUWeight=500\n", "", ""},
		"not running":          {"ActiveState=inactive\nWatchdogUSec=infinity\n", "", "", ""},
		"policy":               {"CPUSchedulingPolicy=0\nNice=-20\n", "CPUSchedulingPolicy=other\nNice=-20\n", "CPUSchedulingPolicy is other, by " + aDropIn, "remove that drop-in unless this machine refuses real-time scheduling" + restart},
		"quota":                {"CPUQuotaPerSecUSec=200ms\n", "CPUQuota=20%\n", "CPUQuota is 200ms per second, by " + aDropIn, "take CPUQuota out of " + aDropIn + restart},
		"weight":               {"CPUWeight=10\n", "CPUWeight=10\n", "CPUWeight is 10, by " + aDropIn, "take CPUWeight out of " + aDropIn + restart},
		"idle":                 {"CPUWeight=idle\n", "CPUWeight=idle\n", "CPUWeight is idle, by " + aDropIn, "take CPUWeight out of " + aDropIn + restart},
		"nice":                 {"Nice=5\n", "Nice=5\n", "Nice is 5, by " + aDropIn, "take Nice out of " + aDropIn + restart},
		"watchdog":             {"WatchdogUSec=0\n", "WatchdogSec=0\n", "WatchdogSec is off, by " + aDropIn, "take WatchdogSec out of " + aDropIn + restart},
		"memory":               {"LimitMEMLOCK=65536\nOOMScoreAdjust=500\n", "LimitMEMLOCK=64K\nOOMScoreAdjust=500\n", "OOMScoreAdjust is 500, LimitMEMLOCK is 65536, by " + aDropIn, "take OOMScoreAdjust, LimitMEMLOCK out of " + aDropIn + restart},
		"ambient capabilities": {"AmbientCapabilities=cap_net_raw\n", "AmbientCapabilities=\nAmbientCapabilities=CAP_NET_RAW\n", "AmbientCapabilities is without CAP_NET_ADMIN CAP_DAC_READ_SEARCH, by " + aDropIn, "take AmbientCapabilities out of " + aDropIn + restart},
		"no capabilities":      {"CapabilityBoundingSet=\n", "CapabilityBoundingSet=\n", "CapabilityBoundingSet is without CAP_NET_ADMIN CAP_NET_RAW CAP_DAC_READ_SEARCH, by " + aDropIn, "take CapabilityBoundingSet out of " + aDropIn + restart},
		"as root":              {"User=\nAmbientCapabilities=\n", "User=\nAmbientCapabilities=\n", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := healthy()
			f.files[aDropIn], f.files[bDropIn] = "[Service]\n"+tt.a, "[Service]\nProtectClock=no\n"
			f.units[agentUnit] = readUnit(agentUnit, []byte(asPackaged+tt.shown+"DropInPaths="+aDropIn+" "+bDropIn+"\n"))
			var want, got []Finding
			if tt.evidence != "" {
				want = append(want, found("dropin-lowers-priority", agentUnit, tt.evidence, tt.remedy))
			}
			for _, x := range f.examine(t, Options{Listen: listen, Root: true}).Findings {
				if x.Severity != OK {
					got = append(got, x)
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// A unit that was changed as a whole has no drop-in to name.
func TestGivenWithoutDropIn(t *testing.T) {
	f := healthy()
	f.units[agentUnit] = readUnit(agentUnit, []byte(asPackaged+"CPUQuotaPerSecUSec=200ms\nDropInPaths=\n"))
	want := found("dropin-lowers-priority", agentUnit, "CPUQuota is 200ms per second", "take CPUQuota out of the unit, as systemctl cat vipd shows it, then: systemctl daemon-reload && systemctl restart vipd")
	for _, x := range f.examine(t, Options{Listen: listen, Root: true}).Findings {
		if x.Severity != OK && x != want {
			t.Errorf("%+v", x)
		}
	}
}
