package probe

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/vipd/vipd/test/standin/pki"
)

func TestOutcomes(t *testing.T) {
	good := tlsServer(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "node1") })
	failing := tlsServer(t, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "starting", http.StatusServiceUnavailable) })
	goodCA, failingCA := caFile(t, good.Certificate()), caFile(t, failing.Certificate())
	other := t.TempDir()
	if err := pki.Ensure(pki.Config{DataDir: other}); err != nil {
		t.Fatal(err)
	}
	otherCA := filepath.Join(pki.TLSDir(other), "server-ca.crt")
	silent := listen(t, func(net.Conn) {})
	cutting := listen(t, func(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0); c.Close() })
	closing := listen(t, func(c net.Conn) { c.Close() })
	naming := listen(t, func(c net.Conn) { fmt.Fprintln(c, "node2") })

	tests := []struct {
		name     string
		cfg      Config
		want     Outcome
		node     string
		errorHas string
	}{
		{name: "answered over TLS", cfg: Config{Address: good.Listener.Addr().String(), CAFile: goodCA}, want: OK, node: "node1"},
		{name: "answered over TCP", cfg: Config{Address: naming}, want: OK, node: "node2"},
		{name: "nobody listens", cfg: Config{Address: closedPort(t)}, want: Refused, errorHas: "refused"},
		{name: "no connection in time", cfg: Config{Address: fullBacklog(t)}, want: Timeout},
		{name: "no handshake in time", cfg: Config{Address: silent, CAFile: goodCA}, want: Unanswered},
		{name: "no name in time", cfg: Config{Address: silent}, want: Unanswered},
		{name: "reset", cfg: Config{Address: cutting, CAFile: goodCA}, want: Reset},
		{name: "closed without an answer", cfg: Config{Address: closing}, want: Reset},
		{name: "unknown authority", cfg: Config{Address: good.Listener.Addr().String(), CAFile: otherCA}, want: BadTLS, errorHas: "unknown authority"},
		{name: "another name", cfg: Config{Address: good.Listener.Addr().String(), CAFile: goodCA, ServerName: "203.0.113.9"}, want: BadTLS, errorHas: "203.0.113.9"},
		{name: "no TLS", cfg: Config{Address: naming, CAFile: goodCA}, want: BadTLS},
		{name: "another status", cfg: Config{Address: failing.Listener.Addr().String(), CAFile: failingCA}, want: Other, errorHas: "status 503"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.cfg.Interval, tt.cfg.DialTimeout, tt.cfg.Timeout = time.Hour, 300*time.Millisecond, 500*time.Millisecond
			p, err := New(tt.cfg)
			if err != nil {
				t.Fatal(err)
			}
			p.began = time.Now()
			// Twice: what is remembered of the first must not change the second.
			for range 2 {
				a := p.attempt(t.Context(), p.now())
				if a.Outcome != tt.want || a.Node != tt.node || !strings.Contains(a.Error, tt.errorHas) {
					t.Errorf("got %+v, want %s of %q with %q", a, tt.want, tt.node, tt.errorHas)
				}
				if a.End < a.Start {
					t.Errorf("ends before it starts: %+v", a)
				}
			}
		})
	}
}

func TestErrorsThatLoopbackDoesNotGive(t *testing.T) {
	tests := []struct {
		name string
		got  Outcome
		want Outcome
	}{
		{"no neighbour", dialOutcome(&net.OpError{Err: os.NewSyscallError("connect", syscall.EHOSTUNREACH)}), Unreachable},
		{"no route", dialOutcome(syscall.ENETUNREACH), Unreachable},
		{"kernel gave up", dialOutcome(syscall.ETIMEDOUT), Timeout},
		{"no port left", dialOutcome(syscall.EADDRNOTAVAIL), Other},
		{"broken pipe", cutOutcome(syscall.EPIPE, Other), Reset},
		{"cut in the middle", cutOutcome(io.ErrUnexpectedEOF, Other), Reset},
		{"kernel gave up on data", cutOutcome(syscall.ETIMEDOUT, Other), Unanswered},
		{"anything else", cutOutcome(errors.New("what"), BadTLS), BadTLS},
	}
	for _, tt := range tests {
		if tt.got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, tt.got, tt.want)
		}
	}
}

func TestRunCountsAndGoesOnWhileOneHangs(t *testing.T) {
	var served atomic.Int32
	addr := listen(t, func(c net.Conn) {
		switch n := served.Add(1); {
		case n == 5: // hangs
		case n < 50:
			fmt.Fprintln(c, "a")
		default:
			fmt.Fprintln(c, "b")
		}
	})
	p := newProber(t, Config{Address: addr})
	// The deadline of the context must not look like a timeout of the server.
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	changes := map[string]int{}
	r := p.Run(ctx, func(c Change) {
		changes[c.To]++
		if c.To == "b" {
			cancel()
		}
	})
	if r.Unfinished == 0 || r.Failed != 0 || r.Nodes["a"] < 40 || r.Nodes["b"] == 0 {
		t.Errorf("got %+v", r)
	}
	if diff := cmp.Diff(map[string]int{"a": 1, "b": 1}, changes); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
}

func TestEndIsNoFailure(t *testing.T) {
	p := newProber(t, Config{Address: listen(t, func(net.Conn) {})})
	for range 10 {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		r := p.Run(ctx, func(Change) {})
		cancel()
		if len(r.Failures) > 0 || r.Unfinished == 0 {
			t.Errorf("failures %+v, unfinished %d", r.Failures, r.Unfinished)
		}
	}
}

func TestIdleConnectionComesBack(t *testing.T) {
	const open = 50 * time.Millisecond
	plain := func(end func(net.Conn)) Config {
		return Config{Address: listen(t, func(c net.Conn) {
			fmt.Fprintln(c, "a")
			time.AfterFunc(open, func() { end(c) })
		})}
	}
	watch := tlsServer(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "a")
		if r.URL.Path != "/watch" {
			return
		}
		_ = http.NewResponseController(w).Flush()
		time.Sleep(open)
		panic(http.ErrAbortHandler)
	})
	tests := []struct {
		name string
		cfg  Config
		want string
	}{
		{"TCP reset", plain(func(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0); c.Close() }), "reset"},
		{"TCP closed", plain(func(c net.Conn) { c.Close() }), "closed"},
		{"TLS closed", Config{Address: watch.Listener.Addr().String(), CAFile: caFile(t, watch.Certificate())}, "closed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.cfg.Idle, tt.cfg.Interval = true, 100*time.Millisecond
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			drops := newProber(t, tt.cfg).Run(ctx, func(Change) {}).Drops
			if len(drops) == 0 {
				t.Fatal("no drop in a second")
			}
			d := drops[0]
			if d.Node != "a" || d.To != "a" || d.Cause != tt.want || d.Lost <= d.Opened || d.Back < d.Lost {
				t.Errorf("got %+v, want cause %s", d, tt.want)
			}
		})
	}
}

func TestConfigArgs(t *testing.T) {
	want := Config{
		Address: "203.0.113.9:6443", CAFile: "/ca.crt", ServerName: "vip", Interval: 5 * time.Millisecond,
		DialTimeout: 2 * time.Second, Timeout: 4 * time.Second, Idle: true,
	}
	for name, c := range map[string]Config{"all": want, "defaults": {Address: want.Address}} {
		t.Run(name, func(t *testing.T) {
			var got Config
			fs := flag.NewFlagSet("client", flag.ContinueOnError)
			got.Flags(fs)
			if err := fs.Parse(c.args()); err != nil {
				t.Fatal(err)
			}
			if name == "defaults" {
				c.Interval, c.DialTimeout, c.Timeout = 2*time.Millisecond, time.Second, 3*time.Second
			}
			if diff := cmp.Diff(c, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestNewRefuses(t *testing.T) {
	fine := Config{Address: "127.0.0.1:1", Interval: 1, DialTimeout: 1, Timeout: 1}
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]func(*Config){
		"no port":            func(c *Config) { c.Address = "127.0.0.1" },
		"no interval":        func(c *Config) { c.Interval = 0 },
		"no CA file":         func(c *Config) { c.CAFile = "/nonexistent" },
		"no CA in that file": func(c *Config) { c.CAFile = empty },
	}
	for name, spoil := range tests {
		t.Run(name, func(t *testing.T) {
			c := fine
			spoil(&c)
			if _, err := New(c); err == nil {
				t.Error("accepted")
			}
		})
	}
}

func newProber(t *testing.T, c Config) *Prober {
	t.Helper()
	if c.Interval == 0 {
		c.Interval = 2 * time.Millisecond
	}
	c.DialTimeout, c.Timeout = 2*time.Second, 10*time.Second
	p, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// listen hands each connection to serve, and closes those that serve does not
// when the test ends.
func listen(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			defer c.Close()
			serve(c)
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().String()
}

func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// fullBacklog returns an address where the kernel drops every SYN, because nobody
// accepts and the backlog is full.
func fullBacklog(t *testing.T) string {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	err = errors.Join(unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), unix.Listen(fd, 0))
	if err != nil {
		t.Fatal(err)
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	addr := fmt.Sprintf("127.0.0.1:%d", sa.(*unix.SockaddrInet4).Port)
	for range 10 {
		c, err := net.DialTimeout("tcp", addr, 100*time.Millisecond)
		if err != nil {
			return addr
		}
		t.Cleanup(func() { c.Close() })
	}
	t.Fatal("the backlog does not fill")
	return ""
}

func tlsServer(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func caFile(t *testing.T, cert *x509.Certificate) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ca.crt")
	data := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
