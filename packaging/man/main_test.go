// Package man_test holds the manual pages to what they describe.
package man_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/vipd/vipd/test/lab"
)

// binary is vipd, built by TestMain.
var binary string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "vipd-man-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		binary = filepath.Join(dir, "vipd")
		if out, err := exec.Command("go", "build", "-o", binary, "github.com/vipd/vipd/cmd/vipd").CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build vipd: %v: %s\n", err, out)
			return 1
		}
		return m.Run()
	}())
}

// outcome is what a command line came to.
type outcome struct {
	code           int
	stdout, stderr string
}

// vipd runs a command line in the directory dir.
func vipd(t *testing.T, dir string, args ...string) outcome {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary, args...)
	cmd.Dir = dir
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return outcome{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

func TestPagesAreClean(t *testing.T) {
	if _, err := exec.LookPath("mandoc"); err != nil {
		lab.Miss(t, "mandoc: run make deps")
	}
	for _, name := range []string{"vipd.8", "vipd.toml.5"} {
		out, err := exec.CommandContext(t.Context(), "mandoc", "-Tlint", "-Wwarning", name).CombinedOutput()
		if err != nil || len(out) > 0 {
			t.Errorf("%v\n%s", err, out)
		}
	}
}
