package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/vipd/vipd/config"
	"github.com/vipd/vipd/health"
)

const (
	// crowded is how many occasions wait for a hook before those go that a later one
	// of the same kind has made old.
	crowded = 16
	// overcrowded is how many wait at most, of however many VIPs.
	overcrowded = 1024
)

// occasion is something that hooks run on.
type occasion struct {
	event   config.Happening
	about   string   // a later one about the same makes this one old
	vars    []string // the facts, as in an environment
	skipped int      // earlier ones about the same that were left out
}

// hook is one [[hook]]: its runs follow each other.
type hook struct {
	cfg  config.Hook
	log  *slog.Logger
	wake chan struct{}

	mu       sync.Mutex
	waiting  []occasion
	finished bool // nothing comes any more
	failed   error
}

func newHook(cfg config.Hook, log *slog.Logger) *hook {
	return &hook{cfg: cfg, log: log.With(slog.String("hook", cfg.Command[0])), wake: make(chan struct{}, 1)}
}

// put has the hook run on o once it has run on what came before.
func (h *hook) put(o occasion) {
	h.mu.Lock()
	h.waiting = append(h.waiting, o)
	if len(h.waiting) > crowded {
		h.thin()
	}
	h.mu.Unlock()
	h.rouse()
}

// thin leaves out the oldest occasion that a later one has made old, so that the last
// word about each VIP is always told.
func (h *hook) thin() {
	for i, o := range h.waiting {
		later := slices.IndexFunc(h.waiting[i+1:], func(l occasion) bool { return l.about == o.about })
		if later >= 0 {
			h.waiting[i+1+later].skipped += o.skipped + 1
			h.waiting = slices.Delete(h.waiting, i, i+1)
			return
		}
	}
	if len(h.waiting) > overcrowded {
		h.waiting[1].skipped += h.waiting[0].skipped + 1
		h.waiting = slices.Delete(h.waiting, 0, 1)
	}
}

// discard has the hook end after the run that is under way.
func (h *hook) discard() {
	h.mu.Lock()
	h.waiting, h.finished = nil, true
	h.mu.Unlock()
	h.rouse()
}

// finish has the hook end when it has run on all that waits.
func (h *hook) finish() {
	h.mu.Lock()
	h.finished = true
	h.mu.Unlock()
	h.rouse()
}

func (h *hook) rouse() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// next returns what to run on, if anything waits, and whether more may come.
func (h *hook) next() (o occasion, ok, more bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.waiting) == 0 {
		return occasion{}, false, !h.finished
	}
	o = h.waiting[0]
	h.waiting = slices.Delete(h.waiting, 0, 1)
	return o, true, true
}

// run runs the command on one occasion after the other, until it is finished or ctx ends.
func (h *hook) run(ctx context.Context) {
	for ctx.Err() == nil {
		o, ok, more := h.next()
		if ok {
			h.perform(ctx, o)
			continue
		}
		if !more {
			return
		}
		select {
		case <-h.wake:
		case <-ctx.Done():
		}
	}
	if o, ok, _ := h.next(); ok {
		h.log.Warn("the agent ended before the hook could run", slog.String("event", string(o.event)))
	}
}

// perform runs the command once, and waits until it is gone or ctx ends: runs follow
// each other.
func (h *hook) perform(ctx context.Context, o occasion) {
	log := h.log.With(slog.String("event", string(o.event)))
	if o.skipped > 0 {
		log.Warn("the hook is too slow for what happens: some of it was left out", slog.Int("count", o.skipped))
	}
	began := time.Now()
	gone, err := h.command(ctx, log, o)
	h.mu.Lock()
	h.failed = err
	h.mu.Unlock()
	if err != nil {
		log.Warn("the hook failed", slog.String("error", err.Error()))
		select {
		case <-gone:
		case <-ctx.Done():
		}
		return
	}
	log.Info("the hook has run", slog.Duration("took", time.Since(began).Round(time.Millisecond)))
}

// command runs it. What it starts is gone when gone is closed, which is at once unless
// it cannot be killed.
func (h *hook) command(ctx context.Context, log *slog.Logger, o occasion) (gone <-chan struct{}, err error) {
	limited, cancel := context.WithTimeout(ctx, h.cfg.Timeout)
	defer cancel()
	out := &lineLog{log: log}
	env := slices.Concat(surroundings(), o.vars, []string{fmt.Sprintf("VIPD_SKIPPED=%d", o.skipped)})
	gone, err = health.Run(limited, h.cfg.Command, env, out)
	if errors.Is(err, health.ErrStuck) { // out may still be written to
		return gone, err
	}
	out.end()
	switch {
	case ctx.Err() != nil:
		return gone, errors.New("killed, for the agent ended")
	case limited.Err() != nil:
		return gone, fmt.Errorf("killed after %s", h.cfg.Timeout)
	}
	return gone, err
}

func (h *hook) failure() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.failed
}

// surroundings is the agent's environment without what systemd gave to it alone.
func surroundings() []string {
	return slices.DeleteFunc(os.Environ(), func(s string) bool {
		return strings.HasPrefix(s, "NOTIFY_SOCKET=") || strings.HasPrefix(s, "WATCHDOG_")
	})
}
