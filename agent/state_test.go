package agent

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vipd/vipd/config"
	"github.com/vipd/vipd/vrrp"
)

func TestStateRoundTrip(t *testing.T) {
	dir := t.TempDir()
	boot, err := bootID()
	if err != nil {
		t.Fatal(err)
	}
	want := state{
		BootID: boot, Drained: true, HasBeenReady: true, Restarting: true, Grade: vrrp.Degraded, Saved: 7,
		Routers: map[string]savedState{"k3s/IPv4": {
			State: "Active", Interface: "eth0", VRID: 51, Addresses: []string{"198.51.100.100"}, Source: "198.51.100.1",
			SentAt: 5, Interval: interval, Peers: []netip.Addr{peer}, Checksum: config.RFC9568, VirtualMAC: true,
		}},
		Marks:     map[string]map[netip.Addr]uint64{"k3s/IPv4": {peer: 1<<63 + 1}},
		Sequences: map[string]uint64{"k3s/IPv4": 1<<63 + 3}, ClockAhead: 50*365*24*time.Hour + 1,
		Auth: &config.Auth{Mode: config.Enforce, ActiveKey: 2, Keys: []config.Key{{ID: 2, File: "/etc/vipd/keys/2"}}, AntiReplay: config.ByTime},
	}
	for range 2 { // the second replaces the first
		if err := want.save(dir); err != nil {
			t.Fatal(err)
		}
	}
	got, err := loadState(dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, equateAddrs); diff != "" {
		t.Errorf("(-saved +loaded):\n%s", diff)
	}
	info, err := os.Stat(statePath(dir))
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, want 0600", info.Mode())
	}
	if names, _ := filepath.Glob(filepath.Join(dir, "*")); len(names) != 1 {
		t.Errorf("left behind: %v", names)
	}
}

func TestLoadState(t *testing.T) {
	boot, err := bootID()
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		text string // empty: no file
		want state
		err  string
	}{
		"none":         {"", state{BootID: boot}, ""},
		"another boot": {`{"boot_id": "another", "drained": true, "has_been_ready": true}`, state{BootID: boot}, ""},
		"cut off":      {`{"boot_id": "` + boot, state{BootID: boot}, "read the saved state"},
		"other types":  {`{"boot_id": 5}`, state{BootID: boot}, "read the saved state"},
		"null":         {`null`, state{BootID: boot}, ""},
		"ours":         {`{"boot_id": "` + boot + `", "drained": true}`, state{BootID: boot, Drained: true}, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if tt.text != "" {
				if err := os.WriteFile(statePath(dir), []byte(tt.text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			got, err := loadState(dir)
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("error %v, want %q", err, tt.err)
			}
			if diff := cmp.Diff(tt.want, got, equateAddrs); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// A state that cannot be written leaves the old one.
func TestSaveStateFails(t *testing.T) {
	dir := t.TempDir()
	if err := (state{BootID: "old"}).save(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(statePath(dir)+".new", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := (state{BootID: "new"}).save(dir); err == nil {
		t.Error("no error")
	}
	text, err := os.ReadFile(statePath(dir))
	if err != nil || !strings.Contains(string(text), "old") {
		t.Errorf("the old state: %q, %v", text, err)
	}
}

func TestC70MayResume(t *testing.T) {
	const now = vrrp.Instant(time.Hour)
	sent := func(ago time.Duration) savedState {
		return savedState{State: "Active", SentAt: now.Add(-ago), Interval: interval}
	}
	backup := sent(0)
	backup.State = "Backup"
	tests := map[string]struct {
		s    savedState
		want bool
	}{
		"C70 at once":         {sent(0), true},
		"C70 just in time":    {sent(3*interval - 1), true},
		"C70 too late":        {sent(3 * interval), false},
		"C70 was Backup":      {backup, false},
		"C70 nothing is kept": {savedState{}, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := tt.s.mayResume(now); got != tt.want {
				t.Errorf("%v, want %v", got, tt.want)
			}
		})
	}
}

// What vipd release leaves of the state after a crash: above all not what guards against
// replays.
func TestForgetKeeps(t *testing.T) {
	dir := t.TempDir()
	boot, err := bootID()
	must(t, err)
	marks := map[string]map[netip.Addr]uint64{"k3s/IPv4": {netip.MustParseAddr("198.51.100.11"): 7}}
	want := state{BootID: boot, Drained: true, Saved: 7, Marks: marks, Sequences: map[string]uint64{"k3s/IPv4": 8}, ClockAhead: 9}
	saved := want
	saved.HasBeenReady, saved.Restarting, saved.Routers = true, true, map[string]savedState{"k3s/IPv4": {State: "Active"}}
	must(t, forget(saved, dir))
	got, err := loadState(dir)
	must(t, err)
	if d := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}
