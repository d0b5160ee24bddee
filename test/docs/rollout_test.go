package docs_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vipd/vipd/test/cluster"
)

// TestRollout does on three servers what docs/security.md says about turning
// authentication on and about changing a key, in that order, one server after the
// other. Nothing may move, and nobody may be refused.
func TestRollout(t *testing.T) {
	c, _ := servers(t, 3)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
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
			if out, err := s.Vipd("reload"); err != nil {
				t.Fatalf("line %d: %s: %v", b.line, out, err)
			}
			heard(ctx, t, c)
		}
	}
	if now := moved(ctx, t, c); now != moves {
		t.Errorf("%d changes of state, %d before", now, moves)
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
	before := make(map[string]uint64)
	for _, s := range c.Servers[1:] {
		before[s.Name] = counter(ctx, t, s, "advertisement-rcvd")
	}
	for _, s := range c.Servers[1:] {
		must(t, cluster.Until(ctx, s.Name+" to hear the Active", func() error {
			if counter(ctx, t, s, "advertisement-rcvd") == before[s.Name] {
				return errors.New("nothing has come")
			}
			return nil
		}))
		for _, name := range []string{"auth-missing", "auth-unexpected", "auth-unknown-key", "auth-bad-hmac", "auth-stale", "auth-replay"} {
			if n := counter(ctx, t, s, name); n > 0 {
				t.Errorf("%s: %s is %d", s.Name, name, n)
			}
		}
	}
}

func counter(ctx context.Context, t *testing.T, s *cluster.Server, name string) uint64 {
	t.Helper()
	st, err := s.Status(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return st.Routers[0].Counters[name]
}

// moved counts the changes of state that the servers tell of.
func moved(ctx context.Context, t *testing.T, c *cluster.Cluster) int {
	t.Helper()
	n := 0
	for _, s := range c.Servers {
		st, err := s.Status(ctx)
		if err != nil {
			t.Fatal(err)
		}
		n += len(st.Moves)
	}
	return n
}
