package agent

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/vipd/vipd/agent/control"
	"github.com/vipd/vipd/config"
	"github.com/vipd/vipd/vip"
	"github.com/vipd/vipd/vrrp"
	"github.com/vipd/vipd/vrrp/transport"
)

// Release takes the VIPs of the configuration, and those that the saved state
// names, off this host: after the agent has died. Where the dead agent was
// Active it tells the Backups that it left. It returns what it did, a line each.
//
// An agent that is being restarted left its addresses for its successor: they stay.
func Release(configPath, runtimeDir string) ([]string, error) {
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
	cfg, cfgErr := config.Load(configPath)
	var addrs []netip.Addr
	if cfgErr == nil {
		for _, v := range cfg.VIPs {
			addrs = append(addrs, v.Addresses...)
		}
	}
	for _, s := range saved.Routers {
		addrs = append(addrs, parseAddrs(s.Addresses)...)
	}
	done, err := vip.Remove(unique(addrs))
	errs := []error{stateErr, cfgErr, err}
	for name, s := range saved.Routers {
		if s.State != vrrp.Active.String() || cfgErr != nil {
			continue
		}
		if err := resign(cfg, name, s); err != nil {
			errs = append(errs, fmt.Errorf("tell the peers of %s: %w", name, err))
			continue
		}
		done = append(done, "told the peers of "+name+" that this node left")
	}
	errs = append(errs, state{BootID: saved.BootID, Drained: saved.Drained}.save(runtimeDir))
	return done, errors.Join(errs...)
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

// resign advertises priority 0 for a router that is dead.
func resign(cfg *config.Config, name string, s savedState) error {
	v, f, ok := find(cfg, name)
	if !ok {
		return errors.New("it is not in the configuration any more")
	}
	src, err := netip.ParseAddr(s.Source)
	if err != nil {
		return fmt.Errorf("read its source address: %w", err)
	}
	ifi, err := net.InterfaceByName(s.Interface)
	if err != nil {
		return fmt.Errorf("find interface %s: %w", s.Interface, err)
	}
	keys, err := readAuth(cfg.Auth)
	if err != nil {
		return err
	}
	out, err := transport.NewSender(ifi, f)
	if err != nil {
		return err
	}
	defer out.Close()
	r := &router{id: id{v.Name, f}, record: newRecorder(nil)}
	r.take(v, keys)
	r.link = &link{src: src, sender: out}
	if !r.send(vrrp.PriorityLeave) {
		return errors.New("the advertisement did not go out")
	}
	return nil
}

func find(cfg *config.Config, name string) (config.VIP, vrrp.Family, bool) {
	for _, v := range cfg.VIPs {
		for _, f := range v.Families() {
			if (id{v.Name, f}).String() == name {
				return v, f, true
			}
		}
	}
	return config.VIP{}, 0, false
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
