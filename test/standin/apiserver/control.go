package apiserver

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"
)

// The conversation on the control socket: a line with a mode's text, or an empty
// one to ask only; then a line back, "ok" and the mode in force, or "error" and why.
const (
	okPrefix    = "ok "
	errorPrefix = "error "
)

// controlTimeout bounds a conversation: a mode comes into force in milliseconds.
const controlTimeout = 5 * time.Second

// Control talks to a server in another process, through its control socket.
type Control struct {
	Path string // of the Unix socket
}

// Mode returns the mode in force.
func (c Control) Mode(ctx context.Context) (Mode, error) { return c.ask(ctx, "") }

// SetMode puts a mode into force and returns the mode that is in force now:
// another one when m is [Start] or [Stop].
func (c Control) SetMode(ctx context.Context, m Mode) (Mode, error) { return c.ask(ctx, m.String()) }

func (c Control) ask(ctx context.Context, line string) (Mode, error) {
	ctx, cancel := context.WithTimeout(ctx, controlTimeout)
	defer cancel()
	var d net.Dialer
	nc, err := d.DialContext(ctx, "unix", c.Path)
	if err != nil {
		return Mode{}, fmt.Errorf("reach the stand-in: %w", err)
	}
	defer nc.Close()
	defer context.AfterFunc(ctx, func() { nc.Close() })()
	if _, err := fmt.Fprintln(nc, line); err != nil {
		return Mode{}, fmt.Errorf("tell the stand-in: %w", err)
	}
	answer, err := bufio.NewReader(nc).ReadString('\n')
	if err != nil {
		return Mode{}, fmt.Errorf("hear the stand-in: %w", err)
	}
	return parseAnswer(strings.TrimSpace(answer))
}

func parseAnswer(line string) (Mode, error) {
	if why, failed := strings.CutPrefix(line, errorPrefix); failed {
		return Mode{}, errors.New(why)
	}
	text, ok := strings.CutPrefix(line, okPrefix)
	if !ok {
		return Mode{}, fmt.Errorf("the stand-in answered %q", line)
	}
	return ParseMode(text)
}

// ServeControl answers on a control socket until ctx ends, and closes it.
func (s *Server) ServeControl(ctx context.Context, l net.Listener) error {
	defer context.AfterFunc(ctx, func() { l.Close() })()
	var talks sync.WaitGroup
	defer talks.Wait()
	for {
		c, err := l.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("accept on the control socket: %w", err)
		}
		talks.Go(func() { s.talk(ctx, c) })
	}
}

// talk serves one conversation; a peer that breaks it off is none of our business.
func (s *Server) talk(ctx context.Context, c net.Conn) {
	ctx, cancel := context.WithTimeout(ctx, controlTimeout)
	defer cancel()
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		return
	}
	_, _ = fmt.Fprintln(c, s.obey(ctx, strings.TrimSpace(line)))
}

func (s *Server) obey(ctx context.Context, line string) string {
	if line == "" {
		return okPrefix + s.Mode().String()
	}
	m, err := ParseMode(line)
	if err != nil {
		return errorPrefix + err.Error()
	}
	if err := s.SetMode(ctx, m); err != nil {
		return errorPrefix + err.Error()
	}
	return okPrefix + s.Mode().String()
}
