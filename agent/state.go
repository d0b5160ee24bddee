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

	"github.com/vipd/vipd/bgp"
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
	// Sequences are, by router, the last that this node had signed with when it saved. A
	// clock that was set back may be behind them.
	Sequences map[string]uint64 `json:"sequences,omitempty"`
	// ClockAhead is by how much the time that signatures go by is ahead of the monotonic
	// clock. 0: they go by the host's clock, which nobody vouches for.
	ClockAhead time.Duration `json:"clock_ahead,omitempty"`
	// RouterID is what the node was called in its BGP sessions.
	RouterID netip.Addr `json:"router_id,omitzero"`
	// Routes are those of VIPs of mode "bgp", and Sessions the sessions that systemd keeps.
	Routes   map[string]savedRoute `json:"routes,omitempty"`
	Sessions []*bgp.Kept           `json:"sessions,omitempty"`
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

// savedRoute is that of one route.
type savedRoute struct {
	Standing  bgp.Standing `json:"standing"`
	Interface string       `json:"interface"`
	Addresses []string     `json:"addresses"`
}

// savedRoutes returns what a successor needs to know of the routes. The caller holds a.mu.
func (a *Agent) savedRoutes() map[string]savedRoute {
	if a.routing == nil {
		return nil
	}
	out := make(map[string]savedRoute)
	for i, w := range a.routing.routes {
		v := w.route.snapshot()
		s := savedRoute{Standing: v.standing, Interface: v.cfg.Interface}
		for _, x := range ofFamily(v.cfg.Addresses, i.Family) {
			s.Addresses = append(s.Addresses, x.String())
		}
		out[i.String()] = s
	}
	return out
}

// mayResume reports whether a router that was saved as Active may go on as such:
// its peers have not missed it yet.
func (s savedState) mayResume(now vrrp.Instant) bool {
	return s.State == vrrp.Active.String() && now.Sub(s.SentAt) < 3*s.Interval
}

// note notes what guards against replays of a router's advertisements, and of its peers'.
func (s *state) note(r *router) {
	name := r.id.String()
	if last := r.sequence.Last(); last > 0 {
		if s.Sequences == nil {
			s.Sequences = make(map[string]uint64)
		}
		s.Sequences[name] = last
	}
	if in := r.inspector.Load(); in != nil && in.Verifier != nil {
		if s.Marks == nil {
			s.Marks = make(map[string]map[netip.Addr]uint64)
		}
		s.Marks[name] = in.Verifier.Marks()
	}
}

// sequencesAt returns the saved sequences with a margin for those that were used since,
// for the state may be a minute old. Each advertisement takes the clock, or adds one to
// the last if the clock is behind that, and a second has room for 2^32: so the sequences
// went on no faster than time, and the monotonic clock, which time services slew alike,
// tells how much has passed. It is no more than that, or the sequence would run ahead
// further with each restart, and out of the window of mode time. What it does not cover
// is a clock that was set forward and back again since.
func (s state) sequencesAt(now vrrp.Instant) map[string]uint64 {
	out := make(map[string]uint64)
	for name, last := range s.Sequences {
		out[name] = vrrp.SequenceAfter(last, max(0, now.Sub(s.Saved)))
	}
	return out
}

// timeOfDay returns the time that the saved agent signed by.
func (s state) timeOfDay(host func() time.Time, elapsed func() vrrp.Instant) *timeOfDay {
	t := &timeOfDay{read: host, elapsed: elapsed, stepped: func() {}}
	t.restore(s.ClockAhead)
	return t
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
	f, err := replace(statePath(dir), b)
	if err != nil {
		return fmt.Errorf("save the state: %w", err)
	}
	if err := f.Close(); err != nil {
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
