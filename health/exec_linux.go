package health

import (
	"bytes"
	"context"
	"errors"
	"fmt"
)

// maxOutput is how much of a program's output is kept.
const maxOutput = 4 << 10

// execProbe runs a check's command. At the timeout it is killed together with what it
// has started.
type execProbe struct {
	check Check
	stuck <-chan struct{} // closed when a run has ended that did not when it was killed; nil: all did
}

// ask is not called beside itself.
func (p *execProbe) ask(ctx context.Context) error {
	if p.held() {
		return &fault{ErrStuck.Error(), ErrStuck}
	}
	var out head
	gone, err := Run(ctx, p.check.Command, nil, &out)
	switch {
	case errors.Is(err, ErrStuck): // out may still be written to
		p.stuck = gone
		return &fault{ErrStuck.Error(), ErrStuck}
	case ctx.Err() != nil:
		return &fault{fmt.Sprintf("no end of it within %s", p.check.Timeout), ctx.Err()}
	case err == nil:
		return nil
	}
	if line := firstLine(out.kept.Bytes()); line != "" {
		return &fault{fmt.Sprintf("%v: %s", err, line), err}
	}
	return err
}

// held reports whether an earlier run has not ended yet: the program is not started
// beside itself, nor again and again where a disk hangs.
func (p *execProbe) held() bool {
	if p.stuck == nil {
		return false
	}
	select {
	case <-p.stuck:
		p.stuck = nil
		return false
	default:
		return true
	}
}

// head keeps the beginning of what is written to it.
type head struct{ kept bytes.Buffer }

func (h *head) Write(b []byte) (int, error) {
	h.kept.Write(b[:min(len(b), maxOutput-h.kept.Len())])
	return len(b), nil
}
