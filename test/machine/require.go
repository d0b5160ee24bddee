package machine

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vipd/vipd/test/lab"
)

// archive is where "make e2e" has mkroot put the root file system, from a package's
// directory in test/.
const archive = "../../bin/e2e/root.tar"

// Require skips the test, saying why, unless machines can be booted here, and returns
// the path of the root file system. In CI such a skip is a failure.
func Require(t testing.TB) string {
	t.Helper()
	lab.Require(t, "systemd-nspawn", "nsenter", "tar")
	if ids, err := os.ReadFile("/proc/self/uid_map"); err != nil || !strings.HasSuffix(strings.TrimSpace(string(ids)), "4294967295") {
		lab.Miss(t, "root outside of a user namespace: try sudo")
	}
	path, err := filepath.Abs(archive)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		lab.Miss(t, "the machines' root file system: make e2e makes it")
	}
	return path
}
