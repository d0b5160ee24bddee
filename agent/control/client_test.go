package control

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// calls are what a client can ask.
var calls = map[string]func(context.Context, *Client) error{
	"status":  func(ctx context.Context, c *Client) error { _, err := c.Status(ctx); return err },
	"history": func(ctx context.Context, c *Client) error { _, err := c.History(ctx); return err },
	"drain": func(ctx context.Context, c *Client) error {
		_, err := c.Drain(ctx, DrainOptions{Wait: true})
		return err
	},
	"resume": func(ctx context.Context, c *Client) error { _, err := c.Resume(ctx, ResumeOptions{}); return err },
	"reload": func(ctx context.Context, c *Client) error { _, err := c.Reload(ctx); return err },
}

// impostor answers each request with these bytes, and then closes the connection; none:
// it keeps it open and says nothing. It returns its socket.
func impostor(t *testing.T, answer string) string {
	t.Helper()
	socket := Socket(t.TempDir())
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				if _, err := http.ReadRequest(bufio.NewReader(conn)); err != nil {
					return
				}
				// The client may have seen enough.
				_, _ = io.WriteString(conn, answer)
				if answer == "" {
					_, _ = io.Copy(io.Discard, conn)
				}
			}()
		}
	}()
	return socket
}

// ok is an answer with this body.
func ok(body string) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

// Whatever answers, no call takes it for done that is not, and each says what to do.
func TestImpostors(t *testing.T) {
	const (
		misunderstood = "the agent on SOCKET answers in a way that this vipd does not understand (%s): is it of another version? Restart it: systemctl restart vipd"
		away          = "the agent on SOCKET went away before it had answered: see: systemctl status vipd"
		slow          = "the agent does not answer on SOCKET: see: systemctl status vipd"
	)
	same := func(words string) map[string]string {
		m := make(map[string]string)
		for call := range calls {
			m[call] = words
		}
		return m
	}
	wrong := func(what string) map[string]string { return same(fmt.Sprintf(misunderstood, what)) }
	each := func(status, history, result string) map[string]string {
		m := wrong(result)
		m["status"], m["history"] = fmt.Sprintf(misunderstood, status), fmt.Sprintf(misunderstood, history)
		return m
	}
	for name, tt := range map[string]struct {
		answer string
		want   map[string]string // by call
	}{
		"an empty object": {ok("{}"), each("it lacks version", "it is a JSON object", "it lacks message")},
		"null":            {ok("null"), each("it lacks version", "it lacks a list", "it lacks message")},
		"nothing":         {ok(""), wrong("it is empty")},
		"a number":        {ok("7"), wrong("it is a JSON number")},
		"wrong types": {ok(`{"version": 1, "message": ["drained"]}`),
			each("version is a JSON number", "it is a JSON object", "message is a JSON array")},
		"text":            {ok("drained"), wrong("it is not JSON")},
		"half a document": {ok(`{"message": "drai`), wrong("it is not JSON")},
		"no HTTP":         {"220 mail.example.org ESMTP\r\n", wrong("it is not HTTP")},
		"half an answer":  {"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}", same(away)},
		"half a header":   {"HTTP/1.1 200 OK\r\n", same(away)},
		"no answer":       {"", same(slow)},
		"another place":   {"HTTP/1.1 302 Found\r\nLocation: /v1/status\r\n\r\n", same(`the agent on SOCKET answered "302 Found" and does not say why: see: journalctl -u vipd -n 20`)},
		"500 with text":   {"HTTP/1.1 500 Internal Server Error\r\n\r\npanic: goroutine 7 [running]:", same(`the agent on SOCKET answered "500 Internal Server Error" and does not say why: see: journalctl -u vipd -n 20`)},
		"422 and no word": {"HTTP/1.1 422 Unprocessable Entity\r\n\r\n{}", same(`the agent on SOCKET answered "422 Unprocessable Entity" and does not say why: see: journalctl -u vipd -n 20`)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			socket := impostor(t, tt.answer)
			for call, ask := range calls {
				ctx, cancel := context.WithTimeout(t.Context(), patience(tt.answer))
				expect(t, ask(ctx, NewClient(socket)), tt.want[call], socket)
				cancel()
			}
		})
	}
}

// patience is how long an answer may take; that one that never comes need not be waited
// for as long.
func patience(answer string) time.Duration {
	if answer == "" {
		return 200 * time.Millisecond
	}
	return 10 * time.Second
}

// expect wants an error of these words, in which SOCKET stands for the path.
func expect(t *testing.T, err error, want, socket string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error, want %s", want)
		return
	}
	if diff := cmp.Diff(strings.ReplaceAll(want, "SOCKET", socket), err.Error()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// What does not end is not read to its end.
func TestHugeAnswer(t *testing.T) {
	tests := []struct{ name, begins, want string }{
		{"header", "HTTP/1.1 200 OK\r\nX: ", "its header is longer than 64 KiB"},
		{"body", "HTTP/1.1 200 OK\r\n\r\n", "it is longer than 16 MiB"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			socket := impostor(t, tt.begins+strings.Repeat("x", maxAnswer))
			_, err := NewClient(socket).Status(t.Context())
			expect(t, err, "the agent on SOCKET answers in a way that this vipd does not understand ("+tt.want+"): is it of another version? Restart it: systemctl restart vipd", socket)
		})
	}
}

func TestUnknownCall(t *testing.T) {
	socket := impostor(t, "HTTP/1.1 404 Not Found\r\n\r\n404 page not found\n")
	for call, ask := range calls {
		expect(t, ask(t.Context(), NewClient(socket)), "the agent does not know /v1/"+call+": it is of another version; restart it: systemctl restart vipd", socket)
	}
}

// An answer that stops in the middle is waited for no longer than was said.
func TestSlowAnswer(t *testing.T) {
	socket := Socket(t.TempDir())
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		if conn, err := l.Accept(); err == nil {
			defer conn.Close()
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
			_, _ = io.Copy(io.Discard, conn)
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err = NewClient(socket).Status(ctx)
	expect(t, err, "the agent does not answer on SOCKET: see: systemctl status vipd", socket)
}

// Who interrupts a wait is told what that means, and not how it is done in Go.
func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	socket := impostor(t, "")
	_, err := NewClient(socket).Drain(ctx, DrainOptions{Wait: true})
	expect(t, err, "interrupted before the agent had answered", socket)
}

// A newer agent says more, and has states of which this version does not know.
func TestNewerAgent(t *testing.T) {
	const (
		at     = `"2030-01-01T00:00:00Z"`
		result = `{"message": "drained", "moved": true, "to": {"node": "k3s2"}}`
		status = `{"version": "9.0.0", "node": "k3s1", "started": ` + at + `, "drained": false, "mood": 7,
			"health": {"grade": "asleep", "settled": true, "since": ` + at + `, "preempt_hold": "1s", "checks": []},
			"routers": [{"vip": "k3s", "family": "IPv4", "state": "Dormant", "grade": "asleep", "moons": [{}]}]}`
		history = `[{"time": ` + at + `, "kind": "eclipse", "cause": "the moon", "phase": 0.5}]`
	)
	ctx := t.Context()
	r, err := NewClient(impostor(t, ok(result))).Drain(ctx, DrainOptions{Wait: true})
	check(t, Result{Message: "drained", Moved: true}, r, err)
	s, err := NewClient(impostor(t, ok(status))).Status(ctx)
	check(t, []string{"9.0.0", "asleep", "Dormant"}, []string{s.Version, s.Health.Grade, s.Routers[0].State}, err)
	events, err := NewClient(impostor(t, ok(history))).History(ctx)
	check(t, []Event{{Time: s.Started, Kind: "eclipse", Cause: "the moon"}}, events, err)
}

// Each part of a status that an operator goes by has to be there.
func TestStatusLacks(t *testing.T) {
	for want, spoil := range map[string]func(*Status){
		"":               func(*Status) {},
		"version":        func(s *Status) { s.Version = "" },
		"started":        func(s *Status) { s.Started = time.Time{} },
		"health.grade":   func(s *Status) { s.Health.Grade = "" },
		"routers":        func(s *Status) { s.Routers = nil },
		"routers.vip":    func(s *Status) { s.Routers[0].VIP = "" },
		"routers.family": func(s *Status) { s.Routers[0].Family = "" },
		"routers.state":  func(s *Status) { s.Routers[0].State = "" },
		"routers.grade":  func(s *Status) { s.Routers[0].Grade = "" },
	} {
		s := status(server("ready", ""), router4())
		spoil(&s)
		if got := s.lacks(); got != want {
			t.Errorf("lacks %q, want %q", got, want)
		}
	}
}

// Where no agent can be, what is there is told.
func TestNoAgent(t *testing.T) {
	const notRunning = "the agent is not running (nothing answers on SOCKET): start it with: systemctl start vipd"
	for name, tt := range map[string]struct {
		at   func(t *testing.T, dir string) string // returns the socket
		want string
	}{
		"nothing":      {func(_ *testing.T, dir string) string { return Socket(dir) }, notRunning},
		"no directory": {func(_ *testing.T, dir string) string { return Socket(filepath.Join(dir, "none")) }, notRunning},
		"a dead agent": {func(t *testing.T, dir string) string {
			l, err := net.ListenUnix("unix", &net.UnixAddr{Name: Socket(dir), Net: "unix"})
			if err != nil {
				t.Fatal(err)
			}
			l.SetUnlinkOnClose(false)
			l.Close()
			return Socket(dir)
		}, notRunning},
		"a file": {func(t *testing.T, dir string) string {
			if err := os.WriteFile(Socket(dir), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			return Socket(dir)
		}, "SOCKET is no socket: name the agent's directory with --runtime-dir"},
		"a file as directory": {func(t *testing.T, dir string) string {
			file := filepath.Join(dir, "file")
			if err := os.WriteFile(file, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			return Socket(file)
		}, "SOCKET is no socket: name the agent's directory with --runtime-dir"},
		"a long path": {func(_ *testing.T, dir string) string { return Socket(filepath.Join(dir, strings.Repeat("x", 100))) },
			"SOCKET is too long for a socket, at most 107 bytes: choose a shorter --runtime-dir"},
	} {
		t.Run(name, func(t *testing.T) {
			socket := tt.at(t, t.TempDir())
			for _, ask := range calls {
				expect(t, ask(t.Context(), NewClient(socket)), tt.want, socket)
			}
		})
	}
}

func TestClientMayNot(t *testing.T) {
	err := NewClient("/run/vipd/control.sock").explain(&net.OpError{Op: "dial", Err: os.ErrPermission})
	expect(t, err, "no permission to open SOCKET: run the command as root", "/run/vipd/control.sock")
}

// FuzzAnswer reads whatever might be answered: what is wrong with it is said in words of
// our own.
func FuzzAnswer(f *testing.F) {
	for _, s := range []string{"", "null", "{}", "[]", "7", `"x"`, `{"message": 1}`, `[{"time": "noon"}]`, `{"version": "1", "started": "2030-01-01T00:00:00Z", "health": {"grade": "ready", "preempt_hold": "soon"}}`,
		`{"routers": [{"vrid": 300}]}`, `{"routers": [{"counters": {"x": -1}}]}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, into := range []document{&Status{}, &events{}, &Result{}} {
			if err := read(body, into); err != nil && strings.ContainsAny(err.Error(), "\n\x1b") || err != nil && strings.Contains(err.Error(), "json:") {
				t.Errorf("%T: %v", into, err)
			}
		}
	})
}
