package agent

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vipd/vipd/agent/control"
	"github.com/vipd/vipd/health"
	"github.com/vipd/vipd/vrrp"
)

// A handover ends when K3s has been away and is back, and not before.
func TestHandover(t *testing.T) {
	ready, down := health.Verdict{Grade: vrrp.Ready, Settled: true}, health.Verdict{Grade: vrrp.Down, Settled: true}
	runs := health.Unit{ActiveState: "active", MainPID: 812}
	type seen struct {
		verdict health.Verdict
		unit    health.Unit
	}
	for _, tt := range []struct {
		name string
		seen []seen
		on   bool
	}{
		{"nothing has happened yet", []seen{{ready, runs}, {ready, runs}}, true},
		{"stopping", []seen{{ready, runs}, {ready, health.Unit{ActiveState: "deactivating", MainPID: 812}}}, true},
		{"stopped and started", []seen{{ready, runs}, {ready, health.Unit{ActiveState: "deactivating", MainPID: 812}}, {ready, runs}}, false},
		{"the process was replaced at once", []seen{{ready, health.Unit{ActiveState: "active", MainPID: 812, Dead: true}}, {ready, runs}}, false},
		{"starting, not ready yet", []seen{{down, runs}, {down, runs}}, true},
		{"starting, ready before systemd knows", []seen{{down, runs}, {ready, health.Unit{ActiveState: "activating", MainPID: 813}}}, true},
		{"a probe alone tells", []seen{{ready, health.Unit{}}, {down, health.Unit{}}, {ready, health.Unit{}}}, false},
		{"a new monitor knows nothing yet", []seen{{health.Verdict{Grade: vrrp.Down}, runs}, {ready, runs}}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var h handover
			if !h.begin() || h.begin() {
				t.Error("it does not begin just once")
			}
			for _, s := range tt.seen {
				h.observe(s.verdict, s.unit)
			}
			if h.on() != tt.on {
				t.Errorf("on: %v, want %v", h.on(), tt.on)
			}
			if h.end() != tt.on {
				t.Errorf("there was not what to end, or there was")
			}
		})
	}
}

// The drain that comes with a stop of K3s and the operator's do not end each other.
func TestDrainsOfTwoKinds(t *testing.T) {
	wired(t)
	n := start(t, oneVIP)
	n.active("k3s", "198.51.100.100")
	untilReady, byOperator := control.DrainOptions{UntilReady: true}, control.DrainOptions{}
	for _, tt := range []struct {
		name     string
		do       func() (control.Result, error)
		priority uint8
		drained  bool
	}{
		{name: "handover", do: func() (control.Result, error) { return n.Drain(t.Context(), untilReady) }, priority: 1},
		{name: "operator too", do: func() (control.Result, error) { return n.Drain(t.Context(), byOperator) }, priority: 1, drained: true},
		{name: "handover over", do: func() (control.Result, error) { return n.Resume(t.Context(), control.ResumeOptions{UntilReady: true}) }, priority: 1, drained: true},
		{name: "handover again", do: func() (control.Result, error) { return n.Drain(t.Context(), untilReady) }, priority: 1, drained: true},
		{name: "the operator's word ends both", do: func() (control.Result, error) { return n.Resume(t.Context(), control.ResumeOptions{}) }, priority: 200},
	} {
		_, err := tt.do()
		must(t, err)
		within(t, time.Second, tt.name, func() bool {
			s := n.status()
			return s.Routers[0].Priority == tt.priority && s.Drained == tt.drained
		})
		// K3s may not be stopped after all: an operator has to see why the node is down.
		handover := strings.HasPrefix(tt.name, "handover") && tt.name != "handover over"
		if p := n.status().Problems; slices.Contains(p, handoverWords) != (handover || tt.name == "operator too") {
			t.Errorf("%s: problems %q", tt.name, p)
		}
	}
}

// When systemd starts a K3s again that has failed, it restarts vipd-handover.service
// too. That is no handover, and not worth a word each time.
func TestNoHandoverWithoutK3s(t *testing.T) {
	runs := health.Unit{ActiveState: "active", MainPID: 812}
	for name, tt := range map[string]struct {
		unit *health.Unit
		away bool
	}{
		"not asked yet":           {nil, false},
		"no systemd":              {&health.Unit{}, false},
		"runs":                    {&runs, false},
		"stopping":                {&health.Unit{ActiveState: "deactivating", MainPID: 812}, false},
		"killed":                  {&health.Unit{ActiveState: "active", MainPID: 812, Dead: true}, true},
		"to be restarted":         {&health.Unit{ActiveState: "activating", SubState: "auto-restart"}, true},
		"failed":                  {&health.Unit{ActiveState: "failed"}, true},
		"starting, not yet ready": {&health.Unit{ActiveState: "activating", SubState: "start", MainPID: 813}, false},
	} {
		t.Run(name, func(t *testing.T) {
			a := &Agent{record: newRecorder(nil)}
			a.unit.Store(tt.unit)
			a.setHandover(true)
			if a.handover.on() == tt.away {
				t.Errorf("handover: %v", a.handover.on())
			}
		})
	}
}
