package agent

import (
	"fmt"
	"time"

	"github.com/vipd/vipd/config"
	"github.com/vipd/vipd/vrrp"
)

// auth is the authentication of advertisements with its keys read. Nil: none.
type auth struct {
	cfg  *config.Auth
	keys []vrrp.Key
}

// readAuth reads the keys that the configuration names.
func readAuth(c *config.Auth) (*auth, error) {
	if c == nil {
		return nil, nil
	}
	secrets, err := c.ReadKeys()
	if err != nil {
		return nil, fmt.Errorf("read the authentication keys: %w", err)
	}
	a := &auth{cfg: c}
	for id, s := range secrets {
		a.keys = append(a.keys, vrrp.Key{ID: id, Secret: s})
	}
	return a, nil
}

// byTime reports whether clocks have to agree.
func (a *auth) byTime() bool { return a != nil && a.cfg.AntiReplay == config.ByTime }

func (a *auth) replay() vrrp.AntiReplay {
	if a.byTime() {
		return vrrp.ReplayTime
	}
	return vrrp.ReplayMonotonic
}

// signer returns what signs our advertisements, or nil.
func (a *auth) signer(interval time.Duration) *vrrp.Signer {
	if a == nil || a.cfg.Mode == config.ReceiveOnly {
		return nil
	}
	for _, k := range a.keys {
		if k.ID == a.cfg.ActiveKey {
			return vrrp.NewSigner(k, a.replay(), a.cfg.WindowFor(interval))
		}
	}
	return nil
}

// verifier returns what checks the others' advertisements, or nil.
func (a *auth) verifier(interval time.Duration) *vrrp.Verifier {
	if a == nil {
		return nil
	}
	modes := map[config.AuthMode]vrrp.AuthMode{
		config.ReceiveOnly: vrrp.AuthReceiveOnly, config.Permissive: vrrp.AuthPermissive, config.Enforce: vrrp.AuthEnforce,
	}
	return vrrp.NewVerifier(modes[a.cfg.Mode], a.keys, a.replay(), a.cfg.WindowFor(interval))
}
