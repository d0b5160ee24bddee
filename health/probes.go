package health

import (
	"context"
	"net"
	"net/url"
	"time"
)

// probes makes the check's probes. What they dial ends with ctx; closeAll closes
// the connections that they keep.
func (r *runner) probes(ctx context.Context) (list []probe, closeAll func()) {
	// What is answered at once only waits for its answer to be heard.
	const plenty = 8
	c := r.check
	switch c.Type {
	case typeK3s:
		return r.k3sProbes(ctx)
	case typeHTTPS:
		p := newHTTPProbe(ctx, c.endpoint(), c.Timeout, c.credentials, r.hangup)
		if c.ExpectStatus != 0 {
			p.want = c.ExpectStatus
		}
		return []probe{newProbe(Alive, c.Timeout, c.inFlight(c.Timeout), p.ask)}, p.close
	case typeTCP:
		list = []probe{newProbe(Alive, c.Timeout, c.inFlight(c.Timeout), c.askTCP)}
	case typeExec:
		// A program is not meant to run beside itself.
		p := &execProbe{check: c}
		list = []probe{newProbe(Alive, c.Timeout, 1, p.ask)}
	case typeSystemd:
		list = []probe{newProbe(Alive, c.Timeout, plenty, r.unit.ask)}
	case typeNone:
		list = []probe{newProbe(Alive, time.Second, plenty, func(context.Context) error { return nil })}
	}
	return list, func() {}
}

// k3sProbes asks two questions: the one about the datastore takes up to 2 s to
// be answered when the datastore has no leader.
func (r *runner) k3sProbes(ctx context.Context) (list []probe, closeAll func()) {
	c := r.check
	readyz := c.endpoint().JoinPath("readyz")
	without := *readyz
	without.RawQuery = "exclude=etcd&exclude=etcd-readiness" // what it does not know it ignores
	alive := newHTTPProbe(ctx, &without, c.Timeout, c.k3sCredentials, r.hangup)
	ready := newHTTPProbe(ctx, readyz, c.ReadyTimeout, c.k3sCredentials, r.hangup)
	first := newProbe(Ready, c.ReadyTimeout, c.inFlight(c.ReadyTimeout), ready.ask)
	second := newProbe(Alive, c.Timeout, c.inFlight(c.Timeout), alive.ask)
	first.second = &second
	return []probe{first}, func() { alive.close(); ready.close() }
}

// endpoint is the url, which New has seen to be one.
func (c Check) endpoint() *url.URL {
	u, err := url.Parse(c.URL)
	if err != nil {
		return new(url.URL)
	}
	if u.Path == "" {
		u.Path = "/"
	}
	return u
}

// inFlight is how many probes may wait for an answer at a time: as many as start
// within a timeout, and one that was asked for besides.
func (c Check) inFlight(timeout time.Duration) int {
	return int(timeout/c.Interval) + 2
}

// askTCP connects, no more.
func (c Check) askTCP(ctx context.Context) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", c.Address)
	switch {
	case err == nil:
		conn.Close()
		return nil
	case refused(err):
		return &fault{"connection refused: nothing listens on " + c.Address, err}
	case timedOut(err):
		return &fault{"no connection to " + c.Address + " within " + c.Timeout.String(), err}
	}
	return err
}
