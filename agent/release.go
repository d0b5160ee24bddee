package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vipd/vipd/agent/control"
	"github.com/vipd/vipd/config"
	"github.com/vipd/vipd/vip"
)

// Release takes the VIPs of the configuration, and those that the saved state
// names, off this host: after the agent has died. Where the dead agent was Active it
// first tells the Backups that it left, and waits for one to take over. It returns
// what it did, a line each.
//
// An agent that is being restarted left its addresses for its successor: they stay.
func Release(ctx context.Context, configPath, runtimeDir string) ([]string, error) {
	// Without CAP_NET_RAW nobody is told, but the addresses go.
	if err := permitted(map[string]int{"CAP_NET_ADMIN": unix.CAP_NET_ADMIN}); err != nil {
		return nil, err
	}
	c, err := newClock()
	if err != nil {
		return nil, err
	}
	if answers(control.Socket(runtimeDir)) {
		return nil, errors.New("the agent is running and would put the addresses back: move them with: vipd drain")
	}
	saved, stateErr := loadState(runtimeDir)
	if saved.Restarting && c.now().Sub(saved.Saved) < vip.Lease {
		return []string{"the agent is being restarted: the addresses stay"}, nil
	}
	c.day = saved.timeOfDay(time.Now, c.now)
	vips, cfgErr := configured(configPath)
	var addrs, virtual []netip.Addr
	for _, s := range saved.Routers {
		addrs = append(addrs, parseAddrs(s.Addresses)...)
		if s.VirtualMAC {
			virtual = append(virtual, parseAddrs(s.Addresses)...)
		}
	}
	for _, s := range saved.Routes {
		addrs = append(addrs, parseAddrs(s.Addresses)...)
	}
	for _, v := range vips {
		addrs = append(addrs, v.Addresses...)
		if v.VirtualMAC {
			virtual = append(virtual, v.Addresses...)
		}
	}
	first, firstErr := vip.Remove(unique(virtual))
	told, toldErr := part(ctx, c, saved)
	last, lastErr := vip.Remove(unique(addrs))
	return slices.Concat(first, told, last), errors.Join(stateErr, cfgErr, firstErr, toldErr, lastErr, forget(saved, runtimeDir))
}

// configured returns the VIPs of a configuration. One that is bad hides only those that
// are in no saved state.
func configured(path string) ([]config.VIP, error) {
	cfg, err := config.Load(path)
	if err != nil {
		return nil, fmt.Errorf("only what the agent had saved was taken off: %w", err)
	}
	return cfg.VIPs, nil
}

// forget leaves of the state what survives a stop. The farewell used sequences beyond
// those that were saved, but no more than time has for: see sequencesAt.
func forget(saved state, runtimeDir string) error {
	if _, err := os.Stat(runtimeDir); errors.Is(err, fs.ErrNotExist) {
		return nil // no agent ever ran
	}
	return state{
		BootID: saved.BootID, Drained: saved.Drained, Saved: saved.Saved,
		Marks: saved.Marks, Sequences: saved.Sequences, ClockAhead: saved.ClockAhead,
	}.save(runtimeDir)
}

// answers reports whether an agent listens on a control socket.
func answers(socket string) bool {
	c, err := net.DialTimeout("unix", socket, time.Second)
	if err != nil {
		return false
	}
	c.Close()
	return true
}

func parseAddrs(list []string) []netip.Addr {
	var out []netip.Addr
	for _, s := range list {
		if a, err := netip.ParseAddr(s); err == nil {
			out = append(out, a)
		}
	}
	return out
}

func unique(addrs []netip.Addr) []netip.Addr {
	seen := make(map[netip.Addr]bool)
	var out []netip.Addr
	for _, a := range addrs {
		if !seen[a] {
			seen[a] = true
			out = append(out, a)
		}
	}
	return out
}
