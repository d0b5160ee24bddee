package control

import (
	"bytes"
	"encoding/json"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

const schemaFile = "../../docs/status.schema.json"

// TestSchemaFields holds each type against its definition, so that no field is
// forgotten in either: names, and which of them are always there.
func TestSchemaFields(t *testing.T) {
	var schema struct {
		Defs map[string]struct {
			Properties map[string]any `json:"properties"`
			Required   []string       `json:"required"`
		} `json:"$defs"`
	}
	text, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	for name, document := range map[string]any{
		"status": Status{}, "health": Health{}, "check": Check{}, "router": Router{}, "peer": Peer{}, "session": Session{},
		"event": Event{}, "result": Result{}, "failure": Failure{},
	} {
		t.Run(name, func(t *testing.T) {
			def, ok := schema.Defs[name]
			if !ok {
				t.Fatal("not in the schema")
			}
			var all, required []string
			for f := range reflect.TypeOf(document).Fields() {
				field, options, _ := strings.Cut(f.Tag.Get("json"), ",")
				all = append(all, field)
				if !strings.HasPrefix(options, "omit") {
					required = append(required, field)
				}
			}
			var properties []string
			for p := range def.Properties {
				properties = append(properties, p)
			}
			slices.Sort(all)
			slices.Sort(properties)
			if diff := cmp.Diff(all, properties); diff != "" {
				t.Errorf("fields (-type +schema):\n%s", diff)
			}
			if diff := cmp.Diff(required, def.Required); diff != "" {
				t.Errorf("always there (-type +schema):\n%s", diff)
			}
		})
	}
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
			err := schema(t, tt.def).Validate(decoded(t, tt.document))
			if (err != nil) != tt.bad {
				t.Errorf("error %v, want one: %v", err, tt.bad)
			}
		})
	}
}

// schema compiles a definition of the schema; "": the status.
func schema(t *testing.T, def string) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	where := schemaFile
	if def != "" {
		where += "#/$defs/" + def
	}
	s, err := c.Compile(where)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// decoded returns the document as a client sees it.
func decoded(t *testing.T, document any) any {
	t.Helper()
	text, err := json.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return v
}
