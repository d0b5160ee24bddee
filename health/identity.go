package health

import (
	"crypto/tls"
	"net/url"
	"time"
)

// Identity is what a check trusts and what it shows of itself.
type Identity struct {
	TLS      *tls.Config
	CAFile   string    // "" for the system's authorities
	CertFile string    // "" for none
	NotAfter time.Time // of the certificate
}

// Identity loads it as a probe would, for those that look into what probes meet. The
// error says what to do and wraps that of the file. It is for checks of type k3s and
// https.
func (c Check) Identity() (Identity, error) {
	u, err := url.Parse(c.URL)
	if err != nil {
		return Identity{}, err
	}
	load := c.credentials
	if c.Type == typeK3s {
		load = c.k3sCredentials
	}
	creds, err := load(u.Hostname())
	if err != nil {
		return Identity{}, err
	}
	return Identity{creds.config, creds.caFile, creds.certFile, creds.notAfter}, nil
}
