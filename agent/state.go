package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/vipd/vipd/config"
	"github.com/vipd/vipd/vrrp"
)

// state is what an agent leaves for its successor on the same boot, in the
// runtime directory.
type state struct {
	BootID  string `json:"boot_id"`
	Drained bool   `json:"drained"`
	// HasBeenReady lets a restarted agent claim without waiting for its API server.
	HasBeenReady bool `json:"has_been_ready"`
	// Restarting says that the agent ended in order to be started again: its
	// successor goes on with the addresses.
	Restarting bool                  `json:"restarting,omitempty"`
	Grade      vrrp.Grade            `json:"grade"`
	Saved      vrrp.Instant          `json:"saved"`
	Routers    map[string]savedState `json:"routers"`
	// Marks are, by router, the last sequence of each peer that signs: what was recorded
	// before a restart is not accepted after it.
	Marks map[string]map[netip.Addr]uint64 `json:"marks,omitempty"`
	// Auth tells where the keys are kept; it holds none.
	Auth *config.Auth `json:"auth,omitempty"`
}

// savedState is that of one virtual router.
type savedState struct {
	State     string        `json:"state"`
	Interface string        `json:"interface"`
	VRID      uint8         `json:"vrid"`
	Addresses []string      `json:"addresses"`
	Source    string        `json:"source"`
	SentAt    vrrp.Instant  `json:"sent_at"` // its last advertisement
	Interval  time.Duration `json:"interval"`
	// What else it takes to tell its peers that it left, when vipd.toml has changed.
	Peers      []netip.Addr    `json:"peers,omitempty"`
	Checksum   config.Checksum `json:"checksum,omitempty"`
	VirtualMAC bool            `json:"virtual_mac,omitempty"`
}

// mayResume reports whether a router that was saved as Active may go on as such:
// its peers have not missed it yet.
func (s savedState) mayResume(now vrrp.Instant) bool {
	return s.State == vrrp.Active.String() && now.Sub(s.SentAt) < 3*s.Interval
}

func statePath(dir string) string { return filepath.Join(dir, "state.json") }

// loadState reads the state that a predecessor left. One of another boot, or
// none, is the zero state.
func loadState(dir string) (state, error) {
	boot, err := bootID()
	if err != nil {
		return state{}, err
	}
	b, err := os.ReadFile(statePath(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return state{BootID: boot}, nil
	}
	if err != nil {
		return state{BootID: boot}, fmt.Errorf("read the saved state: %w", err)
	}
	var s state
	if err := json.Unmarshal(b, &s); err != nil {
		return state{BootID: boot}, fmt.Errorf("read the saved state %s: %w", statePath(dir), err)
	}
	if s.BootID != boot {
		return state{BootID: boot}, nil
	}
	return s, nil
}

// save writes the state so that a reader sees the old or the new one.
func (s state) save(dir string) error {
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("write the state: %w", err)
	}
	tmp := statePath(dir) + ".new"
	if err := os.WriteFile(tmp, b, 0o600); err != nil {
		return fmt.Errorf("save the state: %w", err)
	}
	if err := os.Rename(tmp, statePath(dir)); err != nil {
		return fmt.Errorf("save the state: %w", err)
	}
	return nil
}

func bootID() (string, error) {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("read the boot id: %w", err)
	}
	return strings.TrimSpace(string(b)), nil
}
