package probe

import (
	"context"
	"time"
)

// reopenPause is the time between two tries to open the idle connection again.
const reopenPause = 10 * time.Millisecond

// idle keeps a connection open on which nothing is said, and tells of its ends.
func (p *Prober) idle(ctx context.Context, dropped func(Drop)) {
	s := p.openIdle(ctx)
	for s != nil {
		d := Drop{Node: s.node, Opened: p.now()}
		err := p.waitIdle(ctx, s)
		if ctx.Err() != nil {
			return
		}
		d.Lost, d.Cause = p.now(), cause(err)
		if s = p.openIdle(ctx); s != nil {
			d.Back, d.To = p.now(), s.node
		}
		dropped(d)
	}
}

// waitIdle blocks until the connection ends, by itself or with ctx.
func (p *Prober) waitIdle(ctx context.Context, s *session) error {
	defer s.reset()
	defer context.AfterFunc(ctx, func() { s.raw.Close() })()
	return s.wait()
}

// openIdle tries until it succeeds; it returns nil when ctx ends.
func (p *Prober) openIdle(ctx context.Context) *session {
	for ctx.Err() == nil {
		if s, err := p.target.open(ctx, "/watch"); err == nil {
			return s
		}
		select {
		case <-time.After(reopenPause):
		case <-ctx.Done():
		}
	}
	return nil
}

// cause names the end of a connection in a word, where there is one.
func cause(err error) string {
	switch {
	case isTimeout(err):
		return "timeout"
	case isReset(err):
		return "reset"
	case isEnd(err):
		return "closed"
	}
	return err.Error()
}
