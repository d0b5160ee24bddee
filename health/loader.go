package health

import "context"

// loader reads a probe's credentials, for one connection at a time: where the disk
// hangs each reading keeps a thread, until the process may have no more of them.
type loader struct {
	read func(serverName string) (*credentials, error)
	busy chan struct{} // holds one while it reads
}

const filesHang = "the certificates cannot be read in time: does the disk hang?"

func newLoader(read func(string) (*credentials, error)) loader {
	return loader{read: read, busy: make(chan struct{}, 1)}
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
	go func() {
		defer close(done)
		defer func() { <-l.busy }()
		got, why = l.read(serverName)
	}()
	select {
	case <-done:
		return got, why
	case <-ctx.Done():
		return nil, &fault{filesHang, ctx.Err()}
	}
}

// hangs reports whether a reading is under way, when there was time enough for one.
func (l loader) hangs() bool { return len(l.busy) > 0 }
