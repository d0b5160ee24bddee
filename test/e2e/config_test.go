package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/vipd/vipd/agent/control"
)

const configFile = "/etc/vipd/vipd.toml"

// bogus makes a vipd.toml that is refused when it is added at the end.
const bogus = "bogus = 3\n"

// configScenarios are changes of vipd.toml, good and bad.
func configScenarios() []scenario {
	return []scenario{
		{
			name:   "systemctl reload vipd, another priority and check",
			fault:  reloadChanges,
			limits: limits{gap: 100 * time.Millisecond},
		},
		{
			name:   "systemctl reload vipd, a bad vipd.toml",
			fault:  reloadBad,
			limits: limits{gap: 100 * time.Millisecond},
			also:   "it fails, systemctl status has the line, and the agent goes on as it was",
		},
		{
			name:   "systemctl start vipd, a bad vipd.toml",
			fault:  startBad,
			limits: limits{gap: 100 * time.Millisecond},
			also:   "it fails at once and for good, systemctl status has the line; mended, it starts",
		},
		{
			name:   "systemctl restart vipd, a bad vipd.toml",
			fault:  restartBad,
			limits: limits{resets: 2, gap: 100 * time.Millisecond, moves: 1},
			also:   "it fails, and the VIP is handed over",
		},
	}
}

func reloadChanges(x *trial) {
	undo := x.addConfig(x.first, "priority = 240\n[[check]]\ntype = \"k3s\"\n[[check]]\ntype = \"tcp\"\naddress = \"127.0.0.1:6443\"\n")
	defer undo()
	pid := x.pid(x.first)
	x.on(x.first, "systemctl", "reload", "vipd.service")
	x.follows(x.first, 240, 2)
	x.stays(x.first, time.Second)
	undo()
	x.on(x.first, "systemctl", "reload", "vipd.service")
	x.follows(x.first, 200, 1)
	x.stays(x.first, time.Second)
	if now := x.pid(x.first); now != pid {
		x.Errorf("the agent was process %s and is %s", pid, now)
	}
}

func reloadBad(x *trial) {
	line, pid := x.lineOf(x.first), x.pid(x.first)
	defer x.addConfig(x.first, "priority = 240\n"+bogus)()
	x.refuses(x.first, "systemctl", "reload", "vipd.service")
	x.says(x.systemctlStatus(x.first), "active (running)", "nothing was changed: "+configFile+line(1), "this node holds")
	x.follows(x.first, 200, 1)
	x.stays(x.first, 500*time.Millisecond)
	if now := x.pid(x.first); now != pid {
		x.Errorf("the agent was process %s and is %s", pid, now)
	}
}

func startBad(x *trial) {
	backup := x.backup()
	x.on(backup, "systemctl", "stop", "vipd.service")
	line := x.lineOf(backup)
	undo := x.addConfig(backup, bogus)
	defer undo()
	began := time.Now()
	x.refuses(backup, "systemctl", "start", "vipd.service")
	if took := time.Since(began); took > 2*time.Second {
		x.Errorf("the start took %v to fail", took)
	}
	x.endsFailed(backup, line(0))
	undo()
	x.on(backup, "systemctl", "start", "vipd.service")
}

func restartBad(x *trial) {
	line := x.lineOf(x.first)
	undo := x.addConfig(x.first, bogus)
	defer undo()
	x.refuses(x.first, "systemctl", "restart", "vipd.service")
	x.moved()
	x.endsFailed(x.first, line(0))
	if held, err := holding([]*node{x.first}); err != nil || held != 0 {
		x.Errorf("the VIP is still on %s: %v", x.first.name, err)
	}
}

// endsFailed wants the agent to have failed, and not to be started again; systemctl
// status has to have the place in vipd.toml.
func (x *trial) endsFailed(n *node, place string) {
	x.Helper()
	// Longer than RestartSec.
	for end := time.Now().Add(1500 * time.Millisecond); time.Now().Before(end); <-time.After(100 * time.Millisecond) {
		if state := x.property(n, "ActiveState"); state != "failed" {
			x.Fatalf("vipd.service is %s", state)
		}
	}
	if again := x.restarts(n); again != "0" {
		x.Errorf("systemd has started the agent again: %s", again)
	}
	out := x.systemctlStatus(n)
	x.says(out, `Status: "`+configFile+place, "vipd: "+configFile+place, "status=78")
}

// addConfig adds text to a node's vipd.toml, after its [[vip]]. What it returns puts
// the file back.
func (x *trial) addConfig(n *node, text string) (undo func()) {
	x.Helper()
	before, err := os.ReadFile(n.Path(configFile))
	x.must(err)
	x.must(n.WriteFile(configFile, append(before, text...), 0o644))
	return func() { x.must(n.WriteFile(configFile, before, 0o644)) }
}

// lineOf returns how errors in the lines that addConfig will add begin, the first of
// which is 0.
func (x *trial) lineOf(n *node) func(added int) string {
	x.Helper()
	before, err := os.ReadFile(n.Path(configFile))
	x.must(err)
	last := strings.Count(string(before), "\n")
	return func(added int) string { return fmt.Sprintf(":%d: ", last+added+1) }
}

// follows wants a node to be ready by so many checks, and its priority as configured.
func (x *trial) follows(n *node, priority uint8, checks int) {
	x.Helper()
	x.seesStatus(n, fmt.Sprintf("priority %d and %d checks", priority, checks), func(st control.Status) bool {
		return st.Routers[0].Configured == priority && len(st.Health.Checks) == checks && st.Health.Grade == "ready"
	})
}

// seesStatus waits until the status of a node is as it should.
func (x *trial) seesStatus(n *node, what string, good func(control.Status) bool) {
	x.Helper()
	x.until(n.name+" to have "+what, func(ctx context.Context) error {
		st, err := n.status(ctx)
		if err == nil && !good(st) {
			err = fmt.Errorf("its status is %+v", st)
		}
		return err
	})
}

// refuses wants a command on a node to fail, and returns what it printed.
func (x *trial) refuses(n *node, command ...string) string {
	x.Helper()
	ctx, cancel := context.WithTimeout(x.Context(), patience)
	defer cancel()
	out, err := n.Run(ctx, command...)
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() <= 0 {
		x.Fatalf("%s: %v: want it to fail: %v: %s", n.name, command, err, out)
	}
	return out
}

// systemctlStatus returns what an operator reads of the agent's unit.
func (x *trial) systemctlStatus(n *node) string {
	x.Helper()
	// It exits 3 where the unit has failed.
	return x.on(n, "sh", "-c", "systemctl status --no-pager --full --lines=20 vipd.service || [ $? = 3 ]")
}

// says wants all the words in a text.
func (x *trial) says(text string, words ...string) {
	x.Helper()
	for _, w := range words {
		if !strings.Contains(text, w) {
			x.Errorf("want %q in:\n%s", w, text)
		}
	}
}
