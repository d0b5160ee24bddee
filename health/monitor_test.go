package health

import (
	"context"
	"errors"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vipd/vipd/vrrp"
)

// patience is how long a test waits for what must come.
const patience = 10 * time.Second

// watched is a Monitor that runs, and what it reports.
type watched struct {
	*Monitor
	t       *testing.T
	updates chan Update
}

// watch runs a Monitor of the checks until the test, or stop, ends it.
func watch(t *testing.T, opts Options, checks ...Check) (w *watched, stop func()) {
	t.Helper()
	w = &watched{t: t, updates: make(chan Update, 1000)}
	opts.Report = func(u Update) { w.updates <- u }
	m, err := New(checks, opts)
	if err != nil {
		t.Fatal(err)
	}
	w.Monitor = m
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	stop = func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		done <- nil
	}
	t.Cleanup(stop)
	return w, stop
}

// until waits for an update that is as wanted.
func (w *watched) until(what string, wanted func(Update) bool) Update {
	w.t.Helper()
	deadline := time.After(patience)
	var last Update
	for {
		select {
		case last = <-w.updates:
			if wanted(last) {
				return last
			}
		case <-deadline:
			w.t.Fatalf("no update that is %s; the last: %+v", what, last)
		}
	}
}

func (w *watched) untilGrade(g vrrp.Grade) Update {
	w.t.Helper()
	return w.until(g.String(), func(u Update) bool { return u.Verdict.Grade == g })
}

func TestNewRefuses(t *testing.T) {
	times := Check{Interval: time.Second, Timeout: time.Second, ReadyTimeout: time.Second, Fall: 1, Rise: 1}
	with := func(change func(*Check)) []Check {
		c := times
		change(&c)
		return []Check{c}
	}
	tests := []struct {
		name   string
		checks []Check
		want   string
	}{
		{"no checks", nil, "no checks: use one of type none to be ready always"},
		{"type", with(func(c *Check) { c.Type = "icmp" }), `check 1 (icmp): unknown type "icmp"`},
		{"url", with(func(c *Check) { c.Type, c.URL = "k3s", "http://127.0.0.1" }),
			`check 1 (k3s http://127.0.0.1): url "http://127.0.0.1" is not https://host:port`},
		{"address", with(func(c *Check) { c.Type, c.Address = "tcp", "127.0.0.1" }), `check 1 (tcp 127.0.0.1): address "127.0.0.1" is not host:port`},
		{"command", with(func(c *Check) { c.Type = "exec" }), "check 1 (exec): command is missing"},
		{"unit", with(func(c *Check) { c.Type = "systemd" }), "check 1 (systemd): unit is missing"},
		{"timeout", with(func(c *Check) { c.Type, c.Address, c.Timeout = "tcp", "127.0.0.1:22", 0 }),
			"check 1 (tcp 127.0.0.1:22): interval and timeouts must be positive"},
		{"fall", with(func(c *Check) { c.Type, c.Address, c.Fall = "tcp", "127.0.0.1:22", 0 }),
			"check 1 (tcp 127.0.0.1:22): fall and rise must be 1 or more"},
		{"the second one", append([]Check{{Type: "none"}}, Check{Type: "x"}), `check 2 (x): unknown type "x"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := New(tt.checks, Options{})
			if err == nil || err.Error() != tt.want {
				t.Errorf("New: %v, want %s", err, tt.want)
			}
		})
	}
}

func TestBeforeTheFirstAnswer(t *testing.T) {
	m, err := New([]Check{{Type: "none"}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := Verdict{
		Grade: vrrp.Down, Cause: "starting: no answer yet", Hold: time.Second,
		Checks: []CheckStatus{{Type: "none", Name: "none", Grade: vrrp.Down, Cause: "no answer yet"}},
	}
	if diff := cmp.Diff(want, m.Verdict()); diff != "" {
		t.Errorf("verdict (-want +got):\n%s", diff)
	}
}

// none costs nothing while nobody asks, and answers at once.
func TestNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, stop := watch(t, Options{}, Check{Type: typeNone})
		defer stop()
		w.untilGrade(vrrp.Ready)
		time.Sleep(time.Hour)
		if n := len(w.updates); n != 0 {
			t.Errorf("%d updates although nobody asked", n)
		}
		asked := time.Now()
		w.ProbeNow()
		u := w.untilGrade(vrrp.Ready)
		if u.Began.Before(asked) || u.Observed != vrrp.Ready {
			t.Errorf("observed %v by a probe that began at %v, want ready at %v", u.Observed, u.Began, asked)
		}
	})
}

func TestSystemd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tell := make(chan Unit)
		opts := Options{WatchUnit: func(_ context.Context, unit string, f func(Unit)) error {
			if unit != "haproxy.service" {
				t.Errorf("watches %s", unit)
			}
			for u := range tell {
				f(u)
			}
			return errors.New("connection to D-Bus lost")
		}}
		w, stop := watch(t, opts, Check{Type: typeSystemd, Unit: "haproxy.service", Interval: time.Hour, Timeout: time.Second, Fall: 3, Rise: 2})
		defer stop()
		for _, step := range []struct {
			unit Unit
			want string
		}{
			{Unit{}, "systemd haproxy.service down: systemd does not know haproxy.service"},
			{Unit{ActiveState: "activating"}, "systemd haproxy.service down: haproxy.service is activating"},
			{Unit{ActiveState: "active"}, "ready"},
			{Unit{ActiveState: "active", Dead: true, Exit: "killed by signal 9"}, "systemd haproxy.service down: haproxy.service: killed by signal 9"},
		} {
			time.Sleep(time.Second)
			tell <- step.unit
			synctest.Wait()
			if got := w.Verdict().Cause; got != step.want {
				t.Errorf("%+v: cause %q, want %q", step.unit, got, step.want)
			}
		}
		time.Sleep(time.Second)
		close(tell)
		synctest.Wait()
		if got := w.Verdict().Cause; !strings.HasSuffix(got, "connection to D-Bus lost") {
			t.Errorf("cause %q", got)
		}
	})
}

// A hung probe keeps none of the next ones waiting, and no more than a bounded
// number wait.
func TestHungProbesOverlap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := Check{Interval: 500 * time.Millisecond, Timeout: 3 * time.Second}
		p := newProbe(Alive, c.Timeout, c.inFlight(c.Timeout), func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		})
		r, results, start := newRunner(0, c), make(chan Result, 100), time.Now()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			r.loop(ctx, []probe{p}, results)
		}()
		for range 20 { // asked for all the time besides
			time.Sleep(10 * time.Millisecond)
			r.wake()
		}
		time.Sleep(3*time.Second - 201*time.Millisecond)
		if n := len(p.slots); n != 8 {
			t.Errorf("%d probes wait for an answer, want 8", n)
		}
		time.Sleep(2 * time.Millisecond)
		if got := <-results; got.Began != start || got.Latency != c.Timeout {
			t.Errorf("began at %v, took %v; want the first to fail at its timeout", got.Began.Sub(start), got.Latency)
		}
		cancel()
		<-done
	})
}

// rarely is a check whose interval is so long that whatever the test sees came
// about without it.
func (c *cluster) rarely() Check {
	check := c.check()
	check.Interval, check.Rise = time.Hour, 1
	return check
}

func TestDeathIsSeenAtOnce(t *testing.T) {
	c := newCluster(t, answers(200, "ok")).start()
	w, _ := watch(t, Options{}, c.rarely())
	w.untilGrade(vrrp.Ready)

	died := time.Now()
	c.server.Listener.Close()
	c.server.CloseClientConnections()
	u := w.untilGrade(vrrp.Down)
	if want := "api down: connection refused: nothing listens on " + c.server.Listener.Addr().String(); u.Verdict.Cause != want {
		t.Errorf("cause %q, want %q", u.Verdict.Cause, want)
	}
	t.Logf("seen after %v", time.Since(died))
}

func TestClosedConnectionIsLookedInto(t *testing.T) {
	c := newCluster(t, answers(200, "ok")).start()
	w, _ := watch(t, Options{}, c.rarely())
	w.untilGrade(vrrp.Ready)

	closed := time.Now()
	c.server.CloseClientConnections()
	u := w.until("a fresh probe", func(u Update) bool { return u.Began.After(closed) && u.Observed == vrrp.Ready })
	t.Logf("looked into after %v", u.Began.Sub(closed))
	if u.Verdict.Grade != vrrp.Ready {
		t.Errorf("%v: %s", u.Verdict.Grade, u.Verdict.Cause)
	}
}

// A server that closes each connection after its answer does not make the agent
// busy.
func TestClosedConnectionsDoNotLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := Check{Interval: 500 * time.Millisecond, Timeout: time.Second}
		r, results := newRunner(0, c), make(chan Result, 100)
		ask := func(context.Context) error {
			r.hangup()
			return nil
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			r.loop(ctx, []probe{newProbe(Alive, c.Timeout, 10, ask)}, results)
		}()
		for interval := range 3 {
			time.Sleep(c.Interval - time.Nanosecond)
			if n, want := len(results), (interval+1)*(1+rushes); n != want {
				t.Errorf("%d rounds in %d intervals, want %d", n, interval+1, want)
			}
			time.Sleep(time.Nanosecond)
			synctest.Wait()
		}
		cancel()
		<-done
	})
}

func TestHangThenDown(t *testing.T) {
	hang := make(chan struct{})
	hung := make(chan struct{})
	c := newCluster(t, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-hang:
			<-hung
		default:
		}
	}).start()
	defer close(hung)
	check := c.check()
	check.Interval, check.Timeout, check.ReadyTimeout = 50*time.Millisecond, 400*time.Millisecond, 800*time.Millisecond
	w, _ := watch(t, Options{}, check)
	w.untilGrade(vrrp.Ready)

	began := time.Now()
	close(hang)
	u := w.untilGrade(vrrp.Down)
	if want := "api down: no answer from /readyz?exclude=etcd within 400ms"; u.Verdict.Cause != want {
		t.Errorf("cause %q, want %q", u.Verdict.Cause, want)
	}
	// One after the other, three probes would take 1.2 s.
	if took := time.Since(began); took > time.Second {
		t.Errorf("found after %v", took)
	}
}

// K3s is installed and started after the agent, and renews its certificates.
func TestFilesAreReadAgain(t *testing.T) {
	c := newCluster(t, nil)
	c.server.Config.Handler = http.HandlerFunc(c.authenticated)
	c.start()
	ca := c.files.path("server-ca.crt")
	remove(t, ca)
	check := c.check()
	check.Interval = 20 * time.Millisecond
	w, _ := watch(t, Options{}, check)

	u := w.until("settled", func(u Update) bool { return u.Verdict.Settled })
	if want := "api down: " + ca + " is missing"; !strings.HasPrefix(u.Verdict.Cause, want) {
		t.Errorf("cause %q, want %q", u.Verdict.Cause, want)
	}
	c.files.write("server-ca.crt", c.serverCA.pem())
	w.untilGrade(vrrp.Ready)

	// The CA changes under a server that stays, and whose connections stay open.
	renewed := newAuthority(t, "client-ca 2")
	c.clients.Store(renewed)
	u = w.untilGrade(vrrp.Down)
	if !strings.HasPrefix(u.Verdict.Cause, "api down: 401 unauthorized") {
		t.Errorf("cause %q", u.Verdict.Cause)
	}
	c.files.writeClient(renewed, "client-kube-proxy", time.Now().Add(time.Hour))
	w.untilGrade(vrrp.Ready)
}

func TestUnitOfK3s(t *testing.T) {
	c := newCluster(t, answers(200, "ok")).start()
	check := c.rarely()
	check.Unit = "k3s.service"
	tell := make(chan Unit)
	w, _ := watch(t, Options{WatchUnit: func(ctx context.Context, _ string, f func(Unit)) error {
		for {
			select {
			case u := <-tell:
				f(u)
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}}, check)
	w.untilGrade(vrrp.Ready)
	tell <- Unit{ActiveState: "active", MainPID: 812}
	tell <- Unit{ActiveState: "active", MainPID: 812, Dead: true, Exit: "process 812 exited"}
	u := w.untilGrade(vrrp.Down)
	if want := "api down: process 812 exited"; u.Verdict.Cause != want {
		t.Errorf("cause %q, want %q", u.Verdict.Cause, want)
	}
	if !u.Unit.Dead || u.Unit.MainPID != 812 {
		t.Errorf("unit %+v", u.Unit)
	}
}

// Without systemd only the probe counts.
func TestUnitCannotBeWatched(t *testing.T) {
	c := newCluster(t, answers(200, "ok")).start()
	check := c.rarely()
	check.Unit = "k3s.service"
	w, _ := watch(t, Options{}, check)
	if u := w.untilGrade(vrrp.Ready); u.Unit != (Unit{}) {
		t.Errorf("unit %+v", u.Unit)
	}
}

func TestHTTPS(t *testing.T) {
	c := newCluster(t, nil)
	c.server.Config.Handler = http.HandlerFunc(c.authenticated)
	c.start()
	good := Check{Type: typeHTTPS, URL: c.server.URL + "/healthz?verbose", Interval: time.Second, Timeout: time.Second, Fall: 1, Rise: 1,
		CAFile: c.files.path("server-ca.crt"), CertFile: c.files.path("client-kube-proxy.crt"), KeyFile: c.files.path("client-kube-proxy.key")}
	tests := []struct {
		name   string
		change func(*Check)
		want   string
	}{
		{"good", func(*Check) {}, ""},
		{"no client certificate", func(c *Check) { c.CertFile = "" }, "401 unauthorized: it asks for a client certificate"},
		{"401 expected", func(c *Check) { c.CertFile, c.ExpectStatus = "", 401 }, ""},
		{"other status expected", func(c *Check) { c.ExpectStatus = 204 }, "/healthz?verbose: status 200"},
		{"system's authorities", func(c *Check) { c.CAFile = "" }, "the certificate of " + c.server.Listener.Addr().String() +
			" is not signed by an authority that this system trusts: another server, or another cluster's files?"},
		{"any server", func(c *Check) { c.CAFile, c.InsecureSkipVerify = "", true }, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			check := good
			tt.change(&check)
			if diff := cmp.Diff([]string{tt.want}, ask(t, check)); diff != "" {
				t.Errorf("failure (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTCP(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	check := Check{Type: typeTCP, Address: l.Addr().String(), Interval: time.Hour, Timeout: time.Second, Fall: 3, Rise: 1}
	w, _ := watch(t, Options{}, check)
	w.untilGrade(vrrp.Ready)
	l.Close()
	w.ProbeNow()
	u := w.untilGrade(vrrp.Down)
	if want := check.String() + " down: connection refused: nothing listens on " + check.Address; u.Verdict.Cause != want {
		t.Errorf("cause %q, want %q", u.Verdict.Cause, want)
	}
}

// When Run returns, all that it started has ended, also with dials and probes
// under way.
func TestRunLeavesNothing(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := newCluster(t, func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery == "" {
			<-r.Context().Done()
		}
	}).start()
	check := c.check()
	check.Interval, check.ReadyTimeout = 20*time.Millisecond, time.Minute
	mute := check
	mute.URL, mute.Timeout = "https://"+l.Addr().String(), time.Minute

	before := runtime.NumGoroutine()
	w, stop := watch(t, Options{}, check, mute)
	for range 20 {
		w.until("an answer", func(Update) bool { return true })
	}
	stop()
	c.server.CloseClientConnections() // the server's own goroutines
	deadline := time.Now().Add(patience)
	for runtime.NumGoroutine() > before+1 { // net/http keeps one for the listener of the test
		if time.Now().After(deadline) {
			buf := make([]byte, 1<<16)
			t.Fatalf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before, buf[:runtime.Stack(buf, true)])
		}
		runtime.Gosched()
	}
}

// TestProbeNowIsShared: the routers of a node ask within a moment of each other, and
// each wants a probe that began after it asked.
func TestProbeNowIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var rounds []time.Time
		c := Check{Type: typeTCP, Interval: time.Hour, Timeout: time.Second, Fall: 1, Rise: 1}
		p := newProbe(Alive, c.Timeout, 3, func(context.Context) error { rounds = append(rounds, time.Now()); return nil })
		r, results := newRunner(0, c), make(chan Result, 100)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); r.loop(ctx, []probe{p}, results) }()
		synctest.Wait()
		var asked time.Time
		for range 32 {
			r.refresh()
			asked = time.Now()
			time.Sleep(50 * time.Microsecond)
		}
		time.Sleep(time.Second)
		cancel()
		<-done
		if len(rounds) != 2 || rounds[1].Before(asked) || rounds[1].Sub(asked) > gathering {
			t.Errorf("rounds at %v, the last asked at %v: want one at the start and one within %v of that", rounds, asked, gathering)
		}
	})
}
