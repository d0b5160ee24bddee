package agent

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"time"

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
	var addrs, virtual []netip.Addr
	for _, s := range saved.Routers {
		addrs = append(addrs, parseAddrs(s.Addresses)...)
	}
	cfg, cfgErr := config.Load(configPath)
	if cfgErr != nil {
		done, err := vip.Remove(unique(addrs))
		return done, errors.Join(stateErr, cfgErr, err, forget(saved, runtimeDir))
	}
	for _, v := range cfg.VIPs {
		addrs = append(addrs, v.Addresses...)
		if v.VirtualMAC {
			virtual = append(virtual, v.Addresses...)
		}
	}
	first, firstErr := vip.Remove(unique(virtual))
	told, toldErr := part(ctx, c, cfg, saved.Routers)
	last, lastErr := vip.Remove(unique(addrs))
	return slices.Concat(first, told, last), errors.Join(stateErr, firstErr, toldErr, lastErr, forget(saved, runtimeDir))
}

// forget leaves of the state what survives a stop.
func forget(saved state, runtimeDir string) error {
	return state{BootID: saved.BootID, Drained: saved.Drained}.save(runtimeDir)
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
