package health

import (
	"context"
	"sync/atomic"
	"time"
)

// loader reads a probe's credentials, for one connection at a time: where the disk
// hangs each reading keeps a thread, until the process may have no more of them.
type loader struct {
	read func(serverName string) (*credentials, error)
	busy chan struct{}              // holds one while it reads
	from *atomic.Pointer[time.Time] // when that began; nil: nothing is being read
}

const filesHang = "the certificates cannot be read in time: does the disk hang?"

func newLoader(read func(string) (*credentials, error)) loader {
	return loader{read: read, busy: make(chan struct{}, 1), from: new(atomic.Pointer[time.Time])}
}

// load waits no longer than until ctx ends.
func (l loader) load(ctx context.Context, serverName string) (*credentials, error) {
	select {
	case l.busy <- struct{}{}:
	case <-ctx.Done():
		return nil, &fault{filesHang, ctx.Err()}
	}
	var got *credentials
	var why error
	done := make(chan struct{})
	began := time.Now()
	l.from.Store(&began)
	go func() {
		defer close(done)
		defer func() {
			l.from.Store(nil)
			<-l.busy
		}()
		got, why = l.read(serverName)
	}()
	select {
	case <-done:
		return got, why
	case <-ctx.Done():
		return nil, &fault{filesHang, ctx.Err()}
	}
}

// hangs reports whether a reading takes that long already. Others begin all the time.
func (l loader) hangs(already time.Duration) bool {
	began := l.from.Load()
	return began != nil && time.Since(*began) >= already
}
