package watch_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vipd/vipd/test/cluster"
	"github.com/vipd/vipd/test/lab"
	"github.com/vipd/vipd/watch"
)

// patience is how long an event is waited for.
const patience = 20 * time.Second

// watching is a vipd watch that runs on a node.
type watching struct {
	t    *testing.T
	cmd  *exec.Cmd
	done chan struct{}

	mu     sync.Mutex
	events []watch.Event
	stderr bytes.Buffer
}

func start(t *testing.T, n *lab.Node, bin string, args ...string) *watching {
	t.Helper()
	w := &watching{t: t, cmd: exec.Command(bin, append([]string{"watch", "--json"}, args...)...), done: make(chan struct{})}
	w.cmd.Stderr = &w.stderr
	out, err := w.cmd.StdoutPipe()
	must(t, err)
	must(t, n.Start(w.cmd))
	go func() {
		defer close(w.done)
		for dec := json.NewDecoder(out); ; {
			var e watch.Event
			if dec.Decode(&e) != nil {
				break
			}
			w.mu.Lock()
			w.events = append(w.events, e)
			w.mu.Unlock()
		}
		_ = w.cmd.Wait()
	}()
	t.Cleanup(func() { _ = w.cmd.Process.Kill(); <-w.done })
	w.await("the start", func(e watch.Event) bool { return e.Kind == watch.KindStart })
	return w
}

// stop ends it as Ctrl-C does and returns all that it saw.
func (w *watching) stop() []watch.Event {
	w.t.Helper()
	must(w.t, w.cmd.Process.Signal(syscall.SIGINT))
	<-w.done
	if code := w.cmd.ProcessState.ExitCode(); code != 0 {
		w.t.Errorf("exit %d: %s", code, &w.stderr)
	}
	return w.events
}

func (w *watching) await(what string, is func(watch.Event) bool) watch.Event {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	var found watch.Event
	must(w.t, cluster.Until(ctx, what, func() error {
		w.mu.Lock()
		defer w.mu.Unlock()
		i := slices.IndexFunc(w.events, is)
		if i < 0 {
			return fmt.Errorf("not among %d events", len(w.events))
		}
		found = w.events[i]
		return nil
	}))
	return found
}

func none(t *testing.T, events []watch.Event, kind watch.Kind) {
	t.Helper()
	for _, e := range events {
		if e.Kind == kind {
			t.Errorf("%s: %s", kind, e.Text)
		}
	}
}

func newCluster(t *testing.T, servers int, tools ...string) (*lab.Lab, *cluster.Cluster, cluster.Binaries) {
	t.Helper()
	l := lab.NewTest(t, tools...)
	bin, err := cluster.Build(t.TempDir())
	must(t, err)
	c, err := cluster.New(l, cluster.Options{Binaries: bin, Dir: t.TempDir(), Servers: servers, Log: t.Output(), Launcher: cluster.RealTime()})
	must(t, err)
	t.Cleanup(func() { must(t, c.Close()) })
	for _, s := range c.Servers {
		must(t, s.StartAPI("ready"))
	}
	return l, c, bin
}

// A VIP that moves between agents is no conflict, and what was recorded is what tshark reads.
func TestAgents(t *testing.T) {
	_, c, bin := newCluster(t, 2, "tshark")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for _, s := range c.Servers {
		must(t, s.StartAgent())
	}
	must(t, c.Settled(ctx))
	second := c.Servers[1]
	file := filepath.Join(t.TempDir(), "wire.pcap")
	w := start(t, second.Node, bin.Vipd, "--config", second.ConfigPath(), "--write", file)
	plain := start(t, c.Client, bin.Vipd, "--config", "/nonexistent", "--interface", lab.Interface)

	e := w.await("the first server's advertisement", from("198.51.100.11"))
	if a := e.Advert; a.Priority != 250 || a.Grade != "ready" || a.Interval != "250ms" || a.VIP != "k3s" || a.Checksum != "pseudo-header" || a.Refused != "" || e.Own {
		t.Errorf("%+v", a)
	}
	_, err := c.Servers[0].Vipd("drain", "--wait")
	must(t, err)
	if e := w.await("its own advertisement", from("198.51.100.12")); !e.Own || e.Refused != "" {
		t.Errorf("%+v %+v", e, e.Advert)
	}
	for _, x := range []*watching{w, plain} {
		x.await("an announcement", func(e watch.Event) bool {
			return e.Kind == watch.KindAnnouncement && e.Address == cluster.VIP4.String() && e.At == macOf(t, second.Node)
		})
	}
	_, err = c.Servers[0].Vipd("resume")
	must(t, err)
	must(t, cluster.Until(ctx, "the VIP to come back", func() error {
		if h, err := c.Holder(ctx); err != nil || h != c.Servers[0] {
			return fmt.Errorf("%v, %w", h, err)
		}
		return nil
	}))
	for _, s := range c.Servers {
		must(t, s.SignalAgent(syscall.SIGTERM))
	}
	for _, x := range []*watching{w, plain} {
		if e := x.await("silence", func(e watch.Event) bool { return e.Kind == watch.KindSilence }); !strings.Contains(e.Text, "was the last") {
			t.Error(e.Text)
		}
		all := x.stop()
		none(t, all, watch.KindConflict)
		end := all[len(all)-1]
		if end.Kind != watch.KindEnd || end.Adverts < 4 || end.Announcements < 2 || end.Refusals != 0 || end.Dropped != 0 {
			t.Errorf("%+v %+v", end, end.Total)
		}
	}
	sameAs(t, file, w.events)
}

// sameAs compares what tshark reads in the recording with the events.
func sameAs(t *testing.T, file string, events []watch.Event) {
	t.Helper()
	out, err := exec.Command("tshark", "-r", file, "-Y", "vrrp", "-T", "fields", "-e", "frame.time_epoch", "-e", "vrrp.prio").Output()
	must(t, err)
	var want []string
	for _, e := range events {
		if e.Kind == watch.KindAdvertisement {
			want = append(want, fmt.Sprintf("%d.%09d\t%d", e.Time.Unix(), e.Time.Nanosecond(), e.Priority))
		}
	}
	if got := strings.Split(strings.TrimSpace(string(out)), "\n"); !slices.Equal(got, want) {
		t.Errorf("tshark reads %d advertisements, shown were %d: %q, %q", len(got), len(want), got[0], want[0])
	}
}

// keepalived with version 2 beside an agent: both are Active, and it is said why. It
// advertises once and no more, for what it drops puts off its own; but it announces.
func TestKeepalivedVersion2(t *testing.T) {
	l, c, bin := newCluster(t, 1, "keepalived")
	peer, err := l.Add("peer", netip.MustParsePrefix("198.51.100.21/24"))
	must(t, err)
	server := c.Servers[0]
	must(t, server.StartAgent())
	w := start(t, server.Node, bin.Vipd, "--config", server.ConfigPath())
	w.await("its own advertisement", from("198.51.100.11"))
	keepalived(t, peer)

	e := w.await("keepalived's advertisement", from("198.51.100.21"))
	if e.Version != 2 || e.Refused != "version-errors" || !strings.Contains(e.Why, "vrrp_version 3") || !slices.Equal(e.Addresses, []string{cluster.VIP4.String()}) {
		t.Errorf("%+v", e.Advert)
	}
	e = w.await("two with the address", func(e watch.Event) bool { return e.Kind == watch.KindConflict && e.About == cluster.VIP4.String() })
	if !slices.Contains(e.Stations, macOf(t, peer)) || !slices.Contains(e.Stations, macOf(t, server.Node)) {
		t.Errorf("%+v", e.Conflict)
	}
	w.stop()
}

func keepalived(t *testing.T, n *lab.Node) {
	t.Helper()
	dir := t.TempDir()
	conf := filepath.Join(dir, "keepalived.conf")
	text := fmt.Sprintf("vrrp_instance k3s {\n state BACKUP\n interface %s\n virtual_router_id 51\n priority 150\n advert_int 1\n virtual_ipaddress {\n  %s\n }\n}\n",
		lab.Interface, cluster.VIP4)
	must(t, os.WriteFile(conf, []byte(text), 0o644))
	cmd := exec.Command("keepalived", "--dont-fork", "--log-console", "--vrrp", "--use-file", conf, "--pid", filepath.Join(dir, "pid"), "--vrrp_pid", filepath.Join(dir, "vrrp.pid"))
	cmd.Stdout, cmd.Stderr = t.Output(), t.Output()
	must(t, n.Start(cmd))
	t.Cleanup(func() { must(t, cmd.Process.Signal(syscall.SIGTERM)); _ = cmd.Wait() })
}

// One agent signs and the other does not: they refuse each other, and go on.
func TestTwoActives(t *testing.T) {
	_, c, bin := newCluster(t, 2)
	key := filepath.Join(t.TempDir(), "key")
	must(t, os.WriteFile(key, bytes.Repeat([]byte("k"), 32), 0o600))
	signing := cluster.DefaultConfig(c.Servers[0]) + fmt.Sprintf("[auth]\nanti_replay = \"monotonic\"\nkeys = [{ id = 7, file = %q }]\n", key)
	must(t, c.Servers[0].Reconfigure(signing))
	must(t, c.Servers[0].RestartAgent())
	must(t, c.Servers[1].StartAgent())
	w := start(t, c.Servers[0].Node, bin.Vipd, "--config", c.Servers[0].ConfigPath())
	other := start(t, c.Servers[1].Node, bin.Vipd, "--config", c.Servers[1].ConfigPath())
	blind := start(t, c.Client, bin.Vipd, "--config", "/nonexistent", "--interface", lab.Interface)

	for name, tt := range map[string]struct {
		in       *watching
		src      string
		refused  string
		verified bool
	}{
		"its own":               {w, "198.51.100.11", "", true},
		"the other's":           {w, "198.51.100.12", "auth-missing", false},
		"as the other sees it":  {other, "198.51.100.11", "auth-unexpected", false},
		"as a stranger sees it": {blind, "198.51.100.11", "", false},
	} {
		e := tt.in.await(name, from(tt.src))
		if signed := tt.src == "198.51.100.11"; e.Refused != tt.refused || e.Verified != tt.verified || e.Signed != signed || signed != (e.KeyID == 7) {
			t.Errorf("%s: %+v", name, e.Advert)
		}
	}
	for _, x := range []*watching{w, other, blind} {
		e := x.await("two Actives", func(e watch.Event) bool { return e.Kind == watch.KindConflict && e.About == "VRID 51" })
		if !slices.Equal(e.Stations, []string{"198.51.100.11", "198.51.100.12"}) {
			t.Errorf("%+v %s", e.Conflict, e.Text)
		}
	}
}

func TestIPv6(t *testing.T) {
	_, c, bin := newCluster(t, 1)
	server := c.Servers[0]
	must(t, server.Reconfigure(server.CheckConfig()+fmt.Sprintf("[[vip]]\naddresses = [%q]\nvrid = 61\n", cluster.VIP6)))
	all := []*watching{
		start(t, server.Node, bin.Vipd, "--config", server.ConfigPath()),
		start(t, c.Client, bin.Vipd, "--config", "/nonexistent", "--interface", lab.Interface, "--vrid", "61"),
	}
	must(t, server.RestartAgent())
	for _, w := range all {
		e := w.await("an advertisement", func(e watch.Event) bool { return e.Kind == watch.KindAdvertisement })
		if e.Family != "IPv6" || e.Refused != "" || e.Checksum != "ok" || len(e.Notices) > 0 || e.Destination != "ff02::12" {
			t.Errorf("%+v", e.Advert)
		}
		e = w.await("an announcement", func(e watch.Event) bool { return e.Kind == watch.KindAnnouncement })
		if e.Address != cluster.VIP6.String() || e.Form != watch.Neighbour {
			t.Errorf("%+v", e.Announcement)
		}
	}
}

// Where nothing is heard, that is said; --count without enough is a failure.
func TestSilence(t *testing.T) {
	_, c, bin := newCluster(t, 1)
	server := c.Servers[0]
	out, err := server.Node.Run(bin.Vipd, "watch", "--config", "/nonexistent", "--interface", lab.Interface, "--duration", "4s", "--count", "1")
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("%v", err)
	}
	for _, want := range []string{"without /nonexistent", "nothing heard for 3s on eth0 (any VRID): nobody is Active here", "advertisements: 0", "heard only 0 of 1 packets"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q lacks %q", out, want)
		}
	}
}

func TestRefusedPlaces(t *testing.T) {
	_, c, bin := newCluster(t, 1)
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"no interface":     {[]string{"--interface", "eth7"}, "there is no interface eth7"},
		"loopback":         {[]string{"--interface", "lo"}, "lo is no Ethernet interface"},
		"no default route": {nil, "there is no default route"},
		"file is there":    {[]string{"--interface", lab.Interface, "--write", "/dev/null"}, "/dev/null exists"},
	} {
		out, err := c.Client.Run(bin.Vipd, append([]string{"watch", "--config", "/nonexistent"}, tt.args...)...)
		if err == nil || !strings.Contains(out, tt.want) {
			t.Errorf("%s: %v, %q", name, err, out)
		}
	}
	out, err := c.Client.Run("setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw", bin.Vipd, "watch", "--config", "/nonexistent", "--interface", lab.Interface)
	if err == nil || !strings.Contains(out, "CAP_NET_RAW is missing") {
		t.Errorf("%v, %q", err, out)
	}
}

func from(src string) func(watch.Event) bool {
	return func(e watch.Event) bool { return e.Kind == watch.KindAdvertisement && e.Source == src }
}

func macOf(t *testing.T, n *lab.Node) string {
	t.Helper()
	link, err := n.Netlink().LinkByName(lab.Interface)
	must(t, err)
	return link.Attrs().HardwareAddr.String()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
