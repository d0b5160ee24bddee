package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/vipd/vipd/agent/control"
	"github.com/vipd/vipd/config"
)

// Reload implements [control.Handler]: it reads the configuration and applies
// what has changed. A bad file changes nothing. Routers that did not change do
// not notice.
func (a *Agent) Reload(context.Context) (control.Result, error) {
	a.reloading.Lock()
	defer a.reloading.Unlock()
	if a.leaving {
		return control.Result{}, errors.New("nothing was changed: the agent is being stopped")
	}
	cfg, keys, err := load(a.opts.ConfigPath)
	if err != nil {
		return control.Result{}, fmt.Errorf("nothing was changed: %w", err)
	}
	a.notify("reloading", a.opts.Notifier.Reloading())
	defer func() { a.notify("ready", a.opts.Notifier.Ready()) }()
	words, err := a.apply(cfg, keys)
	if err != nil {
		return control.Result{}, err
	}
	a.record.reload(words)
	return control.Result{Message: words}, nil
}

func (a *Agent) apply(cfg *config.Config, keys *auth) (string, error) {
	diff := config.Diff(a.cfg, cfg)
	remake, adjust := split(diff)
	if keys != nil || a.auth != nil {
		adjust = append(adjust, diff.Unchanged...) // the bytes of a key may have changed
	}
	gone, made := slices.Clone(diff.Removed), slices.Clone(diff.Added)
	for _, c := range remake {
		gone, made = append(gone, c.Old), append(made, c.New)
	}
	leaving, err := a.adopt(cfg, keys, gone)
	if err != nil {
		return "", err
	}
	a.retireAll(leaving)

	a.mu.Lock()
	defer a.mu.Unlock()
	for _, v := range made {
		a.addVIP(v)
	}
	a.place()
	for _, v := range adjust {
		a.adjust(v, keys)
	}
	return fmt.Sprintf("reloaded (VIPs unchanged: %d, changed: %d, added: %d, removed: %d)",
		len(diff.Unchanged), len(diff.Changed), len(diff.Added), len(diff.Removed)), nil
}

// adopt makes a configuration the agent's and returns the routers of the VIPs that
// are gone. What it returns still runs. An error changes nothing.
func (a *Agent) adopt(cfg *config.Config, keys *auth, gone []config.VIP) ([]*placed, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if config.Diff(a.cfg, cfg).Checks {
		if err := a.startMonitor(cfg); err != nil {
			return nil, fmt.Errorf("nothing was changed: %w", err)
		}
	}
	before := a.auth.byTime()
	a.cfg, a.auth = cfg, keys
	a.clockNeeded(before) // before signatures need the clock
	return a.takeOut(gone), nil
}

// split tells the changes that need a new router from those that an existing
// one can take while it goes on.
func split(d config.Difference) (remake []config.Change, adjust []config.VIP) {
	for _, c := range d.Changed {
		o, n := c.Old, c.New
		same := o.VRID == n.VRID && o.Interface == n.Interface && o.VirtualMAC == n.VirtualMAC && equalAddrs(o, n)
		if same {
			adjust = append(adjust, n)
			continue
		}
		remake = append(remake, c)
	}
	return remake, adjust
}

func equalAddrs(a, b config.VIP) bool {
	if len(a.Addresses) != len(b.Addresses) {
		return false
	}
	for i := range a.Addresses {
		if a.Addresses[i] != b.Addresses[i] {
			return false
		}
	}
	return true
}

// takeOut takes the routers of VIPs out of the agent; they still run.
func (a *Agent) takeOut(vips []config.VIP) []*placed {
	var out []*placed
	for _, v := range vips {
		for _, f := range v.Families() {
			i := id{v.Name, f}
			if p := a.routers[i]; p != nil {
				out = append(out, p)
				delete(a.routers, i)
			}
		}
	}
	a.publishLive()
	return out
}

// adjust gives running routers another configuration.
func (a *Agent) adjust(v config.VIP, keys *auth) {
	for _, f := range v.Families() {
		p := a.routers[id{v.Name, f}]
		if p == nil {
			continue
		}
		p.router.configure(v, keys)
		if p.segment != nil {
			p.segment.refresh(a.ctx, p.router)
		}
	}
}
