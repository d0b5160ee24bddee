package packaging_test

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/vipd/vipd/test/lab"
)

const (
	goodConfig = "[[vip]]\naddresses = [\"198.51.100.100\"]\nvrid = 51\n"
	badConfig  = "[[vip]]\naddresses = 1\n"
)

// TestInstall lets dpkg and rpm run the scripts in roots of their own.
func TestInstall(t *testing.T) {
	lab.Require(t, "dpkg", "rpm", "chroot")
	made(t, "SHA256SUMS")
	newer := t.TempDir()
	cmd := exec.Command("go", "run", "./packaging/build", "-arch", "amd64", "-version", "99.0.0", "-out", newer)
	cmd.Dir = ".."
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build a later version: %v: %s", err, out)
	}
	debs := packages{made(t, "*_amd64.deb"), filepath.Join(newer, "vipd_99.0.0_amd64.deb")}
	rpms := packages{made(t, "*.x86_64.rpm"), filepath.Join(newer, "vipd-99.0.0-1.x86_64.rpm")}
	t.Run("deb", func(t *testing.T) { lifeOfDeb(t, debs) })
	t.Run("rpm", func(t *testing.T) { lifeOfRPM(t, rpms) })
	t.Run("deb without systemd", func(t *testing.T) { debWithoutSystemd(t, debs) })
	t.Run("rpm without systemd", func(t *testing.T) { rpmWithoutSystemd(t, rpms) })
}

// packages are two versions of one.
type packages struct{ old, new string }

func lifeOfDeb(t *testing.T, p packages) {
	r := newSystemd(t)
	afterUnpacking := []string{"systemd-sysusers vipd.conf", "deb-systemd-helper update-state vipd.service",
		"deb-systemd-helper update-state vipd-handover.service", "systemctl --system daemon-reload"}

	r.write("etc/vipd/vipd.toml", goodConfig)
	r.dpkg("-i", p.old)
	r.wants(afterUnpacking...)
	if got := read(t, r.path("etc/vipd/vipd.toml")); got != goodConfig {
		t.Errorf("the configuration that was there is now %q", got)
	}

	r.dpkg("-i", p.new)
	r.wants(afterUnpacking...) // an agent that does not run is not started

	r.write("active", "")
	r.dpkg("-i", p.old)
	r.wants(append(slices.Clone(afterUnpacking), "deb-systemd-invoke try-restart vipd.service")...)

	r.write("etc/vipd/vipd.toml", badConfig)
	if said := r.dpkg("-i", p.new); !strings.Contains(said, "not restarted") || !strings.Contains(said, "vipd.toml:2") {
		t.Errorf("of a configuration that it refuses it says %q", said)
	}
	r.wants(afterUnpacking...)

	r.write("enabled", "")
	r.write("etc/vipd/vipd.toml", goodConfig)
	r.dpkg("-i", p.new)
	r.wants("systemd-sysusers vipd.conf", "deb-systemd-helper enable vipd.service", "deb-systemd-helper enable vipd-handover.service",
		"systemctl --system daemon-reload", "deb-systemd-invoke try-restart vipd.service")

	r.dpkg("-r", "vipd")
	r.wants("deb-systemd-invoke stop vipd.service", "deb-systemd-invoke stop vipd-handover.service",
		"deb-systemd-helper disable vipd.service vipd-handover.service", "systemctl --system daemon-reload")
	r.wantsFiles(true, "etc/vipd/vipd.toml")
	r.wantsFiles(false, "usr/bin/vipd", "usr/lib/systemd/system/vipd.service")

	r.write("etc/vipd/keys/1", "secret")
	r.write("run/vipd/state", "")
	r.dpkg("-P", "vipd")
	r.wants("deb-systemd-helper purge vipd.service vipd-handover.service")
	r.wantsFiles(false, "etc/vipd", "run/vipd")
}

func lifeOfRPM(t *testing.T, p packages) {
	r := newSystemd(t)
	r.write("etc/vipd/vipd.toml", goodConfig)
	r.rpm("--install", p.old)
	r.wants("systemd-sysusers vipd.conf", "systemctl --no-reload preset vipd.service vipd-handover.service", "systemctl daemon-reload")
	if changed := r.rpm("--verify", "vipd"); changed != "" {
		t.Errorf("rpm --verify: %s", changed)
	}
	if got := read(t, r.path("etc/vipd/vipd.toml")); got != goodConfig {
		t.Errorf("the configuration that was there is now %q", got)
	}

	r.rpm("--upgrade", p.new)
	r.wants("systemd-sysusers vipd.conf", "systemctl daemon-reload") // an agent that does not run is not started

	r.write("active", "")
	r.rpm("--upgrade", "--oldpackage", p.old)
	r.wants("systemd-sysusers vipd.conf", "systemctl daemon-reload", "systemctl try-restart vipd.service")

	r.write("etc/vipd/vipd.toml", badConfig)
	if said := r.rpm("--upgrade", p.new); !strings.Contains(said, "not restarted") || !strings.Contains(said, "vipd.toml:2") {
		t.Errorf("of a configuration that it refuses it says %q", said)
	}
	r.wants("systemd-sysusers vipd.conf", "systemctl daemon-reload")

	r.rpm("--erase", "vipd")
	r.wants("systemctl stop vipd.service", "systemctl stop vipd-handover.service",
		"systemctl --no-reload disable vipd.service vipd-handover.service", "systemctl daemon-reload")
	r.wantsFiles(true, "etc/vipd/vipd.toml")
	r.wantsFiles(false, "usr/bin/vipd", "usr/lib/systemd/system/vipd.service", "usr/share/doc/vipd", "etc/vipd/vipd.toml.example")
}

// debWithoutSystemd is how an image is made. Here passwd makes the user, once.
func debWithoutSystemd(t *testing.T, p packages) {
	r := newRoot(t)
	r.stub("deb-systemd-helper", stubs["deb-systemd-helper"])
	r.stub("useradd", "")
	r.stub("getent", "[ -e /user ]")
	r.dpkg("-i", p.old)
	r.wants("getent passwd vipd", "useradd --system --user-group --no-create-home --home-dir / --shell /usr/sbin/nologin --comment Virtual IP agent vipd",
		"deb-systemd-helper update-state vipd.service", "deb-systemd-helper update-state vipd-handover.service")
	r.write("user", "")
	r.dpkg("-i", p.new)
	r.wants("getent passwd vipd", "deb-systemd-helper update-state vipd.service", "deb-systemd-helper update-state vipd-handover.service")
	r.dpkg("-P", "vipd")
	r.wants("deb-systemd-helper disable vipd.service vipd-handover.service", "deb-systemd-helper purge vipd.service vipd-handover.service")
	r.wantsFiles(false, "etc/vipd", "usr/bin/vipd")
}

func rpmWithoutSystemd(t *testing.T, p packages) {
	r := newRoot(t)
	r.stub("useradd", "")
	r.stub("getent", "[ -e /user ]")
	r.rpm("--install", p.old)
	r.wants("getent passwd vipd", "useradd --system --user-group --no-create-home --home-dir / --shell /sbin/nologin --comment Virtual IP agent vipd")
	r.write("user", "")
	r.rpm("--upgrade", p.new)
	r.wants("getent passwd vipd")
	r.rpm("--erase", "vipd")
	r.wants()
	r.wantsFiles(false, "etc/vipd", "usr/bin/vipd")
}

// dpkg installs into the root, and returns what was said.
func (r root) dpkg(args ...string) string {
	r.t.Helper()
	return r.tool("dpkg", append([]string{"--root=" + r.dir, "--force-depends", "--force-unsafe-io"}, args...))
}

// rpm installs into the root, and returns what was said. What a warning of Debian's
// rpm is about does not count: there it should not be used for the system itself.
func (r root) rpm(args ...string) string {
	r.t.Helper()
	said := r.tool("rpm", append([]string{"--root", r.dir, "--nodeps"}, args...))
	var kept strings.Builder
	for line := range strings.Lines(said) {
		if !strings.HasPrefix(line, "rpm: ") {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

func (r root) tool(name string, args []string) string {
	r.t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(cmd.Environ(), "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive")
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
	return string(out)
}

func (r root) wantsFiles(there bool, names ...string) {
	r.t.Helper()
	for _, name := range names {
		if r.has(name) != there {
			r.t.Errorf("/%s: there %v, want %v", name, r.has(name), there)
		}
	}
}
