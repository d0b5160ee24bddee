package main

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/vipd/vipd/test/lab"
)

func TestVersionOf(t *testing.T) {
	committed := time.Date(2026, 11, 22, 15, 23, 34, 0, time.UTC)
	for described, want := range map[string]release{
		"1f52baf":                      {version: "0.0.0~git20261122152334.1f52baf"},
		"1f52baf-dirty":                {version: "0.0.0~git20261122152334.1f52baf.dirty"},
		"v1.2.3-0-g1f52baf":            {version: "1.2.3", tagged: true},
		"v1.2.3-0-g1f52baf-dirty":      {version: "1.2.3.dirty"},
		"v1.2.3-5-g1f52baf":            {version: "1.2.3+git20261122152334.1f52baf"},
		"v1.3.0-rc.1-0-g1f52baf":       {version: "1.3.0~rc.1", tagged: true},
		"v1.3.0-rc.1-2-g1f52baf-dirty": {version: "1.3.0~rc.1+git20261122152334.1f52baf.dirty"},
	} {
		got := versionOf(described, committed)
		if got != want {
			t.Errorf("%s: %+v, want %+v", described, got, want)
		}
		if err := valid(got.version); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []string{"", "v1.2.3", "1.2-3", "1.2 3", "1.2/3"} {
		if valid(bad) == nil {
			t.Errorf("%q is taken for a version", bad)
		}
	}
}

// TestOrder asks dpkg and rpm whether each of these is an upgrade of the one before.
func TestOrder(t *testing.T) {
	order := []string{
		"0.0.0~git20261122152334.f52ba1f",
		"0.0.0~git20261122152334.f52ba1f.dirty",
		"0.0.0~git20261122152335.0f52baf",
		"0.1.0",
		"1.3.0~rc.1",
		"1.3.0~rc.1+git20261122152334.1f52baf",
		"1.3.0~rc.2",
		"1.3.0~rc.10",
		"1.3.0",
		"1.3.0+git20261122152334.9f52baf",
		"1.3.0+git20261122152336.1f52baf",
		"1.3.1",
		"1.10.0",
	}
	for _, tool := range []string{"dpkg", "rpm"} {
		if _, err := exec.LookPath(tool); err != nil {
			lab.Miss(t, tool+": run make deps")
		}
	}
	for i, newer := range order[1:] {
		older := order[i]
		if err := exec.Command("dpkg", "--compare-versions", older, "lt", newer).Run(); err != nil {
			t.Errorf("dpkg: %s is no upgrade of %s", newer, older)
		}
		out, err := exec.Command("rpm", "--eval", fmt.Sprintf("%%{lua:print(rpm.vercmp(%q, %q))}", older, newer)).Output()
		if err != nil || strings.TrimSpace(string(out)) != "-1" {
			t.Errorf("rpm: %s is no upgrade of %s: %s %v", newer, older, out, err)
		}
	}
}
