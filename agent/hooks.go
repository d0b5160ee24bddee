package agent

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/vipd/vipd/config"
	"github.com/vipd/vipd/health"
)

// lastHooks is how long the hooks may take for what happens as the agent ends.
const lastHooks = 5 * time.Second

// hooks runs the commands of vipd.toml. The recorder tells it what happened, and
// waits for none of them.
type hooks struct {
	log  *slog.Logger
	ctx  context.Context // its end kills what runs
	kill context.CancelFunc

	mu      sync.Mutex
	running []*hook
	barred  error // why none can run
	workers sync.WaitGroup
}

func newHooks(log *slog.Logger) *hooks {
	ctx, kill := context.WithCancel(context.Background())
	return &hooks{log: log, ctx: ctx, kill: kill}
}

// mayRun says why this process cannot run the hooks of a configuration.
func mayRun(list []config.Hook) error {
	if len(list) == 0 {
		return nil
	}
	if err := health.MayStart(); err != nil {
		return fmt.Errorf("hooks cannot run: %w", err)
	}
	return nil
}

// configure makes list the hooks. Those that stay do not notice; of those that go, the
// run under way is the last.
func (h *hooks) configure(list []config.Hook) {
	h.mu.Lock()
	defer h.mu.Unlock()
	old := h.running
	h.running, h.barred = nil, mayRun(list)
	for _, cfg := range list {
		i := slices.IndexFunc(old, func(k *hook) bool { return k.cfg.Equal(cfg) })
		if i < 0 {
			k := newHook(cfg, h.log)
			h.workers.Go(func() { k.run(h.ctx) })
			h.running = append(h.running, k)
			continue
		}
		h.running = append(h.running, old[i])
		old = slices.Delete(old, i, i+1)
	}
	for _, k := range old {
		k.discard()
	}
}

// tell has the hooks run that are for what happened.
func (h *hooks) tell(o occasion) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, k := range h.running {
		if slices.Contains(k.cfg.On, o.event) {
			k.put(o)
		}
	}
}

// problems says which hooks failed the last time.
func (h *hooks) problems() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []string
	if h.barred != nil {
		return []string{h.barred.Error()}
	}
	for _, k := range h.running {
		if err := k.failure(); err != nil {
			out = append(out, fmt.Sprintf("the hook %s failed last: %v", k.cfg, err))
		}
	}
	return out
}

// end waits until all has run, and then or after the grace kills what still runs.
func (h *hooks) end(grace time.Duration) {
	h.mu.Lock()
	for _, k := range h.running {
		k.finish()
	}
	h.mu.Unlock()
	ended := make(chan struct{})
	go func() { defer close(ended); h.workers.Wait() }()
	late := time.NewTimer(grace)
	defer late.Stop()
	select {
	case <-ended:
	case <-late.C:
	}
	h.kill()
	<-ended
}
