package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/vipd/vipd/agent/control"
	"github.com/vipd/vipd/config"
	"github.com/vipd/vipd/vrrp"
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
	if err := mayRun(cfg.Hooks); err != nil {
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
	gone, made, adjust := split(diff)
	if keys != nil || a.auth != nil {
		for _, v := range diff.Unchanged {
			adjust = append(adjust, shares(v)...) // the bytes of a key may have changed
		}
	}
	listener, err := a.openMetrics(cfg.Metrics)
	if err != nil {
		return "", fmt.Errorf("nothing was changed: %w", err)
	}
	leaving, routes, err := a.adopt(cfg, keys, gone)
	if err != nil {
		if listener != nil {
			listener.Close()
		}
		return "", err
	}
	a.expose(cfg.Metrics, listener)
	var ending sync.WaitGroup
	ending.Go(func() { a.stopRoutes(routes) })
	a.retireAll(leaving)
	ending.Wait()

	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range made {
		a.add(s)
	}
	a.place()
	for _, s := range adjust {
		a.adjust(s, keys)
	}
	a.adjustRouting()
	return fmt.Sprintf("reloaded (VIPs unchanged: %d, changed: %d, added: %d, removed: %d)",
		len(diff.Unchanged), len(diff.Changed), len(diff.Added), len(diff.Removed)) + a.routingLags(), nil
}

// adopt makes a configuration the agent's and returns the routers that
// are gone. What it returns still runs. An error changes nothing.
func (a *Agent) adopt(cfg *config.Config, keys *auth, gone []share) ([]*placed, []*way, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if config.Diff(a.cfg, cfg).Checks {
		if err := a.startMonitor(cfg); err != nil {
			return nil, nil, fmt.Errorf("nothing was changed: %w", err)
		}
	}
	a.hooks.configure(cfg.Hooks)
	before := a.auth.byTime()
	a.cfg, a.auth = cfg, keys
	a.clockNeeded(before) // before signatures need the clock
	return a.takeOut(gone), a.takeOutRoutes(gone), nil
}

// split tells which routers a change ends, which it makes, and which can take it while
// they go on. A family that is the same as before does not notice a change of the other.
func split(d config.Difference) (gone, made, adjust []share) {
	for _, v := range d.Removed {
		gone = append(gone, shares(v)...)
	}
	for _, v := range d.Added {
		made = append(made, shares(v)...)
	}
	for _, c := range d.Changed {
		for _, s := range shares(c.Old) {
			if !goesOn(c, s.family) {
				gone = append(gone, s)
			}
		}
		for _, s := range shares(c.New) {
			if goesOn(c, s.family) {
				adjust = append(adjust, s)
				continue
			}
			made = append(made, s)
		}
	}
	return gone, made, adjust
}

// goesOn reports whether nothing of a router of that family has changed on which its
// sockets or the addresses depend.
func goesOn(c config.Change, f vrrp.Family) bool {
	o, n := c.Old, c.New
	return o.Mode == n.Mode && o.VRID == n.VRID && o.Interface == n.Interface && o.VirtualMAC == n.VirtualMAC &&
		slices.Equal(ofFamily(o.Addresses, f), ofFamily(n.Addresses, f))
}

// takeOut takes routers out of the agent; they still run. What guards against replays
// stays, for those that are made anew.
func (a *Agent) takeOut(gone []share) []*placed {
	var out []*placed
	for _, s := range gone {
		if p := a.routers[s.id()]; p != nil {
			out = append(out, p)
			delete(a.routers, s.id())
			a.state.note(p.router)
		}
	}
	a.publishLive()
	return out
}

// adjust gives a running router another configuration.
func (a *Agent) adjust(s share, keys *auth) {
	p := a.routers[s.id()]
	if p == nil {
		return
	}
	p.router.configure(s.vip, keys)
	if p.segment != nil {
		p.segment.refresh(a.ctx, p.router)
	}
}
