package packaging_test

import (
	"archive/tar"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/vipd/vipd/test/lab"
)

// both are the files and directories of either package, less what the tree lists.
var both = []string{
	"-rw-r--r-- /etc/vipd/vipd.toml.example",
	"-rw-r--r-- /usr/lib/firewalld/services/vipd.xml",
	"-rw-r--r-- /usr/lib/systemd/system-preset/90-vipd.preset",
	"-rw-r--r-- /usr/lib/systemd/system/vipd-handover.service",
	"-rw-r--r-- /usr/lib/systemd/system/vipd.service",
	"-rw-r--r-- /usr/lib/sysusers.d/vipd.conf",
	"-rw-r--r-- /usr/share/bash-completion/completions/vipd",
	"-rw-r--r-- /usr/share/doc/vipd/README.md",
	"-rw-r--r-- /usr/share/fish/vendor_completions.d/vipd.fish",
	"-rwxr-xr-x /usr/bin/vipd",
	"drwx------ /etc/vipd/keys",
	"drwxr-xr-x /etc/vipd",
}

func TestDebContents(t *testing.T) {
	lab.Require(t, "dpkg-deb")
	want := slices.Concat(both, inTree(t), []string{
		"-rw-r--r-- /usr/share/doc/vipd/changelog.gz",
		"-rw-r--r-- /usr/share/doc/vipd/copyright",
		"-rw-r--r-- /usr/share/lintian/overrides/vipd",
		"-rw-r--r-- /usr/share/zsh/vendor-completions/_vipd",
	})
	var got []string
	entries := debEntries(t, made(t, "*_amd64.deb"))
	for _, e := range entries {
		if e.Uname != "root" || e.Gname != "root" || e.Uid != 0 || e.Gid != 0 {
			t.Errorf("%s belongs to %s:%s", e.Name, e.Uname, e.Gname)
		}
		if !e.ModTime.Equal(entries[0].ModTime) {
			t.Errorf("%s has a time of its own", e.Name)
		}
		if e.Typeflag == tar.TypeDir && !strings.HasPrefix(e.Name, "/etc/vipd/") {
			continue // directories that lead to files
		}
		got = append(got, e.FileInfo().Mode().String()+" "+strings.TrimSuffix(e.Name, "/"))
	}
	same(t, want, got)
}

func TestRPMContents(t *testing.T) {
	lab.Require(t, "rpm")
	want := slices.Concat(both, inTree(t), []string{
		"-rw-r--r-- /usr/share/licenses/vipd/LICENSE",
		"-rw-r--r-- /usr/share/licenses/vipd/copyright",
		"-rw-r--r-- /usr/share/zsh/site-functions/_vipd",
		"drwxr-xr-x /usr/lib/firewalld",
		"drwxr-xr-x /usr/lib/firewalld/services",
		"drwxr-xr-x /usr/share/doc/vipd",
		"drwxr-xr-x /usr/share/doc/vipd/examples",
		"drwxr-xr-x /usr/share/licenses/vipd",
		"drwxr-xr-x /usr/share/vipd",
	})
	rpm := made(t, "*.x86_64.rpm")
	var got []string
	for line := range strings.Lines(run(t, "rpm", "-qp", "--qf", "[%{FILEUSERNAME} %{FILEGROUPNAME} %{FILEMODES:perms} %{FILENAMES}\n]", rpm)) {
		file, ok := strings.CutPrefix(strings.TrimSpace(line), "root root ")
		if !ok {
			t.Errorf("not root's: %s", line)
		}
		got = append(got, file)
	}
	same(t, want, got)
	if diff := cmp.Diff("/etc/vipd/vipd.toml.example\n", run(t, "rpm", "-qpc", rpm)); diff != "" {
		t.Errorf("configuration files (-want +got):\n%s", diff)
	}
}

// inTree lists what the packages have for each file in a directory of the tree: a
// new one must not be forgotten.
func inTree(t *testing.T) []string {
	t.Helper()
	var want []string
	add := func(pattern, to, suffix string) {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: nothing there (%v)", pattern, err)
		}
		for _, f := range files {
			if ext := path.Ext(f); ext != ".go" && ext != ".xml" {
				want = append(want, "-rw-r--r-- "+path.Join(to, path.Base(f))+suffix)
			}
		}
	}
	add("man/*.5", "/usr/share/man/man5", ".gz")
	add("man/*.8", "/usr/share/man/man8", ".gz")
	add("firewall/*", "/usr/share/doc/vipd/examples", "")
	add("../systemd/examples/*", "/usr/share/vipd", "")
	add("prometheus/*", "/usr/share/vipd", "")
	add("grafana/*", "/usr/share/vipd", "")
	return want
}

func same(t *testing.T, want, got []string) {
	t.Helper()
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func TestDebFields(t *testing.T) {
	lab.Require(t, "dpkg-deb")
	deb := made(t, "*_amd64.deb")
	for field, want := range map[string]string{
		"Package": "vipd", "Architecture": "amd64", "Section": "net", "Priority": "optional",
		"Depends": "passwd", "Recommends": "dbus, systemd", "Homepage": "https://github.com/vipd/vipd",
	} {
		if got := strings.TrimSpace(run(t, "dpkg-deb", "-f", deb, field)); got != want {
			t.Errorf("%s: %q, want %q", field, got, want)
		}
	}
	if got := run(t, "dpkg-deb", "-I", deb, "conffiles"); got != "/etc/vipd/vipd.toml.example\n" {
		t.Errorf("conffiles: %q", got)
	}
	for _, name := range []string{"armhf", "arm64"} {
		if got := strings.TrimSpace(run(t, "dpkg-deb", "-f", made(t, "*_"+name+".deb"), "Architecture")); got != name {
			t.Errorf("architecture %q, want %q", got, name)
		}
	}
}

func TestRPMFields(t *testing.T) {
	lab.Require(t, "rpm")
	for arch, name := range map[string]string{"x86_64": "amd64", "aarch64": "arm64", "armv7hl": "armhf"} {
		version := strings.TrimSpace(run(t, "dpkg-deb", "-f", made(t, "*_"+name+".deb"), "Version"))
		want := fmt.Sprintf("vipd %s-1 %s localhost Apache-2.0 AND BSD-2-Clause AND BSD-3-Clause AND MIT", version, arch)
		rpm := made(t, "*."+arch+".rpm")
		if got := run(t, "rpm", "-qp", "--qf", "%{NAME} %{VERSION}-%{RELEASE} %{ARCH} %{BUILDHOST} %{LICENSE}", rpm); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if got := run(t, "rpm", "-qp", "--requires", "--recommends", rpm); got != "/bin/sh\nshadow-utils\ndbus\nsystemd\n" {
			t.Errorf("requires and recommends %q", got)
		}
	}
}

// TestUser has systemd make the user in a root of its own.
func TestUser(t *testing.T) {
	lab.Require(t, "systemd-sysusers")
	root := t.TempDir()
	for _, dir := range []string{"etc", "usr/lib/sysusers.d"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "usr/lib/sysusers.d/vipd.conf"), []byte(read(t, "vipd.sysusers")), 0o644); err != nil {
		t.Fatal(err)
	}
	run(t, "systemd-sysusers", "--root="+root, "vipd.conf")
	user := strings.Split(strings.TrimSpace(read(t, filepath.Join(root, "etc/passwd"))), ":")
	if len(user) != 7 || user[0] != "vipd" || user[5] != "/" || !strings.HasSuffix(user[6], "/nologin") {
		t.Errorf("passwd: %q", user)
	}
	if group := read(t, filepath.Join(root, "etc/group")); !strings.HasPrefix(group, "vipd:") {
		t.Errorf("group: %q", group)
	}
	if shadow := read(t, filepath.Join(root, "etc/shadow")); !strings.HasPrefix(shadow, "vipd:!") {
		t.Errorf("shadow: %q", shadow)
	}
}
