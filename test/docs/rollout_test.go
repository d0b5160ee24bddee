package docs_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vipd/vipd/agent/control"
	"github.com/vipd/vipd/test/cluster"
)

// TestRollout does on three servers what docs/security.md says about turning
// authentication on and about changing a key, in that order, one server after the
// other. Nothing may move, and nobody may be refused. The agents hold their clock for
// synchronised: else none would claim anything, whatever the keys.
func TestRollout(t *testing.T) {
	t.Parallel()
	binaries, err := cluster.Build(t.TempDir())
	must(t, err)
	binaries.Vipd, err = cluster.BuildOne(t.TempDir(), "test/hostile/synced")
	must(t, err)
	c := serving(t, 3, binaries)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	keys := t.TempDir()
	for _, id := range []string{"1", "2"} {
		must(t, os.WriteFile(filepath.Join(keys, id), bytes.Repeat([]byte(id), 32), 0o600))
	}
	moves := moved(ctx, t, c)
	sweeps := authBlocks(t)
	if len(sweeps) != 6 {
		t.Fatalf("docs/security.md has %d steps, want three sweeps and three for a change of keys", len(sweeps))
	}
	for _, b := range sweeps {
		for _, s := range c.Servers {
			auth := strings.ReplaceAll(b.text, "/etc/vipd/keys", keys)
			must(t, s.Reconfigure(slow(s)+auth))
			if _, err := s.Agent().Reload(ctx); err != nil {
				t.Fatalf("line %d: %v", b.line, err)
			}
			heard(ctx, t, c)
		}
	}
	if now := moved(ctx, t, c); len(now) != len(moves) {
		t.Errorf("changes of state: %q, before: %q", now, moves)
	}
}

// authBlocks are the steps of docs/security.md: pieces of vipd.toml with [auth].
func authBlocks(t *testing.T) []block {
	t.Helper()
	var all []block
	for _, b := range (page{name: "docs/security.md", text: read(t, "docs/security.md")}).parsed().blocks {
		if b.lang == "toml" && strings.HasPrefix(b.text, "[auth]\n") {
			all = append(all, b)
		}
	}
	return all
}

// heard waits until each Backup has accepted another advertisement, and wants none of
// any kind to have been refused.
func heard(ctx context.Context, t *testing.T, c *cluster.Cluster) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	before := make(map[string]uint64)
	for _, s := range c.Servers {
		r, err := router(ctx, s)
		must(t, err)
		before[s.Name] = r.Counters["advertisement-rcvd"]
	}
	for _, s := range c.Servers {
		var r control.Router
		must(t, cluster.Until(ctx, s.Name+" to be the Active or to hear it", func() (err error) {
			if r, err = router(t.Context(), s); err == nil && r.State != "Active" && r.Counters["advertisement-rcvd"] == before[s.Name] {
				err = fmt.Errorf("nothing has come: %+v", r)
			}
			return err
		}))
		for _, name := range []string{"auth-missing", "auth-unexpected", "auth-unknown-key", "auth-bad-hmac", "auth-stale", "auth-replay"} {
			if n := r.Counters[name]; n > 0 {
				t.Errorf("%s: %s is %d", s.Name, name, n)
			}
		}
	}
}

// moved lists the changes of state that the servers tell of.
func moved(ctx context.Context, t *testing.T, c *cluster.Cluster) []string {
	t.Helper()
	var all []string
	for _, s := range c.Servers {
		st, err := s.Status(ctx)
		must(t, err)
		for _, m := range st.Moves {
			all = append(all, fmt.Sprintf("%s: %+v", s.Name, m))
		}
	}
	return all
}
