package control

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestMain(m *testing.M) {
	time.Local = time.UTC // the golden files show local times
	os.Exit(m.Run())
}

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func before(d time.Duration) time.Time { return now.Add(-d) }

// router4 is a Backup of a cluster that is well.
func router4() Router {
	active := Peer{Address: "198.51.100.2", Priority: 250, Grade: "ready", LastHeard: before(120 * time.Millisecond)}
	return Router{
		VIP: "k3s", Family: "IPv4", VRID: 51, Interface: "eth0", Addresses: []string{"198.51.100.100"},
		State: "Backup", Since: before(26 * time.Hour), Cause: "started", Grade: "ready", Priority: 200, Configured: 200,
		Source: "198.51.100.1", AdvertInterval: Duration(250 * time.Millisecond), Active: &active, ActiveSince: before(2 * time.Hour), Peers: []Peer{active},
		Counters: map[string]uint64{"advertisement-rcvd": 7},
	}
}

func server(grade, cause string) Health {
	return Health{
		Grade: grade, Settled: true, Cause: cause, Since: before(3 * time.Minute), PreemptHold: Duration(time.Second),
		Checks: []Check{{Type: "k3s", Name: "k3s https://127.0.0.1:6443", Grade: grade, Cause: cause, Since: before(3 * time.Minute),
			Latency: Duration(2340 * time.Microsecond)}},
	}
}

func status(h Health, routers ...Router) Status {
	return Status{Version: "1.0.0", Node: "k3s1", Started: before(50 * time.Hour), Health: h, Routers: routers}
}

// states are documents as an agent answers with them.
var states = func() map[string]Status {
	active := router4()
	active.State, active.Holding, active.Since, active.Cause = "Active", true, before(61*time.Second), "198.51.100.2 fell silent"
	active.Active = &Peer{Address: "198.51.100.1", Priority: 200, Grade: "ready", LastHeard: before(10 * time.Millisecond)}

	unfit := router4()
	unfit.Grade, unfit.Priority = "degraded", 62
	unfit.Peers = append(unfit.Peers, Peer{Address: "198.51.100.3", Priority: 0, Grade: "leaving", LastHeard: before(9 * time.Second)})
	flapping := server("degraded", "api: etcd has no leader")
	flapping.PreemptHold = Duration(8 * time.Second)

	well := server("ready", "")
	well.Cause = "ready" // as an agent says it

	bare := active
	bare.Holding, bare.Grade, bare.Priority = false, "down", 1
	bare.Problems = []string{"cannot put the addresses on the interface: no permission"}
	v6 := router4()
	v6.Family, v6.State, v6.Interface, v6.Active, v6.Peers, v6.Since = "IPv6", "Initialize", "", nil, nil, before(time.Hour)
	v6.Addresses = []string{"2001:db8::100", "2001:db8::101", "2001:db8::102"}
	v6.Cause, v6.Problems = "starting", []string{"waiting for interface eth9, which does not exist: check the name (ip link)"}
	drained := status(server("down", "api: connection refused"), bare, v6)
	drained.Drained = true
	drained.Moves = []Event{story[1], story[2]}
	drained.Problems = []string{"the clock is not synchronised"}

	announced := Router{
		VIP: "routed", Family: "IPv4", Mode: "bgp", Standing: "leaving", Interface: "lo", Addresses: []string{"203.0.113.100"}, State: "Active",
		Since: before(time.Hour), Cause: "ready", Holding: true, Grade: "down", Priority: 200, Configured: 200, Peers: []Peer{}, Counters: map[string]uint64{},
	}
	routed := status(server("ready", ""), announced)
	routed.Sessions = []Session{
		{Peer: "198.51.100.1", AS: 64600, State: "Established", Since: before(time.Hour), Source: "198.51.100.11", RouterID: "198.51.100.1",
			HoldTime: Duration(3 * time.Second), Routes: 1, BFD: "up", Counters: map[string]uint64{"established": 1}},
		{Peer: "198.51.100.2", AS: 4200000000, State: "Idle", Since: before(time.Minute), Counters: map[string]uint64{}, Problem: "it expects another AS"},
	}

	return map[string]Status{
		"routed": routed,
		"backup": status(server("ready", ""), router4()), "active": status(well, active),
		"degraded": status(flapping, unfit), "drained": drained, "starting": status(Health{Grade: "down", Cause: "starting: no answer yet"}),
	}
}()

// story is a history.
var story = []Event{
	{Time: before(time.Hour), Kind: KindHealth, From: "unknown", To: "ready", Cause: ""},
	{Time: before(59 * time.Minute), Kind: KindTransition, VIP: "k3s", Family: "IPv4", VRID: 51, From: "Initialize", To: "Backup", Code: "startup", Cause: "started"},
	{Time: before(58 * time.Minute), Kind: KindTransition, VIP: "k3s", Family: "IPv4", VRID: 51, From: "Backup", To: "Active", Code: "silence",
		Cause: "198.51.100.2 fell silent", Peer: "198.51.100.2", Gap: Duration(812345 * time.Microsecond)},
	{Time: before(time.Minute), Kind: KindConflict, VIP: "k3s", Family: "IPv4", VRID: 51, Cause: "198.51.100.100 is also claimed by the station with MAC 02:00:00:00:00:01"},
	{Time: before(1500 * time.Millisecond), Kind: KindDrain, Cause: "drained by the operator"},
}

func TestWriteStatus(t *testing.T) {
	for name, s := range states {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			if err := s.WriteText(&b, now, Plain()); err != nil {
				t.Fatal(err)
			}
			golden(t, "status-"+name, b.Bytes())
		})
	}
}

func TestWriteStatusColored(t *testing.T) {
	var b bytes.Buffer
	if err := states["drained"].WriteText(&b, now, Colored()); err != nil {
		t.Fatal(err)
	}
	golden(t, "status-colored", bytes.ReplaceAll(b.Bytes(), []byte("\x1b"), []byte("ESC")))
}

// What comes from elsewhere gives a terminal no orders.
func TestWriteUnprintable(t *testing.T) {
	const evil = "\x1b[2J\nx\u009b"
	s := status(server("down", evil), router4())
	s.Problems, s.Routers[0].Problems = []string{evil}, []string{evil}
	s.Moves = []Event{{Kind: KindTransition, Cause: evil}}
	var b bytes.Buffer
	if err := errors.Join(s.WriteText(&b, now, Plain()), WriteHistory(&b, s.Moves, Plain())); err != nil {
		t.Fatal(err)
	}
	if text := b.String(); strings.ContainsAny(text, "\x1b\u009b") || strings.Contains(text, "\nx") {
		t.Errorf("%q", text)
	}
}

func TestWriteHistory(t *testing.T) {
	for name, events := range map[string][]Event{"history": story, "history-empty": nil} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			if err := WriteHistory(&b, events, Plain()); err != nil {
				t.Fatal(err)
			}
			golden(t, name, b.Bytes())
		})
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("(-want +got), go test -update writes it anew:\n%s", diff)
	}
}

func TestDuration(t *testing.T) {
	for text, want := range map[string]Duration{"250ms": Duration(250 * time.Millisecond), "0s": 0, "1m0s": Duration(time.Minute)} {
		var d Duration
		if err := d.UnmarshalText([]byte(text)); err != nil || d != want {
			t.Errorf("%s: %v, %v", text, d, err)
		}
		if got, err := d.MarshalText(); err != nil || string(got) != text {
			t.Errorf("%s comes back as %s, %v", text, got, err)
		}
	}
	if err := new(Duration).UnmarshalText([]byte("soon")); err == nil {
		t.Error("no error")
	}
}
