package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// trial runs the tests against mutants.
type trial struct {
	options
	dir string
}

// notices runs the tests with a mutant on, and returns what they say, or "" if
// they see nothing. It ends with the first test that fails.
func (t *trial) notices(number int) (string, error) {
	what, err := t.test(number, "vrrp", t.limit/4, "-test.short")
	if what != "" || err != nil || t.seeds == 0 {
		return what, err
	}
	return t.test(number, "test/sim", t.limit, "-test.run=^TestSeeds$", fmt.Sprintf("-seeds=%d", t.seeds), fmt.Sprintf("-first=%d", t.first))
}

// Some mutants never end. What they may take is counted in KiB of address space, and
// in time of the CPU, which does not depend on what else the machine does.
const (
	memory  = 4 << 20
	maxWait = 20 * time.Minute
)

func (t *trial) test(number int, pkg string, limit time.Duration, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), maxWait)
	defer cancel()
	limited := fmt.Sprintf(`ulimit -v %d; ulimit -t %d; exec "$0" "$@"`, memory, int(limit.Seconds()))
	c := exec.CommandContext(ctx, "sh", append([]string{"-c", limited, program(t.dir, pkg), "-test.failfast", "-test.timeout=0"}, args...)...)
	c.Dir = pkg
	c.Env = append(os.Environ(), fmt.Sprintf("VIPD_MUTANT=%d", number))
	out, err := c.CombinedOutput()
	var failed *exec.ExitError
	switch {
	case err == nil:
		return "", nil
	case ctx.Err() != nil, errors.As(err, &failed) && !failed.Exited():
		return pkg + ": the tests do not end", nil
	case failed != nil:
		return pkg + ": " + firstFailure(string(out)), nil
	}
	return "", fmt.Errorf("run the tests of %s: %w", pkg, err)
}

// firstFailure leaves out what the test framework says before it.
func firstFailure(out string) string {
	for _, line := range strings.Split(out, "\n") {
		if strings.HasPrefix(strings.TrimSpace(line), "--- FAIL") || strings.HasPrefix(line, "panic") {
			return strings.TrimSpace(line) + "\n" + out
		}
	}
	return out
}
