package health

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vipd/vipd/test/lab"
)

// cluster is one server as K3s runs it: an API behind TLS, and the files that
// its clients find beside it.
type cluster struct {
	serverCA, clientCA *authority
	clients            atomic.Pointer[authority] // whose clients are let in
	files              k3sFiles
	server             *httptest.Server
	conns              atomic.Int64 // connections accepted so far
}

// newCluster starts a server that asks h. Its certificate is good and its
// clients' are verified as the API server does: without one it is 401.
func newCluster(t testing.TB, h http.HandlerFunc) *cluster {
	t.Helper()
	c := &cluster{serverCA: newAuthority(t, "server-ca"), clientCA: newAuthority(t, "client-ca"), files: newK3sFiles(t)}
	c.clients.Store(c.clientCA)
	c.files.write("server-ca.crt", c.serverCA.pem())
	c.files.writeClient(c.clientCA, "client-kube-proxy", time.Now().Add(time.Hour))
	c.server = httptest.NewUnstartedServer(h)
	c.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	c.server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			c.conns.Add(1)
		}
	}
	c.server.TLS = &tls.Config{
		ClientAuth:   tls.RequestClientCert,
		Certificates: []tls.Certificate{c.serverCA.pair("server", time.Now().Add(time.Hour), net.IPv4(127, 0, 0, 1))},
		MinVersion:   tls.VersionTLS12,
	}
	t.Cleanup(func() { c.server.CloseClientConnections(); c.server.Close() })
	return c
}

func (c *cluster) start() *cluster {
	c.server.StartTLS()
	c.server.TLS.NextProtos = nil
	return c
}

func (c *cluster) check() Check {
	return Check{
		Type: typeK3s, URL: "https://" + c.server.Listener.Addr().String(), DataDir: c.files.dir,
		Interval: 500 * time.Millisecond, Timeout: 750 * time.Millisecond, ReadyTimeout: 3 * time.Second, Fall: 3, Rise: 2,
	}
}

// ask asks both of the check's questions once and returns the failures, "" for none,
// by question.
func ask(t testing.TB, c Check) []string {
	t.Helper()
	probes, closeAll := newRunner(0, c).probes(t.Context())
	defer closeAll()
	return askAll(t, probes)
}

func askAll(t testing.TB, probes []probe) []string {
	t.Helper()
	failures := make([]string, 2)
	for p := &probes[0]; p != nil; p = p.second {
		if err := p.ask(t.Context()); err != nil {
			failures[p.question] = err.Error()
		}
	}
	if probes[0].second == nil {
		return failures[:1]
	}
	return failures
}

// TestK3sAsksOnce: a server that says at once that it is ready is not asked
// whether it lives; one that is not, or is slow to say so, is.
func TestK3sAsksOnce(t *testing.T) {
	slow := func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery == "" {
			select {
			case <-r.Context().Done():
			case <-time.After(4 * headStart):
			}
		}
		answers(200, "ok")(w, r)
	}
	for name, tt := range map[string]struct {
		handler http.HandlerFunc
		want    map[Question]int
	}{
		"ready":     {answers(200, "ok"), map[Question]int{Ready: 1}},
		"not ready": {answers(500, "no"), map[Question]int{Ready: 1, Alive: 1}},
		"slow":      {slow, map[Question]int{Ready: 1, Alive: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRunner(0, newCluster(t, tt.handler).start().check())
			probes, closeAll := r.probes(t.Context())
			defer closeAll()
			askAll(t, probes) // from here on there are connections
			var wg sync.WaitGroup
			results := make(chan Result, 2)
			r.start(t.Context(), &wg, probes[0], time.Now(), results)
			wg.Wait()
			close(results)
			got := make(map[Question]int)
			for res := range results {
				got[res.Question]++
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("questions asked (-want +got):\n%s", diff)
			}
		})
	}
}

// answers answers each request the same.
func answers(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

func TestK3sAnswers(t *testing.T) {
	const alive = "/readyz?exclude=etcd"
	tests := []struct {
		name    string
		handler http.HandlerFunc
		want    []string
	}{
		{"ready", answers(200, "ok"), []string{"", ""}},
		{"starting", answers(503, "starting\n"), []string{alive + ": status 503: starting", "/readyz: status 503: starting"}},
		{"not served yet", answers(404, "404 page not found\n"), []string{
			"404 not found: " + alive + " is not served, or not yet", "404 not found: /readyz is not served, or not yet"}},
		{"hooks of the start", answers(500, "[+]ping ok\n[-]poststarthook/a failed: not finished\n[-]b failed: reason withheld\n[-]c failed: x\n[-]d failed: x\nreadyz check failed\n"),
			[]string{alive + ": poststarthook/a, b, c and 1 more failed", "/readyz: poststarthook/a, b, c and 1 more failed"}},
		{"etcd lost", func(w http.ResponseWriter, r *http.Request) {
			if strings.Join(r.URL.Query()["exclude"], ",") == "etcd,etcd-readiness" {
				return
			}
			answers(500, "[+]ping ok\n[-]etcd failed: reason withheld\nreadyz check failed\n")(w, r)
		}, []string{"", "/readyz: etcd failed"}},
		{"error of another kind", answers(500, "\x1b[31mout of memory\x07"), []string{
			alive + ": status 500: [31mout of memory", "/readyz: status 500: [31mout of memory"}},
		{"hangs up", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, []string{
			"the server closed the connection without an answer", "the server closed the connection without an answer"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newCluster(t, tt.handler).start()
			if diff := cmp.Diff(tt.want, ask(t, c.check())); diff != "" {
				t.Errorf("failures (-want +got):\n%s", diff)
			}
		})
	}
}

// authenticated answers as an API server that knows its clients' CA.
func (c *cluster) authenticated(w http.ResponseWriter, r *http.Request) {
	certs := r.TLS.PeerCertificates
	if len(certs) == 0 || certs[0].CheckSignatureFrom(c.clients.Load().cert) != nil || time.Now().After(certs[0].NotAfter) {
		w.WriteHeader(http.StatusUnauthorized)
	}
}

func TestK3sCredentials(t *testing.T) {
	yesterday := time.Now().Add(-24 * time.Hour)
	tests := []struct {
		name string
		make func(t *testing.T, c *cluster)
		want string // %[1]s: the directory of certificates, %[2]s: the server's address
	}{
		{"accepted", func(*testing.T, *cluster) {}, ""},
		{"other CA", func(t *testing.T, c *cluster) {
			c.files.writeClient(newAuthority(t, "other"), "client-kube-proxy", time.Now().Add(time.Hour))
		}, "401 unauthorized: the client certificate %[1]sclient-kube-proxy.crt is not accepted: does it belong to this server?"},
		{"expired", func(_ *testing.T, c *cluster) {
			c.files.writeClient(c.clientCA, "client-kube-proxy", yesterday)
		}, "401 unauthorized: the client certificate %[1]sclient-kube-proxy.crt expired on " + day(yesterday) + ": restart the server to renew it"},
		{"no rights", func(_ *testing.T, c *cluster) {
			c.server.Config.Handler = answers(403, "")
		}, "403 forbidden: the certificate %[1]sclient-kube-proxy.crt may not read /readyz"},
		{"CA missing", func(t *testing.T, c *cluster) { remove(t, c.files.path("server-ca.crt")) },
			"%[1]sserver-ca.crt is missing: the server has not been started yet, or the path is wrong"},
		{"CA empty", func(_ *testing.T, c *cluster) { c.files.write("server-ca.crt", nil) },
			"%[1]sserver-ca.crt holds no certificate"},
		{"client certificates missing", func(t *testing.T, c *cluster) { remove(t, c.files.path("client-kube-proxy.key")) },
			"%[1]sclient-kube-proxy.key is missing: the server has not been started yet, or the path is wrong"},
		{"the next one is taken", func(t *testing.T, c *cluster) {
			remove(t, c.files.path("client-kube-proxy.key"))
			c.files.writeClient(c.clientCA, "client-admin", time.Now().Add(time.Hour))
		}, ""},
		{"damaged", func(_ *testing.T, c *cluster) { c.files.write("client-kube-proxy.crt", []byte("x")) },
			"%[1]sclient-kube-proxy.crt and its key cannot be used: tls: failed to find any PEM data in certificate input"},
		{"server of another cluster", func(t *testing.T, c *cluster) { c.files.write("server-ca.crt", newAuthority(t, "other").pem()) },
			"the certificate of %[2]s is not signed by %[1]sserver-ca.crt: another server, or another cluster's files?"},
		{"serving certificate expired", func(_ *testing.T, c *cluster) {
			c.server.TLS.Certificates = []tls.Certificate{c.serverCA.pair("server", yesterday, net.IPv4(127, 0, 0, 1))}
		}, "the certificate of %[2]s is valid from " + day(yesterday.Add(-365*24*time.Hour)) + " to " + day(yesterday) + " only: look at the clock, or restart the server to renew it"},
		{"serving certificate for another address", func(_ *testing.T, c *cluster) {
			c.server.TLS.Certificates = []tls.Certificate{c.serverCA.pair("server", time.Now().Add(time.Hour), net.IPv4(198, 51, 100, 1))}
		}, "the certificate of %[2]s is not for 127.0.0.1: use a url that it names"},
		{"refused in the handshake", func(t *testing.T, c *cluster) {
			c.server.TLS.ClientAuth, c.server.TLS.ClientCAs = tls.RequireAndVerifyClientCert, newAuthority(t, "other").pool()
		}, "the server refuses the TLS connection (tls: unknown certificate authority): the client certificate %[1]sclient-kube-proxy.crt is not accepted: does it belong to this server?"},
		{"refused in the handshake, TLS 1.2", func(t *testing.T, c *cluster) {
			c.server.TLS.ClientAuth, c.server.TLS.ClientCAs = tls.RequireAndVerifyClientCert, newAuthority(t, "other").pool()
			c.server.TLS.MaxVersion = tls.VersionTLS12
		}, "the server refuses the TLS connection (tls: unknown certificate authority): the client certificate %[1]sclient-kube-proxy.crt is not accepted: does it belong to this server?"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newCluster(t, nil)
			c.server.Config.Handler = http.HandlerFunc(c.authenticated)
			tt.make(t, c)
			c.start()
			want := tt.want
			if strings.Contains(want, "%") {
				want = fmt.Sprintf(want+"%.0[1]s%.0[2]s", c.files.path("")+"/", c.server.Listener.Addr())
			}
			if diff := cmp.Diff(want, ask(t, c.check())[Ready]); diff != "" {
				t.Errorf("failure (-want +got):\n%s", diff)
			}
		})
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

// Root may read everything: it plays this as nobody, in a process of its own.
func TestK3sUnreadableKey(t *testing.T) {
	if os.Geteuid() == 0 {
		// By its path others may not get at the program, which is in root's directory.
		cmd := exec.Command("/proc/self/exe", "-test.run=^TestK3sUnreadableKey$", "-test.v")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		out, err := cmd.CombinedOutput()
		if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.EPERM) {
			lab.Miss(t, "another user than root, as whom to run: "+err.Error()) // in a user namespace
		}
		t.Logf("%s", out)
		if err != nil || !bytes.Contains(out, []byte("--- PASS: TestK3sUnreadableKey")) {
			t.Errorf("as nobody: %v", err)
		}
		return
	}
	c := newCluster(t, answers(200, "ok")).start()
	if err := os.Chmod(c.files.path("client-kube-proxy.key"), 0); err != nil {
		t.Fatal(err)
	}
	want := c.files.path("client-kube-proxy.key") + " may not be read: run vipd as root"
	if diff := cmp.Diff(want, ask(t, c.check())[Alive]); diff != "" {
		t.Errorf("failure (-want +got):\n%s", diff)
	}
}

func TestK3sUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	c := newCluster(t, answers(200, "ok")).start()
	check := c.check()
	check.URL, check.Timeout, check.ReadyTimeout = "https://"+addr, 20*time.Millisecond, 30*time.Millisecond

	t.Run("accepts and never answers", func(t *testing.T) {
		want := []string{"no answer from /readyz?exclude=etcd within 20ms", "no answer from /readyz within 30ms"}
		if diff := cmp.Diff(want, ask(t, check)); diff != "" {
			t.Errorf("failures (-want +got):\n%s", diff)
		}
	})
	l.Close()
	t.Run("refused", func(t *testing.T) {
		want := "connection refused: nothing listens on " + addr
		if diff := cmp.Diff([]string{want, want}, ask(t, check)); diff != "" {
			t.Errorf("failures (-want +got):\n%s", diff)
		}
	})
	t.Run("not TLS", func(t *testing.T) {
		plain := httptest.NewServer(answers(200, "ok"))
		defer plain.Close()
		check.URL, check.Timeout = "https://"+plain.Listener.Addr().String(), time.Second
		want := plain.Listener.Addr().String() + " does not speak TLS: another program listens there"
		if diff := cmp.Diff(want, ask(t, check)[Alive]); diff != "" {
			t.Errorf("failure (-want +got):\n%s", diff)
		}
	})
}

// TestK3sKeepsConnections: rounds after the first make no connection.
func TestK3sKeepsConnections(t *testing.T) {
	c := newCluster(t, answers(200, "ok")).start()
	probes, closeAll := newRunner(0, c.check()).probes(t.Context())
	defer closeAll()
	for range 5 {
		if diff := cmp.Diff([]string{"", ""}, askAll(t, probes)); diff != "" {
			t.Fatalf("failures (-want +got):\n%s", diff)
		}
	}
	if n := c.conns.Load(); n != 2 {
		t.Errorf("5 rounds took %d connections, want 2", n)
	}
}

func FuzzFailedChecks(f *testing.F) {
	f.Add([]byte("[+]ping ok\n[-]etcd failed: reason withheld\nreadyz check failed\n"))
	f.Add([]byte("[-]\n[-] \n[-]\x1b[31m failed\r\n"))
	f.Fuzz(func(t *testing.T, body []byte) {
		names := failedChecks(body)
		for _, text := range append(names, firstLine(body)) {
			if len([]rune(text)) > maxName+1 || strings.ContainsAny(text, "\n\r\x1b\x00") {
				t.Errorf("%q is not fit to be printed", text)
			}
		}
		if len(names) > strings.Count(string(body), "[-]") {
			t.Errorf("%d names out of %q", len(names), body)
		}
		enumerate(names)
	})
}

// BenchmarkK3sRound is one round of the k3s check over warm connections,
// together with the server's share.
func BenchmarkK3sRound(b *testing.B) {
	c := newCluster(b, answers(200, "ok")).start()
	probes, closeAll := newRunner(0, c.check()).probes(b.Context())
	defer closeAll()
	b.ReportAllocs()
	for b.Loop() {
		for _, p := range probes {
			if err := p.ask(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	}
}
