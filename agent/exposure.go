package agent

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/vipd/vipd/agent/metrics"
	"github.com/vipd/vipd/config"
)

// exposeAgain is how long an address of metrics that could not be opened at the start
// waits for the next try.
const exposeAgain = 10 * time.Second

// exposure serves the metrics where the configuration says. What goes wrong with it
// concerns nobody else: the agent starts, and runs, without.
type exposure struct {
	mu   sync.Mutex
	at   string // where it serves; "": nowhere
	stop func() // ends that and waits for it; nil: nothing was served yet
}

// serves reports whether the metrics are served where they are to be.
func (e *exposure) serves(m config.Metrics) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.at == m.Listen
}

// openMetrics opens the address of a configuration, unless it is served already. There is
// no listener for that, and none for nowhere.
func (a *Agent) openMetrics(m config.Metrics) (net.Listener, error) {
	if m.Listen == "" || a.exposure.serves(m) {
		return nil, nil
	}
	return metrics.Listen(m.Address())
}

// expose serves the metrics on l, and no longer where they were served before.
func (a *Agent) expose(m config.Metrics, l net.Listener) {
	if a.exposure.serves(m) {
		return
	}
	ctx, cancel := context.WithCancel(a.ctx)
	ended := make(chan struct{})
	a.exposure.replace(m.Listen, func() { cancel(); <-ended })
	if l == nil {
		close(ended)
		return
	}
	a.running.Go(func() {
		defer close(ended)
		if err := a.serveMetrics(ctx, l); err != nil {
			a.record.failed("metrics are not served any more: vipd reload tries again", err)
			a.exposure.ended(m.Listen)
		}
	})
}

// replace ends the server that runs, and notes the next one.
func (e *exposure) replace(at string, stop func()) {
	e.mu.Lock()
	old := e.stop
	e.at, e.stop = at, stop
	e.mu.Unlock()
	if old != nil {
		old()
	}
}

// ended notes that the server of an address has ended by itself.
func (e *exposure) ended(at string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.at == at {
		e.at = ""
	}
}

func (a *Agent) serveMetrics(ctx context.Context, l net.Listener) error {
	return metrics.Serve(ctx, l, metrics.NewHandler(a, a.opts.Logger), a.opts.Logger)
}

// exposer opens the configured address at the start, and tries again where that fails.
func (a *Agent) exposer(ctx context.Context) {
	for {
		if a.exposeConfigured() {
			return
		}
		select {
		case <-time.After(exposeAgain):
		case <-ctx.Done():
			return
		}
	}
}

// exposeConfigured reports whether the metrics are served as configured.
func (a *Agent) exposeConfigured() bool {
	a.reloading.Lock() // which opens what is new itself
	defer a.reloading.Unlock()
	a.mu.Lock()
	m := a.cfg.Metrics
	a.mu.Unlock()
	l, err := a.openMetrics(m)
	if err != nil {
		a.record.failed("metrics are not served", err)
		return false
	}
	a.expose(m, l)
	return true
}
