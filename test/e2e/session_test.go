package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"time"
)

// session is what an administrator does on the servers, and sees. It is written down as
// a page in Markdown: what was typed and printed, with words in between.
type session struct {
	*trial
	page   strings.Builder
	typing bool // the page ends within a block of commands
}

// heading begins a part of the page.
func (s *session) heading(level int, text string) {
	s.endBlock()
	fmt.Fprintf(&s.page, "\n%s %s\n", strings.Repeat("#", level), text)
}

// say writes a paragraph.
func (s *session) say(format string, args ...any) {
	s.endBlock()
	fmt.Fprintf(&s.page, "\n"+format+"\n", args...)
}

func (s *session) endBlock() {
	if s.typing {
		s.page.WriteString("```\n")
	}
	s.typing = false
}

// types runs a line on a server, whether or not it fails, and returns what it printed.
func (s *session) types(n *node, line string) string {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), patience)
	defer cancel()
	out, err := n.admin(ctx, line)
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		s.must(err)
	}
	s.note(n, line, out)
	return out
}

// note writes down a line that was typed, and what it printed.
func (s *session) note(n *node, line, out string) {
	s.Logf("admin@%s$ %s\n%s", n.name, line, out)
	if !s.typing {
		s.page.WriteString("\n```console\n")
	}
	s.typing = true
	fmt.Fprintf(&s.page, "admin@%s:~$ %s\n%s", n.name, line, plain(out))
}

// plain is what a command printed without space at the ends of lines.
func plain(out string) string {
	var b strings.Builder
	for line := range strings.Lines(out) {
		b.WriteString(strings.TrimRight(line, " \r\n") + "\n")
	}
	return b.String()
}

// shows runs a line and wants each of the patterns in what it prints.
func (s *session) shows(n *node, line string, patterns ...string) string {
	s.Helper()
	out := s.types(n, line)
	for _, p := range patterns {
		if !regexp.MustCompile(p).MatchString(out) {
			s.Errorf("%s on %s does not show %q:\n%s", line, n.name, p, out)
		}
	}
	return out
}

// part plays a part of the session, and has the site normal again after it.
func (s *session) part(name string, play func()) {
	began := time.Now()
	s.heading(2, name)
	play()
	ctx, cancel := context.WithTimeout(s.Context(), patience)
	defer cancel()
	if err := s.restore(ctx); err != nil {
		s.tell(s.T, began)
		s.Fatalf("after %q: %v", name, err)
	}
}

// holds returns the server that holds the VIP, and the others.
func (s *session) holds() (holder *node, backups []*node) {
	s.Helper()
	holder, err := s.holder(s.Context())
	s.must(err)
	for _, n := range s.nodes {
		if n != holder {
			backups = append(backups, n)
		}
	}
	return holder, backups
}

// successor waits until another than the last holder holds the VIP, and returns it.
func (s *session) successor(last *node) *node {
	s.Helper()
	var now *node
	s.until("the VIP to move from "+last.name, func(ctx context.Context) error {
		for _, n := range s.nodes {
			st, err := n.status(ctx)
			if err == nil && n != last && len(st.Routers) > 0 && st.Routers[0].Holding {
				now = n
				return nil
			}
		}
		return errors.New("no other holds it")
	})
	return now
}

// isState waits until a server is in a state.
func (s *session) isState(n *node, state string) {
	s.Helper()
	s.until(n.name+" to be "+state, func(ctx context.Context) error {
		st, err := n.status(ctx)
		if err != nil {
			return err
		}
		if len(st.Routers) == 0 || st.Routers[0].State != state {
			return errors.New("it is not")
		}
		return nil
	})
}

// write writes the page.
func (s *session) write(path string) error {
	s.endBlock()
	return os.WriteFile(path, []byte(s.page.String()), 0o644)
}
