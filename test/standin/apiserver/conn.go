package apiserver

import (
	"errors"
	"net"
	"sync"
)

// conns holds the open connections of a server, so that they can be made to hang
// and be reset together, as those of a process are that is stopped or dies.
type conns struct {
	mu      sync.Mutex
	open    map[*conn]struct{}
	refuse  bool          // new connections are reset at once
	running chan struct{} // closed: reads and writes pass; nobody closes it while the server hangs
}

func newConns() *conns {
	running := make(chan struct{})
	close(running)
	return &conns{open: map[*conn]struct{}{}, running: running}
}

// hang holds back all that is read and written from now on.
func (cs *conns) hang() {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	select {
	case <-cs.running:
		cs.running = make(chan struct{})
	default:
	}
}

// resume lets go what was held back.
func (cs *conns) resume() {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	select {
	case <-cs.running:
	default:
		close(cs.running)
	}
}

// admit takes new connections again after a reset.
func (cs *conns) admit() {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.refuse = false
}

// reset resets every connection, and those that still come.
func (cs *conns) reset() {
	cs.mu.Lock()
	cs.refuse = true
	var all []*conn
	for c := range cs.open {
		all = append(all, c)
	}
	cs.mu.Unlock()
	for _, c := range all {
		c.reset()
	}
}

func (cs *conns) add(nc net.Conn) *conn {
	c := &conn{Conn: nc, all: cs, closed: make(chan struct{})}
	cs.mu.Lock()
	cs.open[c] = struct{}{}
	refuse := cs.refuse
	cs.mu.Unlock()
	if refuse {
		c.reset()
	}
	return c
}

func (cs *conns) remove(c *conn) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	delete(cs.open, c)
}

func (cs *conns) gate() <-chan struct{} {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return cs.running
}

// listener hands out connections that its conns know.
type listener struct {
	net.Listener
	conns *conns
}

func (l listener) Accept() (net.Conn, error) {
	c, err := l.accept()
	if err != nil {
		return nil, err
	}
	return c, nil
}

func (l listener) accept() (*conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.conns.add(nc), nil
}

// conn is a connection whose reads and writes wait while the server hangs.
type conn struct {
	net.Conn
	all    *conns
	once   sync.Once
	closed chan struct{}
}

// Read waits after reading, since a read may have begun before the server hung.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil {
		return n, err
	}
	return n, c.wait()
}

func (c *conn) Write(p []byte) (int, error) {
	if err := c.wait(); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

func (c *conn) wait() error {
	select {
	case <-c.all.gate():
		return nil
	case <-c.closed:
		return net.ErrClosed
	}
}

// Close may be called twice: reset comes from beside the connection's server.
func (c *conn) Close() error {
	err := net.ErrClosed
	c.once.Do(func() {
		close(c.closed)
		c.all.remove(c)
		err = c.Conn.Close()
	})
	return err
}

// reset closes the connection with a reset instead of an orderly end.
func (c *conn) reset() {
	if tcp, ok := c.Conn.(interface{ SetLinger(sec int) error }); ok {
		// A connection that has ended by itself needs no reset.
		if err := tcp.SetLinger(0); err != nil && !errors.Is(err, net.ErrClosed) {
			return
		}
	}
	_ = c.Close()
}
