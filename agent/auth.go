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

// signer returns what signs our advertisements, or nil.
func (a *auth) signer(interval time.Duration) *vrrp.Signer {
	if a == nil {
		return nil
	}
	return a.cfg.Signer(a.keys, interval)
}

// verifier returns what checks the others' advertisements, or nil.
func (a *auth) verifier(interval time.Duration) *vrrp.Verifier {
	if a == nil {
		return nil
	}
	return a.cfg.Verifier(a.keys, interval)
}
