package lab

import (
	"os"
	"os/exec"
	"testing"
)

// Require skips the test, saying why, unless it runs contained (see test/contain)
// and with the tools it names. In CI such a skip is a failure.
func Require(t testing.TB, tools ...string) {
	t.Helper()
	if os.Getenv("VIPD_CONTAINED") == "" {
		Miss(t, "network namespaces: run it through test/contain (make test does)")
	}
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			Miss(t, tool+": run make deps")
		}
	}
}

// Miss skips the test because something is not there that it needs, and says what.
// In CI such a skip is a failure.
func Miss(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf("cannot run in CI, where a skip is a failure: needs %s", what)
	}
	t.Skip("SKIP: needs " + what)
}

// NewTest makes a lab that is removed when the test ends.
func NewTest(t testing.TB, tools ...string) *Lab {
	t.Helper()
	Require(t, tools...)
	l, err := New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}
