package agent

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vipd/vipd/agent/control"
)

// hooked is oneVIP with a hook that writes down what it is told.
func hooked(file, name string) string {
	return oneVIP + fmt.Sprintf(`
[[hook]]
on = ["active", "backup", "initialize"]
command = ["/bin/sh", "-c", "echo %s $VIPD_EVENT $VIPD_CODE $VIPD_ADDRESSES $VIPD_INTERFACE $VIPD_PRIORITY >>%s"]
`, name, file)
}

func (n *instance) wrote(file, want string) {
	n.t.Helper()
	within(n.t, 10*time.Second, want, func() bool {
		b, _ := os.ReadFile(file)
		return strings.Contains(string(b), want+"\n")
	})
}

// Hooks run at each change of state, also the last, and again after a restart and for
// what a reload added.
func TestHooksOfAgent(t *testing.T) {
	wired(t)
	file := filepath.Join(t.TempDir(), "out")
	n := start(t, strings.Replace(hooked(file, "first"), "50ms", "250ms", 1))
	n.wrote(file, "first active silence 198.51.100.100 vipd0 200")
	n.cancel()
	<-n.ended
	n.wrote(file, "first initialize shutdown 198.51.100.100 vipd0 200")

	n.opts.Restarting = func() bool { return true }
	n.run()
	n.active("k3s", "198.51.100.100")
	n.stop() // for a restart
	n.run()
	n.wrote(file, "first active resumed 198.51.100.100 vipd0 200")

	n.reload(strings.Replace(hooked(file, "second"), "50ms", "250ms", 1))
	n.opts.Restarting = nil
	n.cancel() // still for a restart, by the options that it was started with
	<-n.ended
	n.run()
	n.wrote(file, "second active resumed 198.51.100.100 vipd0 200")
	n.stop()
	n.wrote(file, "second initialize shutdown 198.51.100.100 vipd0 200")
	b, err := os.ReadFile(file)
	must(t, err)
	if strings.Contains(string(b), "second active silence") || strings.Count(string(b), "first initialize") != 1 {
		t.Errorf("%s", b)
	}
}

// The history has what happened before a restart, and the status the last of it.
func TestHistoryOfAgents(t *testing.T) {
	wired(t)
	n := start(t, strings.Replace(oneVIP, "50ms", "250ms", 1))
	n.active("k3s", "198.51.100.100")
	n.stop()
	n.run()
	n.active("k3s", "198.51.100.100")
	n.opts.Restarting = func() bool { return true }
	n.stop()
	n.run()
	n.active("k3s", "198.51.100.100")
	n.stop()
	n.run()
	n.active("k3s", "198.51.100.100")
	var events []control.Event
	within(t, 2*time.Second, "the last move is in the history", func() bool {
		var err error
		events, err = n.History(t.Context())
		must(t, err)
		resumed := func(e control.Event) bool { return e.Code == "resumed" }
		return slices.ContainsFunc(events, resumed) && slices.ContainsFunc(n.status().Moves, resumed)
	})
	var codes []string
	for _, e := range events {
		if e.Kind != control.KindTransition {
			continue
		}
		codes = append(codes, e.Code)
		if resumed := e.Code == "resumed"; resumed != (e.Gap > 0) || resumed && time.Duration(e.Gap) > 1500*time.Millisecond {
			t.Errorf("gap %v at %s", time.Duration(e.Gap), e.Code)
		}
	}
	const life = "startup silence shutdown"
	if got := strings.Join(codes, " "); got != life+" "+life+" startup silence resumed" {
		t.Errorf("%s", got)
	}
	s := n.status()
	if len(s.Moves) != 5 || s.Moves[4].Code != codes[len(codes)-1] {
		t.Errorf("moves %+v", s.Moves)
	}
	if r := s.Routers[0]; !r.ActiveSince.Equal(r.Since) {
		t.Errorf("Active since %v, in its state since %v", r.ActiveSince, r.Since)
	}
}
