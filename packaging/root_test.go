package packaging_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/vipd/vipd/test/lab"
)

// root is a system to install into. Its shell is busybox; what the scripts ask of
// systemd and of Debian's helpers it writes down.
type root struct {
	t   *testing.T
	dir string
}

// stubs are the programs that only write down how they were called. Some say no.
var stubs = map[string]string{
	"deb-systemd-helper": `case $1 in debian-installed) [ -e /installed ];; --quiet) [ -e /enabled ];; update-state) : >/installed;; esac`,
	"deb-systemd-invoke": ``,
	"systemctl":          `case $1 in is-active) [ -e /active ];; esac`,
	"systemd-sysusers":   ``,
}

func newRoot(t *testing.T) root {
	t.Helper()
	lab.Require(t, "busybox")
	r := root{t, t.TempDir()}
	for _, d := range []string{"bin", "dev", "tmp", "usr/bin", "var/log", "var/lib/dpkg/info", "var/lib/dpkg/updates"} {
		r.mkdir(d)
	}
	for _, f := range []string{"calls", "dev/null", "var/lib/dpkg/status", "var/lib/dpkg/available"} {
		r.write(f, "")
	}
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		t.Fatal(err)
	}
	run(t, "cp", "-L", busybox, r.path("bin/busybox"))
	run(t, "chroot", r.dir, "/bin/busybox", "--install", "-s", "/bin")
	return r
}

// newSystemd is a root on which systemd seems to run.
func newSystemd(t *testing.T) root {
	t.Helper()
	r := newRoot(t)
	r.mkdir("run/systemd/system")
	for name, does := range stubs {
		r.stub(name, does)
	}
	return r
}

func (r root) path(name string) string { return filepath.Join(r.dir, name) }

func (r root) mkdir(name string) {
	r.t.Helper()
	if err := os.MkdirAll(r.path(name), 0o755); err != nil {
		r.t.Fatal(err)
	}
}

func (r root) write(name, text string) {
	r.t.Helper()
	r.mkdir(filepath.Dir(name))
	if err := os.WriteFile(r.path(name), []byte(text), 0o644); err != nil {
		r.t.Fatal(err)
	}
}

func (r root) has(name string) bool {
	_, err := os.Lstat(r.path(name))
	return err == nil
}

func (r root) stub(name, does string) {
	r.t.Helper()
	r.write("usr/bin/"+name, "#!/bin/sh\necho \""+name+" $*\" >>/calls\n"+does+"\n")
	if err := os.Chmod(r.path("usr/bin/"+name), 0o755); err != nil {
		r.t.Fatal(err)
	}
}

// wants compares the calls since the last time. What systemd is only asked, and what
// is only said about the state of units, does not count.
func (r root) wants(calls ...string) {
	r.t.Helper()
	var got []string
	for line := range strings.Lines(read(r.t, r.path("calls"))) {
		line = strings.TrimSpace(line)
		if !strings.Contains(line, "is-active") && !strings.Contains(line, "-installed") && !strings.Contains(line, "was-enabled") {
			got = append(got, line)
		}
	}
	if diff := cmp.Diff(calls, got); diff != "" {
		r.t.Errorf("calls (-want +got):\n%s", diff)
	}
	r.write("calls", "")
}
