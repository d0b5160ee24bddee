package control

import (
	"testing"
	"time"

	"github.com/vipd/vipd/test/schema"
)

const schemaFile = "../../docs/status.schema.json"

func TestSchemaFields(t *testing.T) {
	schema.Fields(t, schemaFile, map[string]any{
		"status": Status{}, "health": Health{}, "check": Check{}, "router": Router{}, "peer": Peer{}, "session": Session{},
		"event": Event{}, "result": Result{}, "failure": Failure{},
	})
}

func TestSchemaDocuments(t *testing.T) {
	at := time.Date(2026, 7, 1, 12, 0, 0, 250_000_000, time.UTC)
	peer := Peer{Address: "198.51.100.12", Priority: 200, Grade: "ready", LastHeard: at}
	router := Router{
		VIP: "k3s", Family: "IPv4", VRID: 51, Interface: "eth0", Addresses: []string{"198.51.100.100"}, State: "Backup",
		Since: at, Cause: "started", Grade: "degraded", Priority: 65, Configured: 200, Source: "198.51.100.11",
		AdvertInterval: Duration(250 * time.Millisecond), Active: &peer, ActiveSince: at, Peers: []Peer{peer},
		Counters: map[string]uint64{"advertisement-rcvd": 7}, Problems: []string{"no peer was ever heard"},
	}
	full := Status{
		Version: "1.0.0", Node: "k3s1", Started: at, Drained: true,
		Health: Health{
			Grade: "degraded", Settled: true, Cause: "k3s degraded", Since: at, PreemptHold: Duration(time.Minute),
			Checks: []Check{{Type: "k3s", Name: "k3s https://127.0.0.1:6443", Grade: "degraded", Since: at, Latency: Duration(1500 * time.Microsecond)}},
		},
		Routers: []Router{router}, Problems: []string{"the clock is not synchronised"},
		Moves: []Event{{Time: at, Kind: KindTransition, VIP: "k3s", Family: "IPv4", VRID: 51, From: "Initialize", To: "Backup", Code: "startup", Cause: "started"}},
	}
	starting := Status{
		Version: "1.0.0", Node: "k3s1", Started: at, Routers: []Router{},
		Health: Health{Grade: "down", Since: at, PreemptHold: Duration(time.Second), Checks: []Check{}},
	}
	badState, badVRID := full, full
	badState.Routers = []Router{router}
	badState.Routers[0].State = "Master"
	badVRID.Routers = []Router{router}
	badVRID.Routers[0].VRID = 0
	move := Event{Time: at, Kind: KindTransition, VIP: "k3s", Family: "IPv6", VRID: 51, From: "Backup", To: "Active", Code: "unfit", Cause: "its API server is down", Peer: "fe80::1",
		Gap: Duration(812345 * time.Microsecond)}
	for _, tt := range []struct {
		name     string
		def      string
		document any
		bad      bool
	}{
		{"a full status", "", full, false},
		{"starting", "", starting, false},
		{"an unknown state", "", badState, true},
		{"an impossible VRID", "", badVRID, true},
		{"no lists", "", Status{Version: "1.0.0", Node: "k3s1", Started: at, Health: starting.Health}, true},
		{"a transition", "event", move, false},
		{"a drain", "event", Event{Time: at, Kind: KindDrain, Cause: "drained by the operator"}, false},
		{"a history", "history", []Event{move}, false},
		{"no history yet", "history", []Event{}, false},
		{"a kind of event that there is not", "event", Event{Time: at, Kind: "other"}, true},
		{"a result", "result", Result{Message: "resumed"}, false},
		{"a failure", "failure", Failure{Error: "nothing was changed"}, false},
		{"another document", "failure", Result{Message: "resumed"}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := schema.Validate(t, schemaFile, tt.def, tt.document)
			if (err != nil) != tt.bad {
				t.Errorf("error %v, want one: %v", err, tt.bad)
			}
		})
	}
}
