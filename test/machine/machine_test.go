package machine

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vipd/vipd/test/lab"
)

// A machine runs commands, keeps its files over a reboot and a loss of power, has
// its journal when it is off, and leaves nothing.
func TestMachine(t *testing.T) {
	archive := Require(t)
	l := lab.NewTest(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	dir, err := os.MkdirTemp("/run", "vipd-machine-") // in memory, which ends with contain
	must(t, err)
	must(t, Unpack(ctx, archive, filepath.Join(dir, "shared")))
	m, err := New(Options{Name: "node1", Root: filepath.Join(dir, "shared"), Dir: filepath.Join(dir, "node1")})
	must(t, err)
	defer func() {
		must(t, m.Close())
		for _, g := range m.groups {
			if _, err := os.Stat(g); err == nil {
				t.Errorf("%s is left", g)
			}
		}
	}()
	n, err := l.Add("node1")
	must(t, err)

	must(t, m.Start(ctx, n.Netns()))
	out, err := m.Run(ctx, "sh", "-c", "hostname; ls /sys/class/net; sync; echo kept >/root/file")
	must(t, err)
	if got := strings.Join(strings.Fields(out), " "); got != "node1 eth0 lo" {
		t.Errorf("on the machine: %q", got)
	}
	first := bootID(t, m)
	must(t, m.Shutdown(ctx, "reboot"))
	must(t, m.Start(ctx, n.Netns()))
	if bootID(t, m) == first {
		t.Error("a reboot has not changed the boot id")
	}
	must(t, m.PowerOff())
	if _, err := m.Run(ctx, "true"); err == nil {
		t.Error("a machine that is off runs commands")
	}
	if kept, err := os.ReadFile(m.Path("/root/file")); string(kept) != "kept\n" {
		t.Errorf("kept: %q, %v", kept, err)
	}
	journal, err := m.Journal(ctx, time.Now().Add(-time.Hour), "systemd-networkd.service")
	must(t, err)
	if strings.Count(journal, "Started systemd-networkd") != 2 {
		t.Errorf("want two starts in the journal:\n%s", journal)
	}
}

func bootID(t *testing.T, m *Machine) string {
	t.Helper()
	out, err := m.Run(t.Context(), "cat", "/proc/sys/kernel/random/boot_id")
	must(t, err)
	return out
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
