package e2e

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vipd/vipd/agent/control"
)

// hookScenarios run the commands of [[hook]] in the sandbox of vipd.service.
func hookScenarios() []scenario {
	return []scenario{{
		name: "hooks, one of which fails and one hangs, and vipd drain on one server after the other", fault: runHooks,
		limits: limits{resets: 4, gap: 100 * time.Millisecond, moves: 2},
		also:   "refused without exec-checks.conf; with it they are told of the move, and their output is in the journal; the one that hangs is killed after its timeout; none can do more than the documentation says",
	}}
}

// The hooks, by what they do. A drop-in of the operator's gives them a directory.
const (
	toldHook = `#!/bin/sh
echo "$VIPD_EVENT $VIPD_VIP $VIPD_FAMILY $VIPD_ADDRESSES $VIPD_INTERFACE, was $VIPD_FROM: $VIPD_CAUSE" >>"$STATE_DIRECTORY/told"
echo "told of $VIPD_EVENT"
`
	failingHook = "#!/bin/sh\necho 'no route to the cloud' >&2\nexit 3\n"
	hangingHook = "#!/bin/sh\nsleep 271 &\nsleep 271\n"

	hooksConfig = `[[hook]]
on = ["active", "backup"]
command = ["/usr/local/bin/told"]
[[hook]]
on = ["active", "backup"]
command = ["/usr/local/bin/fails"]
[[hook]]
on = ["active", "backup"]
command = ["/usr/local/bin/hangs"]
timeout = "2s"
[[hook]]
on = ["active"]
command = ["/usr/local/bin/confined"]
`
	hooksDropIn = "[Service]\nStateDirectory=vipd-hooks\n"
	hooksTold   = "/var/lib/vipd-hooks/told"
)

// confinedHook tries what a hook may do, and what it may not.
const confinedHook = `#!/bin/bash
try() { what=$1; shift; if "$@" >/dev/null 2>&1; then echo "can $what"; else echo "cannot $what"; fi; }
connect() { exec 3<>/dev/tcp/127.0.0.1/6443; }
try "write to its state directory" touch "$STATE_DIRECTORY/x"
try "write to a /tmp of its own" touch /tmp/vipd-hook
try "connect to the network" connect
try "ask the agent" vipd status
try "write to /etc" touch /etc/vipd/x
try "write to /var" touch /var/lib/x
try "write to /usr" touch /usr/local/bin/x
try "see /home" ls /home/admin
try "read what is root's alone" cat /var/lib/rancher/k3s/server/tls/server-ca.key
try "change addresses" ip address add 203.0.113.9/32 dev lo
try "change routes" ip route add 203.0.113.0/24 dev lo
try "become root" sudo -n true
try "schedule in real time" chrt --rr 1 true
try "make namespaces" unshare --user true
`

const confined = `can write to its state directory
can write to a /tmp of its own
can connect to the network
can ask the agent
cannot write to /etc
cannot write to /var
cannot write to /usr
cannot see /home
cannot read what is root's alone
cannot change addresses
cannot change routes
cannot become root
cannot schedule in real time
cannot make namespaces
`

func runHooks(x *trial) {
	defer x.addHooks()()
	x.on(x.first, "vipd", "drain", "--wait")
	second := x.moved()
	x.on(second, "vipd", "drain", "--wait") // its hooks hang now
	third := x.movedFrom(second)
	active := func(last *node) string {
		return "active k3s IPv4 198.51.100.100 eth0, was Backup: " + last.address() + " ranks as down"
	}
	backup := func(next *node) string {
		return "backup k3s IPv4 198.51.100.100 eth0, was Active: drained by the operator; " + next.address() + " has taken over"
	}
	x.wasTold(x.first, backup(second))
	x.wasTold(second, active(x.first), backup(third))
	x.wasTold(third, active(second))
	x.logged(x.first, "told", "backup", "told of backup", "the hook has run")
	x.logged(x.first, "fails", "backup", "no route to the cloud", "the hook failed")
	x.logged(x.first, "hangs", "backup", "the hook failed")
	x.hookProblems(x.first, "the hook /usr/local/bin/fails failed last: exit status 3", "the hook /usr/local/bin/hangs failed last: killed after 2s")
	x.on(x.first, "sh", "-c", "! pgrep --full --list-full 'sleep 27[1]'")
	x.logged(second, "hangs", "active", "the hook failed")
	x.logged(second, "hangs", "backup", "the hook failed", "the hook failed") // it started as one, too
	x.isConfined(third)
	x.on(x.first, "vipd", "resume")
	x.on(second, "vipd", "resume")
	x.ranks(x.first, "ready")
	x.stays(third, 500*time.Millisecond)
}

// addHooks gives all servers hooks, the holder last, and returns how to take them away.
func (x *trial) addHooks() (undo func()) {
	x.Helper()
	x.refusesHooks(x.backup())
	var undos []func()
	for _, n := range x.holderLast(x.first) {
		for name, text := range map[string]string{"told": toldHook, "fails": failingHook, "hangs": hangingHook, "confined": confinedHook} {
			x.must(n.WriteFile("/usr/local/bin/"+name, []byte(text), 0o755))
		}
		x.must(n.WriteFile(dropIns+"hooks.conf", []byte(hooksDropIn), 0o644))
		exec, config := x.dropIn(n, "exec-checks.conf"), x.addConfig(n, hooksConfig)
		x.on(n, "systemctl", "restart", "vipd.service")
		undos = append(undos, func() {
			config()
			x.must(os.Remove(n.Path(dropIns + "hooks.conf")))
			exec()
			x.on(n, "systemctl", "restart", "vipd.service")
		})
	}
	return func() {
		for _, u := range undos {
			u()
		}
	}
}

// refusesHooks wants a server without the drop-in to say that it needs it.
func (x *trial) refusesHooks(n *node) {
	x.Helper()
	defer x.addConfig(n, hooksConfig)()
	x.refuses(n, "systemctl", "reload", "vipd.service")
	x.says(x.systemctlStatus(n), "nothing was changed: hooks cannot run", "use the drop-in exec-checks.conf")
}

// wasTold waits until the last that a hook was told is this.
func (x *trial) wasTold(n *node, want ...string) {
	x.Helper()
	x.until("the hook to be told", func(context.Context) error {
		text, err := os.ReadFile(n.Path(hooksTold))
		if err != nil {
			return err
		}
		lines := strings.Split(strings.TrimSpace(string(text)), "\n")
		if last := lines[max(0, len(lines)-len(want)):]; !slices.Equal(last, want) {
			return fmt.Errorf("it was told %q, want %q", last, want)
		}
		return nil
	})
}

// logged waits until the journal has what a hook of this agent's printed on an event,
// and what became of it: these messages, in this order, and no others.
func (x *trial) logged(n *node, hook, event string, want ...string) {
	x.Helper()
	x.until("the journal to have what "+hook+" printed", func(context.Context) error {
		if got := x.hookLog(n, hook, event); !slices.Equal(got, want) {
			return fmt.Errorf("it has %q, want %q", got, want)
		}
		return nil
	})
}

// hookLog returns the messages of a hook's runs on an event since the agent started,
// without what stands in fields too.
func (x *trial) hookLog(n *node, hook, event string) []string {
	x.Helper()
	x.on(n, "journalctl", "--sync")
	out := x.on(n, "sh", "-c", `journalctl --quiet --output=cat "$@" || true`, "sh", // it exits 1 if there is none
		"_SYSTEMD_INVOCATION_ID="+x.property(n, "InvocationID"), "VIPD_HOOK=/usr/local/bin/"+hook, "VIPD_EVENT="+event)
	var messages []string
	for line := range strings.Lines(out) {
		message, _, _ := strings.Cut(line, " hook=")
		messages = append(messages, message)
	}
	return messages
}

// hookProblems waits until the status says so of hooks, and nothing else.
func (x *trial) hookProblems(n *node, want ...string) {
	x.Helper()
	x.seesStatus(n, "its hooks' problems", func(st control.Status) bool { return slices.Equal(st.Problems, want) })
}

// isConfined wants the hook that tries it to have done what is documented, and no more.
func (x *trial) isConfined(n *node) {
	x.Helper()
	var got []string
	x.until("the hook that tries things to end", func(context.Context) error {
		if got = x.hookLog(n, "confined", "active"); !slices.Contains(got, "the hook has run") {
			return fmt.Errorf("it has printed %q", got)
		}
		return nil
	})
	if diff := cmp.Diff(confined+"the hook has run\n", strings.Join(got, "\n")+"\n"); diff != "" {
		x.Errorf("a hook (-want +got):\n%s", diff)
	}
}
