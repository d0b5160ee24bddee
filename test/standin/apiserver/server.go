package apiserver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vipd/vipd/test/standin/pki"
)

// Options say who a [Server] is and where it listens.
type Options struct {
	Name     string       // node name, told to clients so that they see who answers
	Identity pki.Identity // certificates

	// Listen opens the API's port. It is called again whenever the server comes back
	// from [Refused]. A listener opened inside a network namespace stays there.
	Listen func() (net.Listener, error)

	// Plain opens a second port without TLS, which answers each connection with the
	// node's name and a newline; nil for none.
	Plain func() (net.Listener, error)

	Mode       Mode    // the first mode: [Ready] or [Start], as a rule
	StartScale float64 // factor for the times of [Start]; 0 means 1
}

// Server is one node's API server.
type Server struct {
	opts     Options
	conns    *conns
	http     *http.Server
	state    atomic.Pointer[state]
	commands chan command
	ready    chan struct{}
	serving  sync.WaitGroup
	open     []net.Listener // nil while refused; Run's own
}

// command asks Run for a mode, which tells done when the mode is in force.
type command struct {
	mode Mode
	done chan error
}

// New returns a server, which does nothing until [Server.Run].
func New(opts Options) *Server {
	if opts.StartScale == 0 {
		opts.StartScale = 1
	}
	s := &Server{
		opts:     opts,
		conns:    newConns(),
		commands: make(chan command),
		ready:    make(chan struct{}),
	}
	s.state.Store(&state{mode: Mode{Kind: Refused}, since: time.Now()})
	s.http = &http.Server{
		Handler: s.handler(),
		// Clients that break off are the rule here, and nothing to report.
		ErrorLog: log.New(io.Discard, "", 0),
	}
	return s
}

// Run serves until ctx ends, then stops as K3s does on SIGTERM: for a moment it
// accepts connections and answers nothing, then it resets them all. It returns an
// error if it cannot listen.
func (s *Server) Run(ctx context.Context) error {
	defer s.serving.Wait()
	defer s.close()
	err := s.play(ctx, sequence(s.opts.Mode, s.opts.StartScale))
	if ctx.Err() == nil {
		return err
	}
	return s.stop()
}

// Ready is closed when the server is ready for the first time.
func (s *Server) Ready() <-chan struct{} { return s.ready }

// Mode returns the mode in force; during a sequence, the step that it is at.
func (s *Server) Mode() Mode { return s.state.Load().mode }

// SetMode puts a mode into force. When it returns nil, requests meet the new mode.
func (s *Server) SetMode(ctx context.Context, m Mode) error {
	c := command{mode: m, done: make(chan error, 1)}
	select {
	case s.commands <- c:
	case <-ctx.Done():
		return fmt.Errorf("set mode %s: %w", m, ctx.Err())
	}
	if err := <-c.done; err != nil {
		return fmt.Errorf("set mode %s: %w", m, err)
	}
	return nil
}

// play goes through a sequence, and through those that commands ask for, until
// ctx ends or the first sequence cannot begin.
func (s *Server) play(ctx context.Context, steps []step) error {
	if err := s.enter(steps[0]); err != nil {
		return err
	}
	for {
		var next <-chan time.Time
		if len(steps) > 1 {
			next = time.After(time.Until(s.state.Load().since.Add(steps[0].lasts)))
		}
		select {
		case <-ctx.Done():
			return nil
		case c := <-s.commands:
			steps = sequence(c.mode, s.opts.StartScale)
			c.done <- s.enter(steps[0])
		case <-next:
			steps = steps[1:]
			if err := s.enter(steps[0]); err != nil {
				return err
			}
		}
	}
}

// stop plays the sequence that ends a process. Nothing can stop it.
func (s *Server) stop() error {
	for _, st := range sequence(Mode{Kind: Stop}, 1) {
		if err := s.enter(st); err != nil {
			return err
		}
		time.Sleep(st.lasts)
	}
	return nil
}

// enter puts the mode of a step into force.
func (s *Server) enter(st step) error {
	force := func() { s.state.Store(&state{mode: st.mode, since: time.Now(), lasts: st.lasts}) }
	switch st.mode.Kind {
	case Refused:
		s.close()
		force()
		return nil
	case Hang:
		s.conns.hang()
		force()
	default:
		// What was held back must meet the new mode, not the old.
		force()
		s.conns.resume()
	}
	if err := s.listen(); err != nil {
		return err
	}
	if st.mode.Kind == Ready {
		s.tellReady()
	}
	return nil
}

func (s *Server) tellReady() {
	select {
	case <-s.ready:
	default:
		close(s.ready)
	}
}

// listen opens the ports, unless they are open.
func (s *Server) listen() error {
	if s.open != nil {
		return nil
	}
	s.conns.admit()
	api, err := s.opts.Listen()
	if err != nil {
		return fmt.Errorf("listen for the API: %w", err)
	}
	s.open = append(s.open, api)
	s.serving.Go(func() {
		// It ends when close closes the listener: there is no other way.
		_ = s.http.Serve(tls.NewListener(listener{api, s.conns}, s.tls()))
	})
	if s.opts.Plain == nil {
		return nil
	}
	plain, err := s.opts.Plain()
	if err != nil {
		return fmt.Errorf("listen without TLS: %w", err)
	}
	s.open = append(s.open, plain)
	s.serving.Go(func() { s.servePlain(listener{plain, s.conns}) })
	return nil
}

// close closes the ports and resets what came through them.
func (s *Server) close() {
	for _, l := range s.open {
		_ = l.Close()
	}
	s.open = nil
	s.conns.reset()
}

// tls asks for a client certificate and takes any: who shows a bad one, or none,
// is told so by the status of the answer, as K3s does. Without NextProtos there
// is no ALPN, and only HTTP/1.1.
func (s *Server) tls() *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS12,
		Certificates:           []tls.Certificate{s.opts.Identity.Certificate},
		ClientAuth:             tls.RequestClientCert,
		SessionTicketsDisabled: true,
	}
}

// servePlain answers with the node's name and leaves it to the client to close:
// the side that closes first keeps the port busy for a minute.
func (s *Server) servePlain(l listener) {
	for {
		c, err := l.accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		s.serving.Go(func() {
			defer c.Close()
			if !s.answerPlain(c) {
				return
			}
			_, _ = io.Copy(io.Discard, c)
		})
	}
}

func (s *Server) answerPlain(c *conn) bool {
	st := s.state.Load()
	if st.mode.Kind == Slow {
		select {
		case <-time.After(st.mode.Period):
		case <-c.closed:
			return false
		}
	}
	switch st.at(time.Now()) {
	case Starting, Missing, Booting:
		return false
	}
	_, err := fmt.Fprintln(c, s.opts.Name)
	return err == nil
}
