package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/vipd/vipd/agent/control"
)

// packageScenarios are what a package manager does to the nodes.
func packageScenarios() []scenario {
	return []scenario{
		{
			name:   "upgrade of the package, one server after the other",
			fault:  func(x *trial) { x.rolling(later) },
			limits: limits{gap: 100 * time.Millisecond},
			also:   "each agent is restarted once, and is of the new version",
		},
		{
			name:   "downgrade of the package, one server after the other",
			fault:  func(x *trial) { x.rolling(current) },
			limits: limits{gap: 100 * time.Millisecond},
			also:   "the same",
		},
		{
			name:   "upgrade of the package, a bad vipd.toml",
			fault:  upgradeBad,
			limits: limits{gap: 100 * time.Millisecond},
			also:   "the old agent runs on, and apt says why; a restart with a good one is the upgrade",
		},
		{
			name:   "removal of the package, and installation",
			fault:  removeAndInstall,
			limits: limits{resets: 2, gap: 100 * time.Millisecond, moves: 1},
			also:   "nothing is left but vipd.toml, with which it works again",
		},
		{
			name:   "purge of the package, and installation beside a vipd.toml of one's own",
			fault:  purgeAndInstall,
			limits: limits{resets: 2, gap: 100 * time.Millisecond, moves: 1},
			also:   "nothing is left; neither the installation nor vipd init touches the file",
		},
	}
}

// deb is a package, by its file.
type deb string

// The packages: one that make package has built, and one of the same tree that calls
// itself later.
const (
	current deb = "../../dist/vipd_*_amd64.deb"
	later   deb = "../../bin/e2e/later/vipd_*_amd64.deb"
)

func (d deb) file() (string, error) {
	found, err := filepath.Glob(string(d))
	if err != nil || len(found) != 1 {
		return "", fmt.Errorf("want one package of the name %s, make e2e builds it: %v", d, found)
	}
	return found[0], nil
}

// put copies a package to a node, and returns its path there and its version.
func (x *trial) put(n *node, d deb) (path, version string) {
	x.Helper()
	file, err := d.file()
	x.must(err)
	path = "/root/" + filepath.Base(file)
	x.must(n.CopyIn(file, path))
	return path, versionOf(filepath.Base(file))
}

// versionOf returns the version of a package by the name of its file.
func versionOf(name string) string {
	_, version, _ := strings.Cut(strings.TrimSuffix(name, "_amd64.deb"), "_")
	return version
}

// apt is what an operator calls, without the questions.
func (x *trial) apt(n *node, args ...string) string {
	x.Helper()
	return x.on(n, append([]string{"env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet", "--yes", "--allow-downgrades"}, args...)...)
}

// rolling installs a package on all nodes, the holder first.
func (x *trial) rolling(d deb) {
	x.Helper()
	nodes := x.holderLast(x.first)
	slices.Reverse(nodes)
	for _, n := range nodes {
		path, version := x.put(n, d)
		pid, starts := x.pid(n), x.starts(n)
		x.apt(n, "install", path)
		x.isVersion(n, version)
		if again := x.starts(n) - starts; again != 1 || x.pid(n) == pid {
			x.Errorf("%s: the agent was started %d times, want once; process %s is now %s", n.name, again, pid, x.pid(n))
		}
		x.stays(x.first, 500*time.Millisecond)
	}
}

// starts counts the starts of a node's agent in its journal.
func (x *trial) starts(n *node) int {
	x.Helper()
	const started = "39f53479d3a045ac8e11786248231fbf" // SD_MESSAGE_UNIT_STARTED
	x.on(n, "journalctl", "--sync")
	return strings.Count(x.on(n, "journalctl", "--quiet", "--output=cat", "MESSAGE_ID="+started, "UNIT=vipd.service"), "\n")
}

// isVersion wants a node's agent, which is ready, to be of a version.
func (x *trial) isVersion(n *node, version string) {
	x.Helper()
	x.seesStatus(n, "version "+version, func(st control.Status) bool {
		return st.Version == version && st.Health.Grade == "ready"
	})
}

func upgradeBad(x *trial) {
	line, pid := x.lineOf(x.first), x.pid(x.first)
	undo := x.addConfig(x.first, bogus)
	defer undo()
	before, oldVersion := x.put(x.first, current)
	after, newVersion := x.put(x.first, later)
	x.says(x.apt(x.first, "install", after), "the former version runs on", configFile+line(0))
	x.isVersion(x.first, oldVersion)
	if now := x.pid(x.first); now != pid {
		x.Errorf("the agent was process %s and is %s", pid, now)
	}
	undo()
	x.on(x.first, "systemctl", "restart", "vipd.service")
	x.isVersion(x.first, newVersion)
	x.stays(x.first, 500*time.Millisecond)
	x.apt(x.first, "install", before)
	x.isVersion(x.first, oldVersion)
}

func removeAndInstall(x *trial) {
	config, err := os.ReadFile(x.first.Path(configFile))
	x.must(err)
	x.apt(x.first, "remove", "vipd")
	x.moved()
	x.isGone(x.first)
	x.hasConfig(x.first, config)
	path, version := x.put(x.first, current)
	x.apt(x.first, "install", path)
	x.isStopped(x.first)
	x.on(x.first, "systemctl", "enable", "--now", "vipd.service")
	x.isVersion(x.first, version)
	x.hasConfig(x.first, config)
}

func purgeAndInstall(x *trial) {
	config, err := os.ReadFile(x.first.Path(configFile))
	x.must(err)
	x.must(x.first.WriteFile("/etc/vipd/keys/1", []byte("secret\n"), 0o600))
	x.apt(x.first, "purge", "vipd")
	x.moved()
	x.isGone(x.first)
	x.on(x.first, "sh", "-c", "! ls -d /etc/vipd /run/vipd 2>/dev/null")

	own := append([]byte("# by hand\n"), config...)
	x.must(x.first.WriteFile(configFile, own, 0o640))
	path, version := x.put(x.first, current)
	x.apt(x.first, "install", path)
	x.hasConfig(x.first, own)
	x.says(x.refuses(x.first, "vipd", "init", "--address", "198.51.100.100"), configFile+" exists")
	x.hasConfig(x.first, own)
	x.isStopped(x.first)
	x.on(x.first, "systemctl", "enable", "--now", "vipd.service")
	x.isVersion(x.first, version)
	x.must(x.first.WriteFile(configFile, config, 0o644))
}

// isGone wants nothing of vipd to be left on a node but what a purge takes.
func (x *trial) isGone(n *node) {
	x.Helper()
	if held, err := holding([]*node{n}); err != nil || held != 0 {
		x.Errorf("the VIP is still on %s: %v", n.name, err)
	}
	for _, unit := range []string{"vipd.service", "vipd-handover.service"} {
		state, err := n.Property(x.Context(), unit, "LoadState")
		if x.must(err); state != "not-found" {
			x.Errorf("%s: %s is %s", n.name, unit, state)
		}
	}
	left := x.on(n, "find", "/etc/systemd/system", "/usr/bin", "/usr/lib/systemd", "-name", "vipd*")
	if left += x.on(n, "sh", "-c", "pgrep --exact vipd || true"); left != "" {
		x.Errorf("%s: left is\n%s", n.name, left)
	}
}

// isStopped wants the installation to have started and enabled nothing.
func (x *trial) isStopped(n *node) {
	x.Helper()
	for _, unit := range []string{"vipd.service", "vipd-handover.service"} {
		enabled := x.on(n, "sh", "-c", "systemctl is-enabled "+unit+" || true")
		active := x.on(n, "sh", "-c", "systemctl is-active "+unit+" || true")
		if got := strings.Fields(enabled + active); len(got) != 2 || got[0] != "disabled" || got[1] != "inactive" {
			x.Errorf("%s: %s is %q after the installation", n.name, unit, got)
		}
	}
}

func (x *trial) hasConfig(n *node, want []byte) {
	x.Helper()
	got, err := os.ReadFile(n.Path(configFile))
	if x.must(err); string(got) != string(want) {
		x.Errorf("%s: vipd.toml was\n%s\nand is\n%s", n.name, want, got)
	}
}
