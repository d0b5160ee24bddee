package apiserver

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vipd/vipd/test/standin/pki"
)

// fixture is a server on loopback and what a client needs to ask it.
type fixture struct {
	*Server
	t     *testing.T
	addr  string
	plain string
	dir   string // of certificates
	alien string // of certificates of another cluster
	done  chan error
	end   context.CancelFunc
}

func startServer(t *testing.T, mode Kind, scale float64) *fixture {
	t.Helper()
	data, alien := t.TempDir(), t.TempDir()
	for _, d := range []string{data, alien} {
		if err := pki.Ensure(pki.Config{DataDir: d}); err != nil {
			t.Fatal(err)
		}
	}
	id, err := pki.Load(data)
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{t: t, addr: freeAddr(t), plain: freeAddr(t), dir: pki.TLSDir(data), alien: pki.TLSDir(alien), done: make(chan error, 1)}
	f.Server = New(Options{
		Name: "node1", Identity: id, Mode: Mode{Kind: mode}, StartScale: scale,
		Listen: func() (net.Listener, error) { return net.Listen("tcp", f.addr) },
		Plain:  func() (net.Listener, error) { return net.Listen("tcp", f.plain) },
	})
	ctx, cancel := context.WithCancel(context.Background())
	f.end = cancel
	go func() { f.done <- f.Run(ctx); close(f.done) }()
	t.Cleanup(func() {
		cancel()
		if err, open := <-f.done; open && err != nil {
			t.Error(err)
		}
	})
	return f
}

// freeAddr returns an address that the kernel had free a moment ago.
func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func (f *fixture) set(text string) {
	f.t.Helper()
	m, err := ParseMode(text)
	if err != nil {
		f.t.Fatal(err)
	}
	if err := f.SetMode(f.t.Context(), m); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) awaitReady() {
	f.t.Helper()
	select {
	case <-f.Ready():
	case <-time.After(5 * time.Second):
		f.t.Fatal("not ready after 5 s")
	}
}

// await waits until the server is in a mode of one of these kinds.
func (f *fixture) await(kinds ...Kind) {
	f.t.Helper()
	deadline := time.After(5 * time.Second)
	for !slices.Contains(kinds, f.Mode().Kind) {
		select {
		case <-deadline:
			f.t.Fatalf("%s after 5 s, want one of %v", f.Mode(), kinds)
		case <-time.After(time.Millisecond):
		}
	}
}

// tls returns the configuration of a client: "" for one without a certificate,
// "alien" for one with another cluster's, else the certificate's name.
func (f *fixture) tls(cert string) *tls.Config {
	f.t.Helper()
	pem, err := os.ReadFile(filepath.Join(f.dir, "server-ca.crt"))
	if err != nil {
		f.t.Fatal(err)
	}
	c := &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "127.0.0.1"}
	c.RootCAs.AppendCertsFromPEM(pem)
	dir := f.dir
	if cert == "alien" {
		dir, cert = f.alien, "client-admin"
	}
	if cert != "" {
		pair, err := tls.LoadX509KeyPair(filepath.Join(dir, cert+".crt"), filepath.Join(dir, cert+".key"))
		if err != nil {
			f.t.Fatal(err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c
}

// get returns the status and the body of the answer, on a connection of its own.
func (f *fixture) get(path, cert string) (int, string, error) {
	client := &http.Client{
		Transport: &http.Transport{TLSClientConfig: f.tls(cert), DisableKeepAlives: true},
		Timeout:   5 * time.Second,
	}
	resp, err := client.Get("https://" + f.addr + path)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body), err
}

func (f *fixture) want(path, cert string, status int, body string) {
	f.t.Helper()
	gotStatus, gotBody, err := f.get(path, cert)
	if err != nil {
		f.t.Errorf("%s as %q: %v", path, cert, err)
		return
	}
	if gotStatus != status || !strings.Contains(gotBody, body) {
		f.t.Errorf("%s as %q: %d %q, want %d with %q", path, cert, gotStatus, gotBody, status, body)
	}
}

func TestAnswers(t *testing.T) {
	const (
		nobody    = ""
		component = "client-kube-proxy"
		admin     = "client-admin"
		alien     = "alien"
		noEtcd    = "?exclude=etcd&exclude=etcd-readiness"
		only      = "[-]etcd failed: reason withheld"
	)
	type row struct {
		path, cert string
		status     int
		body       string
	}
	tests := []struct {
		mode string
		rows []row
	}{
		{"ready", []row{
			{"/readyz", nobody, 401, `"message": "Unauthorized"`},
			{"/readyz", alien, 401, "Unauthorized"},
			{"/readyz", component, 200, "ok"},
			{"/livez", component, 200, "ok"},
			{"/healthz", admin, 200, "ok"},
			{"/readyz" + noEtcd, component, 200, "ok"},
			{"/readyz?verbose", component, 200, "[+]shutdown ok\nreadyz check passed\n"},
			{"/readyz?verbose&exclude=nonsense", component, 200, `no matches for "nonsense"`},
			{"/readyz/etcd", nobody, 401, ""},
			{"/readyz/etcd", component, 403, `User \"system:kube-proxy\" cannot get path \"/readyz/etcd\"`},
			{"/readyz/etcd", admin, 200, "ok"},
			{"/readyz/nonsense", admin, 404, ""},
			{"/ping", nobody, 200, "pong"},
			{"/ping", alien, 200, "pong"},
			{"/cacerts", nobody, 200, "BEGIN CERTIFICATE"},
			{"/version", nobody, 401, ""},
			{"/version", component, 200, "gitVersion"},
			{"/api", nobody, 401, ""},
			{"/metrics", component, 200, ""},
			{"/", nobody, 200, "node1\n"},
		}},
		{"starting", []row{
			{"/ping", nobody, 503, "starting"},
			{"/readyz", nobody, 503, "starting"},
			{"/readyz", component, 503, "starting"},
			{"/", nobody, 503, "starting"},
		}},
		{"missing", []row{
			{"/ping", nobody, 200, "pong"},
			{"/readyz", nobody, 401, ""},
			{"/readyz", component, 404, ""},
			{"/", nobody, 404, ""},
		}},
		{"booting", []row{
			{"/ping", nobody, 200, "pong"},
			{"/readyz", nobody, 401, ""},
			{"/readyz", component, 500, "[-]poststarthook/rbac/bootstrap-roles failed: reason withheld\n"},
			{"/readyz" + noEtcd, component, 500, "readyz check failed\n"},
			{"/", nobody, 500, ""},
		}},
		{"etcd-lost", []row{
			{"/readyz" + noEtcd, component, 200, "ok"},
			{"/livez?exclude=etcd", component, 200, "ok"},
			{"/readyz", nobody, 401, ""},
			{"/version", component, 200, ""},
			{"/", nobody, 200, "node1"},
		}},
		{"etcd-lost-fast", []row{
			{"/readyz", component, 500, only},
			{"/readyz", component, 500, "[-]etcd-readiness failed: reason withheld"},
			{"/readyz?exclude=etcd", component, 500, "[+]etcd excluded: ok\n[-]etcd-readiness failed"},
			{"/livez", component, 500, only},
			{"/readyz/etcd", admin, 500, "internal server error"},
			{"/readyz" + noEtcd, component, 200, "ok"},
		}},
		{"unready", []row{
			{"/readyz", component, 500, "readyz check failed\n"},
			{"/livez", component, 500, "livez check failed\n"},
			{"/readyz" + noEtcd, component, 500, "[+]etcd excluded: ok"},
			{"/ping", nobody, 200, ""},
		}},
		{"status 401", []row{{"/readyz", component, 401, "Unauthorized"}, {"/ping", nobody, 200, ""}}},
		{"status 403", []row{{"/readyz", component, 403, "Forbidden"}, {"/readyz", nobody, 401, ""}}},
		{"status 503", []row{{"/readyz", component, 503, "starting"}}},
	}
	f := startServer(t, Ready, 1)
	f.awaitReady()
	for _, tt := range tests {
		t.Run(tt.mode, func(t *testing.T) {
			f := *f
			f.t = t
			f.set(tt.mode)
			for _, r := range tt.rows {
				f.want(r.path, r.cert, r.status, r.body)
			}
		})
	}
}

func TestEtcdLostAnswersLate(t *testing.T) {
	t.Parallel()
	f := startServer(t, Ready, 1)
	f.awaitReady()
	f.set(string(EtcdLost))
	began := time.Now()
	status, body, err := f.get("/readyz", "client-kube-proxy")
	if err != nil || status != 500 || strings.Count(body, "[-]") != 1 || !strings.Contains(body, "[-]etcd failed") {
		t.Errorf("got %d %q %v, want 500 with etcd alone failed", status, body, err)
	}
	if took := time.Since(began); took < etcdTimeout {
		t.Errorf("answered after %v, want %v", took, etcdTimeout)
	}
}

func TestStartGoesThroughThePhases(t *testing.T) {
	t.Parallel()
	f := startServer(t, Start, 1)
	order := map[Kind]int{Refused: 0, Starting: 1, Missing: 2, Booting: 3, Ready: 4}
	seen := map[Kind]bool{}
	last, failing := 0, len(hooks())+1
	for deadline := time.Now().Add(20 * time.Second); !seen[Ready]; {
		if time.Now().After(deadline) {
			t.Fatal("not ready after 20 s")
		}
		status, body, err := f.get("/readyz", "client-kube-proxy")
		kind := seenAs(status, err)
		if order[kind] < last {
			t.Fatalf("%s after a later phase", kind)
		}
		last, seen[kind] = order[kind], true
		if kind != Booting {
			continue
		}
		n := strings.Count(body, "[-]")
		if n > failing || n == 0 {
			t.Fatalf("%d failed checks, %d before", n, failing)
		}
		failing = n
	}
	// Missing lasts for milliseconds: it may pass between two requests.
	for _, kind := range []Kind{Refused, Starting, Booting} {
		if !seen[kind] {
			t.Errorf("never %s", kind)
		}
	}
}

// seenAs returns the phase that shows itself in an answer to /readyz.
func seenAs(status int, err error) Kind {
	switch {
	case err != nil:
		return Refused
	case status == 503:
		return Starting
	case status == 404:
		return Missing
	case status == 500:
		return Booting
	}
	return Ready
}

func TestHangAcceptsAndAnswersLater(t *testing.T) {
	t.Parallel()
	f := startServer(t, Ready, 1)
	f.awaitReady()
	old := f.watch()
	f.set("hang")
	fresh := f.dial()
	if err := fresh.SetDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := fresh.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("plain port answered: %v", err)
	}
	answer := make(chan int)
	go func() { status, _, _ := f.get("/readyz", "client-admin"); answer <- status }()
	select {
	case status := <-answer:
		t.Errorf("answered %d while it hangs", status)
	case <-time.After(100 * time.Millisecond):
	}
	f.set("ready")
	if status := <-answer; status != 200 {
		t.Errorf("answered %d afterwards, want 200", status)
	}
	if err := old.SetReadDeadline(time.Now().Add(10 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := old.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("idle connection did not survive: %v", err)
	}
}

func TestStopHangsThenResets(t *testing.T) {
	stops := map[string]func(f *fixture){
		"on command": func(f *fixture) { f.set("stop") },
		"at the end": func(f *fixture) { f.end() },
	}
	for name, stop := range stops {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := startServer(t, Ready, 1)
			f.awaitReady()
			idle := f.watch()
			began := time.Now()
			stop(f)
			f.await(Hang, Refused)
			open := map[string]net.Conn{"idle": idle}
			late, err := net.Dial("tcp", f.plain)
			if err == nil {
				open["late"] = late
				defer late.Close()
			}
			if err != nil && time.Since(began) < 60*time.Millisecond {
				t.Errorf("while it stops: %v, want a connection", err)
			}
			for name, c := range open {
				if err := c.SetReadDeadline(time.Now().Add(2 * time.Second)); err != nil {
					t.Fatal(err)
				}
				if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
					t.Errorf("%s connection ended with %v, want a reset", name, err)
				}
			}
			if took := time.Since(began); took < 60*time.Millisecond {
				t.Errorf("connections were reset after %v, want 60 ms or more", took)
			}
			if _, err := net.Dial("tcp", f.addr); !errors.Is(err, syscall.ECONNREFUSED) {
				t.Errorf("after the stop: %v, want refused", err)
			}
		})
	}
}

func TestComesBackAfterRefused(t *testing.T) {
	t.Parallel()
	f := startServer(t, Ready, 0.01)
	f.awaitReady()
	f.set("refused")
	if _, err := net.Dial("tcp", f.addr); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("got %v, want refused", err)
	}
	f.set("hang")
	c := f.dial()
	f.set("ready")
	name, err := bufio.NewReader(c).ReadString('\n')
	if err != nil || name != "node1\n" {
		t.Errorf("plain port says %q, %v", name, err)
	}
	f.want("/readyz", "client-admin", 200, "ok")
}

func TestSlow(t *testing.T) {
	t.Parallel()
	f := startServer(t, Ready, 1)
	f.awaitReady()
	f.set("slow 100ms")
	began := time.Now()
	f.want("/readyz", "client-admin", 200, "ok")
	if took := time.Since(began); took < 100*time.Millisecond {
		t.Errorf("answered after %v, want 100 ms or more", took)
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	f := startServer(t, Ready, 1)
	f.awaitReady()
	tests := []struct {
		name    string
		version uint16
		ok      bool
	}{
		{"1.1", tls.VersionTLS11, false}, {"1.2", tls.VersionTLS12, true}, {"1.3", tls.VersionTLS13, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := f.tls("")
			c.MinVersion, c.MaxVersion = tt.version, tt.version
			c.NextProtos = []string{"h2", "http/1.1"}
			conn, err := tls.Dial("tcp", f.addr, c)
			if (err == nil) != tt.ok {
				t.Fatalf("handshake: %v", err)
			}
			if err != nil {
				return
			}
			defer conn.Close()
			if p := conn.ConnectionState().NegotiatedProtocol; p != "" {
				t.Errorf("negotiated %q, want no ALPN", p)
			}
		})
	}
}

func TestControl(t *testing.T) {
	t.Parallel()
	f := startServer(t, Ready, 1)
	f.awaitReady()
	path := filepath.Join(t.TempDir(), "control.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- f.ServeControl(ctx, l) }()

	control := Control{Path: path}
	steps := []struct {
		set, want Mode
		fails     bool
	}{
		{set: Mode{Kind: EtcdLost}, want: Mode{Kind: EtcdLost}},
		{set: Mode{Kind: Status, Status: 503}, want: Mode{Kind: Status, Status: 503}},
		{set: Mode{Kind: "nonsense"}, fails: true},
		{set: Mode{Kind: Stop}, want: Mode{Kind: Hang}},
	}
	for _, s := range steps {
		got, err := control.SetMode(t.Context(), s.set)
		if (err != nil) != s.fails {
			t.Errorf("%s: error %v", s.set, err)
		}
		if diff := cmp.Diff(s.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", s.set, diff)
		}
	}
	if _, err := control.Mode(t.Context()); err != nil {
		t.Error(err)
	}
	cancel()
	if err := <-served; err != nil {
		t.Error(err)
	}
	if _, err := control.Mode(t.Context()); err == nil {
		t.Error("answers after its end")
	}
}

func TestCannotListen(t *testing.T) {
	t.Parallel()
	s := New(Options{
		Mode:   Mode{Kind: Ready},
		Listen: func() (net.Listener, error) { return nil, syscall.EADDRINUSE },
	})
	if err := s.Run(t.Context()); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("got %v", err)
	}
}

// dial opens a connection to the plain port.
func (f *fixture) dial() net.Conn {
	f.t.Helper()
	c, err := net.Dial("tcp", f.plain)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { c.Close() })
	return c
}

// watch opens an idle request and reads the node's name from it.
func (f *fixture) watch() net.Conn {
	f.t.Helper()
	c, err := tls.Dial("tcp", f.addr, f.tls(""))
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { c.Close() })
	if _, err := io.WriteString(c, "GET /watch HTTP/1.1\r\nHost: node1\r\n\r\n"); err != nil {
		f.t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		f.t.Fatal(err)
	}
	name := make([]byte, len("node1\n"))
	if _, err := io.ReadFull(resp.Body, name); err != nil || string(name) != "node1\n" {
		f.t.Fatalf("watch says %q: %v", name, err)
	}
	return c
}
