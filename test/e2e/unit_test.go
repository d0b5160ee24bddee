package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/vipd/vipd/agent/control"
)

// unitScenarios look at vipd.service on a booted machine, and take away what it
// leans on.
func unitScenarios() []scenario {
	return []scenario{
		{
			name:   "looking at vipd.service",
			fault:  lookAtUnit,
			limits: limits{gap: 100 * time.Millisecond},
			also:   "sandbox, capabilities, scheduling, status line, journal and control socket are as documented",
		},
		{
			name:   "D-Bus gone and back, then systemctl stop k3s",
			fault:  loseDBus,
			limits: stopAlone,
			also:   "checks go on without D-Bus; vipd-handover.service does nothing, and the agent hears by D-Bus that K3s is stopping",
		},
		{
			name:   "systemctl daemon-reload, daemon-reexec, restart vipd, then stop k3s",
			fault:  reexecSystemd,
			limits: stopAlone,
			also:   "the same",
		},
	}
}

// stopAlone is what a client may see where K3s stops without vipd-handover.service: it
// closes its port 60 ms after systemd's word at the earliest, which is as long as a
// Backup takes.
var stopAlone = limits{failed: anyNumber, gap: 500 * time.Millisecond, moves: 1}

func lookAtUnit(x *trial) {
	x.unitIsSafe(x.first)
	x.processIsPlain(x.first)
	x.statusLines()
	x.journalHasHistory(x.first)
	x.plainLog(x.backup())
	x.socketIsGuarded(x.first)
}

// unitIsSafe asks systemd what it thinks of the units.
func (x *trial) unitIsSafe(n *node) {
	x.Helper()
	x.on(n, "systemd-analyze", "security", "--no-pager", "--threshold=20", "vipd.service")
	// The machines have no man; packaging's tests read the pages.
	if out := x.on(n, "systemd-analyze", "verify", "--man=no", "vipd.service", "vipd-handover.service"); out != "" {
		x.Errorf("systemd-analyze verify: %s", out)
	}
}

// processIsPlain looks at the agent's process and its threads.
func (x *trial) processIsPlain(n *node) {
	x.Helper()
	pid := x.pid(n)
	const three = "0000000000003004" // CAP_DAC_READ_SEARCH, CAP_NET_ADMIN, CAP_NET_RAW
	got := make(map[string]string)
	for line := range strings.Lines(x.on(n, "cat", "/proc/"+pid+"/status")) {
		key, value, _ := strings.Cut(line, ":")
		got[key] = strings.TrimSpace(value)
	}
	for _, set := range []string{"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"} {
		if got[set] != three {
			x.Errorf("%s of the agent is %s, want %s", set, got[set], three)
		}
	}
	if got["NoNewPrivs"] != "1" {
		x.Errorf("NoNewPrivs of the agent is %s", got["NoNewPrivs"])
	}
	if user := strings.TrimSpace(x.on(n, "ps", "-o", "user=", "-p", pid)); user != "vipd" {
		x.Errorf("the agent runs as %s", user)
	}
	for class := range strings.FieldsSeq(x.on(n, "ps", "-L", "-o", "cls=", "-p", pid)) {
		if class != "RR" {
			x.Errorf("a thread of the agent is scheduled as %s", class)
		}
	}
	// What runs machines may keep their root from having a better score than others.
	score := strings.TrimSpace(x.on(n, "cat", "/proc/"+pid+"/oom_score_adj"))
	allowed := x.on(n, "sh", "-c", "(echo -900 >/proc/self/oom_score_adj) 2>/dev/null && echo yes || echo no")
	if strings.TrimSpace(allowed) == "yes" && score != "-900" {
		x.Errorf("oom_score_adj of the agent is %s", score)
	}
}

// statusLines wants systemctl status to say who holds the VIP, on each node.
func (x *trial) statusLines() {
	x.Helper()
	st, err := x.first.status(x.Context())
	x.must(err)
	for _, n := range x.nodes {
		want := st.Routers[0].Source + " holds 198.51.100.100"
		if n == x.first {
			want = "this node holds 198.51.100.100"
		}
		x.says(x.property(n, "StatusText"), want, "API server ready")
	}
}

// entry is what of the journal is compared.
type entry struct {
	VIP   string `json:"VIPD_VIP"`
	From  string `json:"VIPD_FROM"`
	State string `json:"VIPD_STATE"`
	Cause string `json:"VIPD_CAUSE"`
}

// journalHasHistory wants one entry in the journal for each transition since the agent
// started, with all of it in fields.
func (x *trial) journalHasHistory(n *node) {
	x.Helper()
	c := control.NewClient(control.Socket(n.Live("/run/vipd")))
	st, err := c.Status(x.Context())
	x.must(err)
	events, err := c.History(x.Context())
	x.must(err)
	var want, got []entry
	for _, e := range events {
		if e.Kind == control.KindTransition && !e.Time.Before(st.Started) {
			want = append(want, entry{e.VIP, e.From, e.To, e.Cause})
		}
	}
	x.on(n, "journalctl", "--sync")
	out := x.on(n, "journalctl", "--quiet", "--output=json", "_SYSTEMD_INVOCATION_ID="+x.property(n, "InvocationID"))
	for line := range strings.Lines(out) {
		var e entry
		x.must(json.Unmarshal([]byte(line), &e))
		if e.State != "" {
			got = append(got, e)
		}
	}
	if len(want) == 0 || !slices.Equal(got, want) {
		x.Errorf("the journal has %+v, the history %+v", got, want)
	}
}

// plainLog runs a second agent, outside of systemd, which has to log plain text.
func (x *trial) plainLog(n *node) {
	x.Helper()
	const other = "[[check]]\ntype = \"none\"\n[[vip]]\naddresses = [\"198.51.100.101\"]\nvrid = 7\n"
	x.must(n.WriteFile("/root/other/vipd.toml", []byte(other), 0o644))
	x.says(x.on(n, "timeout", "--preserve-status", "0.3", "vipd", "run", "--config", "/root/other/vipd.toml", "--runtime-dir", "/root/other/run"),
		"level=INFO msg=\"now Backup\" vip=k3s family=IPv4")
}

// socketIsGuarded wants the control socket to be root's and the agent's.
func (x *trial) socketIsGuarded(n *node) {
	x.Helper()
	for _, command := range []string{"vipd status", "vipd drain"} {
		x.says(x.refuses(n, "runuser", "--login", "admin", "--command", command), "no permission to open /run/vipd/control.sock: run the command as root")
	}
	for _, user := range []string{"root", "vipd"} {
		x.says(x.on(n, "runuser", "-u", user, "--", "vipd", "status"), "198.51.100.100")
	}
}

func loseDBus(x *trial) {
	backup := x.backup()
	for _, n := range []*node{x.first, backup} {
		x.on(n, "systemctl", "stop", "dbus.socket", "dbus.service")
		defer func() { x.on(n, "systemctl", "start", "dbus.socket", "dbus.service") }()
	}
	x.must(backup.setAPI(x.Context(), "hang"))
	x.ranks(backup, "down")
	x.must(backup.setAPI(x.Context(), "ready"))
	x.ranks(backup, "ready")
	x.stays(x.first, 500*time.Millisecond)
	x.on(x.first, "systemctl", "start", "dbus.socket", "dbus.service")
	x.watchesUnits(x.first)
	x.stopsK3sAlone(x.first)
}

func reexecSystemd(x *trial) {
	x.on(x.first, "systemctl", "daemon-reload")
	x.stays(x.first, 300*time.Millisecond)
	x.on(x.first, "systemctl", "daemon-reexec")
	x.stays(x.first, 300*time.Millisecond)
	x.on(x.first, "systemctl", "restart", "vipd.service")
	x.stays(x.first, time.Second)
	x.stopsK3sAlone(x.first)
}

// stopsK3sAlone stops K3s on the holder in such a way that vipd-handover.service does
// nothing. Only systemd's word that K3s is stopping moves the VIP before its port closes.
func (x *trial) stopsK3sAlone(n *node) {
	x.Helper()
	const dropIn = "/run/systemd/system/vipd-handover.service.d/nothing.conf"
	x.on(n, "sh", "-euc", `mkdir -p "${1%/*}"; printf '[Service]\nExecStop=\n' >"$1"; systemctl daemon-reload`, "sh", dropIn)
	defer func() { x.on(n, "sh", "-euc", `rm "$1"; systemctl daemon-reload`, "sh", dropIn) }()
	x.on(n, "systemctl", "stop", "k3s.service")
	x.moved()
	events, err := control.NewClient(control.Socket(n.Live("/run/vipd"))).History(x.Context())
	x.must(err)
	var causes []string
	for _, e := range events {
		causes = append(causes, e.Cause)
	}
	x.says(strings.Join(causes, "\n"), "k3s.service is stopping")
}

// watchesUnits waits until the agent has heard of its K3s by D-Bus again: it is one
// of those whom the bus knows.
func (x *trial) watchesUnits(n *node) {
	x.Helper()
	pid := x.pid(n)
	x.until("the agent to be on D-Bus again", func(ctx context.Context) error {
		out, err := n.Run(ctx, "busctl", "list", "--no-legend", "--unique")
		if err != nil {
			return err
		}
		for line := range strings.Lines(out) {
			if f := strings.Fields(line); len(f) > 1 && f[1] == pid {
				return nil
			}
		}
		return errors.New("it is not")
	})
}
