package e2e

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// With RECORD=1, make e2e copies its report into the documentation.
var record = flag.Bool("record", false, "copy the report into docs/install.md")

// scenarios are all of them, in the order in which they run.
func scenarios() []scenario {
	return slices.Concat(agentScenarios(), configScenarios(), packageScenarios(), unitScenarios(), dropInScenarios(), doctorScenarios(), hookScenarios(), k3sScenarios(), outageScenarios(),
		machineScenarios(), networkScenarios(), partitionScenarios())
}

// TestEndToEnd installs vipd on three machines and plays the scenarios on them, one
// after the other.
func TestEndToEnd(t *testing.T) {
	s := newSite(t)
	out := s.setUp(t)
	for _, sc := range scenarios() {
		if !s.play(t, sc, out) {
			t.Fatal("the site did not get back to normal: the other scenarios were not run")
		}
	}
	if *record && !t.Failed() {
		must(t, out.copyInto("../../docs/install.md"))
	}
}

// setUp boots the machines, installs K3s and vipd, and looks at the result as a client.
func (s *site) setUp(t *testing.T) *report {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	must(t, s.boot(ctx))
	must(t, s.installK3s(ctx))
	began := time.Now()
	if err := s.install(ctx, t); err != nil {
		s.tell(t, began)
		t.Fatal(err)
	}
	caption, err := s.caption(ctx)
	must(t, err)
	out, err := newReport("../../bin/e2e/report.md", caption)
	must(t, err)
	look := scenario{
		name:   "installed as the README says",
		fault:  func(*trial) {},
		limits: limits{gap: 100 * time.Millisecond},
	}
	if !s.play(t, look, out) {
		t.FailNow()
	}
	return out
}

// caption says what ran where.
func (s *site) caption(ctx context.Context) (string, error) {
	out, err := s.nodes[0].Run(ctx, "sh", "-euc", `vipd version; systemctl --version | head -n 1; uname -r; nproc`)
	if err != nil {
		return "", err
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	return fmt.Sprintf("%s: %s, %s, Linux %s, %s processors; a connection each %v, given up after %v.",
		time.Now().Format(time.DateOnly), lines[0], lines[1], lines[2], lines[3], clientInterval, clientTimeout), nil
}
