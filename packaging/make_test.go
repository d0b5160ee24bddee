package packaging_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestMakeInstall wants from make install what the packages have, in units that name
// the places where it went.
func TestMakeInstall(t *testing.T) {
	dest := t.TempDir()
	cmd := exec.Command("make", "install", "DESTDIR="+dest, "PREFIX=/opt/vipd")
	cmd.Dir = ".."
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, file := range append(inTree(t), both...) {
		_, name, _ := strings.Cut(file, " ")
		if rest, ok := strings.CutPrefix(name, "/usr/"); ok && !strings.HasPrefix(rest, "lib/firewalld") {
			name = "/opt/vipd/" + strings.TrimSuffix(rest, ".gz")
		}
		info, err := os.Stat(filepath.Join(dest, name))
		if err != nil {
			t.Error(err)
			continue
		}
		if mode, _, _ := strings.Cut(file, " "); info.Mode().String() != mode {
			t.Errorf("%s: %s, want %s", name, info.Mode(), mode)
		}
	}
	unit := read(t, filepath.Join(dest, "opt/vipd/lib/systemd/system/vipd.service"))
	if strings.Contains(unit, "/usr/") || !strings.Contains(unit, "ExecStart=/opt/vipd/bin/vipd run") {
		t.Errorf("the unit names other places:\n%s", unit)
	}
}
