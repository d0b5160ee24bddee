package control

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// handler is an agent that remembers what it was asked.
type handler struct {
	err     error
	status  Status
	history []Event
	drain   func(context.Context) // runs while a drain is waited for

	mu    sync.Mutex
	calls []string
}

func (h *handler) note(call string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls = append(h.calls, call)
}

func (h *handler) called() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.calls)
}

func (h *handler) Status() Status   { h.note("status"); return h.status }
func (h *handler) History() []Event { h.note("history"); return h.history }
func (h *handler) Drain(ctx context.Context, o DrainOptions) (Result, error) {
	h.note(fmt.Sprintf("drain wait=%v until-ready=%v", o.Wait, o.UntilReady))
	if h.drain != nil {
		h.drain(ctx)
	}
	return Result{Message: "drained", Moved: o.Wait}, h.err
}
func (h *handler) Resume(_ context.Context, o ResumeOptions) (Result, error) {
	h.note(fmt.Sprintf("resume until-ready=%v", o.UntilReady))
	return Result{Message: "resumed"}, h.err
}
func (h *handler) Reload(context.Context) (Result, error) {
	h.note("reload")
	return Result{Message: "reloaded"}, h.err
}

// serve runs a server until the test ends and returns its socket.
func serve(t *testing.T, h Handler) string {
	t.Helper()
	socket := Socket(t.TempDir())
	l, err := Listen(socket)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, l, h, slog.New(slog.DiscardHandler)) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(socket); err == nil {
			t.Error("the socket is still there")
		}
	})
	return socket
}

func TestCalls(t *testing.T) {
	h := &handler{status: states["active"], history: story}
	c := NewClient(serve(t, h))
	ctx := t.Context()
	status, err := c.Status(ctx)
	check(t, h.status, status, err)
	history, err := c.History(ctx)
	check(t, h.history, history, err)
	r, err := c.Drain(ctx, DrainOptions{})
	check(t, Result{Message: "drained"}, r, err)
	r, err = c.Drain(ctx, DrainOptions{Wait: true})
	check(t, Result{Message: "drained", Moved: true}, r, err)
	r, err = c.Drain(ctx, DrainOptions{Wait: true, UntilReady: true})
	check(t, Result{Message: "drained", Moved: true}, r, err)
	r, err = c.Resume(ctx, ResumeOptions{})
	check(t, Result{Message: "resumed"}, r, err)
	r, err = c.Resume(ctx, ResumeOptions{UntilReady: true})
	check(t, Result{Message: "resumed"}, r, err)
	r, err = c.Reload(ctx)
	check(t, Result{Message: "reloaded"}, r, err)
	want := []string{"status", "history", "drain wait=false until-ready=false", "drain wait=true until-ready=false",
		"drain wait=true until-ready=true", "resume until-ready=false", "resume until-ready=true", "reload"}
	check(t, want, h.called(), nil)
}

func check[T any](t *testing.T, want, got T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// What the agent says of a failure reaches the operator word for word.
func TestCallFails(t *testing.T) {
	h := &handler{err: errors.New("nothing was changed: vipd.toml:3: vip.vrid: 0 is out of range: choose 1 to 255")}
	c := NewClient(serve(t, h))
	for name, call := range map[string]func(context.Context) (Result, error){
		"reload": c.Reload,
		"resume": func(ctx context.Context) (Result, error) { return c.Resume(ctx, ResumeOptions{}) },
		"drain":  func(ctx context.Context) (Result, error) { return c.Drain(ctx, DrainOptions{Wait: true}) },
	} {
		if _, err := call(t.Context()); err == nil || err.Error() != h.err.Error() {
			t.Errorf("%s: %v, want %v", name, err, h.err)
		}
	}
}

// A drain may be waited for longer than the server lets a request take to arrive.
func TestDrainIsWaitedFor(t *testing.T) {
	h := &handler{drain: func(ctx context.Context) {
		select {
		case <-ctx.Done():
		case <-time.After(headerLimit + 500*time.Millisecond):
		}
	}}
	socket := serve(t, h)
	began := time.Now()
	if _, err := NewClient(socket).Drain(t.Context(), DrainOptions{Wait: true}); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < headerLimit+500*time.Millisecond {
		t.Errorf("answered after %v: the server gave up waiting", took)
	}
}

// A client that is gone is not waited for.
func TestDrainEndsWithClient(t *testing.T) {
	gone := make(chan struct{})
	began := make(chan struct{})
	h := &handler{drain: func(ctx context.Context) { close(began); <-ctx.Done(); close(gone) }}
	socket := serve(t, h)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-began; cancel() }()
	if _, err := NewClient(socket).Drain(ctx, DrainOptions{Wait: true}); err == nil {
		t.Error("no error")
	}
	select {
	case <-gone:
	case <-time.After(time.Second):
		t.Error("the handler still waits for a client that is gone")
	}
}

func TestListen(t *testing.T) {
	socket := Socket(t.TempDir())
	l, err := Listen(socket)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(socket)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, want 0600", info.Mode().Perm())
	}
	if _, err := Listen(socket); err == nil || !strings.Contains(err.Error(), "another agent answers on "+socket) {
		t.Errorf("beside a live agent: %v", err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false) // as one that was killed
	l.Close()
	l, err = Listen(socket)
	if err != nil {
		t.Fatalf("after a dead agent: %v", err)
	}
	l.Close()
	if _, err := Listen(filepath.Join(t.TempDir(), "missing", "control.sock")); err == nil {
		t.Error("no error without a directory")
	}
}

// What is no socket of an agent is left alone, and said to be what it is.
func TestListenOddPlace(t *testing.T) {
	dir := t.TempDir()
	file := Socket(dir)
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	long := Socket(filepath.Join(dir, strings.Repeat("x", 100)))
	for path, want := range map[string]string{
		file:                     "SOCKET is there and is no socket: remove it, or use another --runtime-dir",
		long:                     "SOCKET is too long for a socket, at most 107 bytes: choose a shorter --runtime-dir",
		filepath.Join(file, "x"): "look for another agent: dial unix SOCKET: connect: not a directory",
	} {
		_, err := Listen(path)
		expect(t, err, want, path)
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != "precious" {
		t.Errorf("the file is now %q, %v", b, err)
	}
}

// raw sends bytes and returns the status line of the answer, if one comes.
func raw(t *testing.T, socket string, request string) string {
	t.Helper()
	c, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.WriteString(c, request); err != nil {
		return "cut off"
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		return "cut off"
	}
	return strings.TrimSpace(line)
}

func TestRefusals(t *testing.T) {
	h := &handler{}
	socket := serve(t, h)
	tests := map[string]struct{ request, want string }{
		"unknown path":   {"GET /v1/nothing HTTP/1.1\r\nHost: vipd\r\n\r\n", "HTTP/1.1 404 Not Found"},
		"no path":        {"GET / HTTP/1.1\r\nHost: vipd\r\n\r\n", "HTTP/1.1 404 Not Found"},
		"GET drain":      {"GET /v1/drain HTTP/1.1\r\nHost: vipd\r\n\r\n", "HTTP/1.1 405 Method Not Allowed"},
		"GET reload":     {"GET /v1/reload HTTP/1.1\r\nHost: vipd\r\n\r\n", "HTTP/1.1 405 Method Not Allowed"},
		"DELETE status":  {"DELETE /v1/status HTTP/1.1\r\nHost: vipd\r\n\r\n", "HTTP/1.1 405 Method Not Allowed"},
		"not HTTP":       {"hello\r\n\r\n", "HTTP/1.1 400 Bad Request"},
		"huge header":    {"GET /v1/status HTTP/1.1\r\nHost: vipd\r\nX: " + strings.Repeat("x", 64<<10), "HTTP/1.1 431 Request Header Fields Too Large"},
		"half a request": {"POST /v1/drain HTTP/1.1\r\nHo", "HTTP/1.1 400 Bad Request"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := raw(t, socket, tt.request); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
	t.Cleanup(func() {
		if got := h.called(); len(got) != 0 {
			t.Errorf("called %q", got)
		}
	})
}

// A body larger than any that makes sense is not read to its end.
func TestHugeBody(t *testing.T) {
	socket := serve(t, &handler{})
	read := &counter{Reader: bytes.NewReader(make([]byte, 8<<20))}
	client := http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		return net.Dial("unix", socket)
	}}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://vipd/v1/drain", io.NopCloser(read))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if resp, err := client.Do(req); err == nil {
		resp.Body.Close()
	}
	if n := read.n.Load(); n > 4<<20 {
		t.Errorf("%d bytes were taken", n)
	}
}

type counter struct {
	io.Reader
	n atomic.Int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// A thousand connections that say nothing are in the way of others only while
// they are there, and never of the agent.
func TestManyConnections(t *testing.T) {
	socket := serve(t, &handler{status: states["backup"]})
	var conns []net.Conn
	for range 1000 {
		c, err := net.DialTimeout("unix", socket, 2*time.Second)
		if err != nil {
			t.Fatalf("connection %d: %v", len(conns), err)
		}
		conns = append(conns, c)
	}
	waiting := make(chan error, 1)
	go func() {
		_, err := NewClient(socket).Status(context.WithoutCancel(t.Context()))
		waiting <- err
	}()
	for _, c := range conns {
		c.Close()
	}
	select {
	case err := <-waiting:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Error("no answer after they were gone")
	}
}

// Clients that ask again and again have to queue again each time: they cannot keep
// all the places.
func TestGreedyClients(t *testing.T) {
	socket := serve(t, &handler{status: states["backup"]})
	const request = "GET /v1/status HTTP/1.1\r\nHost: vipd\r\n\r\n"
	for range maxClients {
		c, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := io.WriteString(c, request); err != nil {
			t.Fatal(err)
		}
		if _, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), headerLimit)
	defer cancel()
	if _, err := NewClient(socket).Status(ctx); err != nil {
		t.Errorf("another client: %v", err)
	}
}

// Clients that do not read their answer are cut off: others get their turn.
func TestClientsThatDoNotRead(t *testing.T) {
	if testing.Short() {
		t.Skip("takes as long as the server's patience")
	}
	h := &handler{status: states["backup"], history: slices.Repeat(story, 500)}
	socket := serve(t, h)
	for range maxClients {
		c, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := io.WriteString(c, "GET /v1/history HTTP/1.1\r\nHost: vipd\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
	}
	// Its turn comes when the first of them is cut off; without that, never.
	ctx, cancel := context.WithTimeout(t.Context(), 10*answerLimit)
	defer cancel()
	if _, err := NewClient(socket).Status(ctx); err != nil {
		t.Errorf("another client: %v", err)
	}
}

// FuzzRequest sends whatever parses as a request to the handler: it answers, it
// never fails by its own fault, and it acts on nothing but the POST that says so.
func FuzzRequest(f *testing.F) {
	for _, method := range []string{"GET", "POST", "HEAD", "OPTIONS", "CONNECT"} {
		for _, path := range []string{"/v1/status", "/v1/history", "/v1/drain?wait=true", "/v1/resume", "/v1/reload", "//v1/drain", "/v1/../v1/drain", "*"} {
			f.Add([]byte(method + " " + path + " HTTP/1.1\r\nHost: vipd\r\n\r\n"))
		}
	}
	f.Add([]byte("POST /v1/drain HTTP/1.1\r\nHost: vipd\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 9\r\n\r\nwait=true"))
	f.Add([]byte("POST /v1/drain HTTP/1.1\r\nHost: vipd\r\nContent-Type: multipart/form-data; boundary=x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n--x\r\n\r\n"))
	f.Add([]byte("POST http://x/v1/reload HTTP/1.0\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(b)))
		if err != nil {
			return
		}
		h := &handler{}
		w := httptest.NewRecorder()
		NewHandler(h).ServeHTTP(w, r)
		if w.Code >= 500 {
			t.Errorf("%s %s: %d", r.Method, r.URL, w.Code)
		}
		for _, call := range h.called() {
			verb, _, _ := strings.Cut(call, " ")
			reads := verb == "status" || verb == "history"
			if r.URL.Path != "/v1/"+verb || !reads && r.Method != http.MethodPost || reads && r.Method != http.MethodGet && r.Method != http.MethodHead {
				t.Errorf("%s %s called %s", r.Method, r.URL, call)
			}
		}
	})
}
