package docs_test

import (
	"context"
	"testing"
	"time"

	"github.com/vipd/vipd/test/cluster"
	"github.com/vipd/vipd/test/lab"
)

// patience is for whatever ends by itself.
const patience = time.Minute

// servers starts a cluster that bears a busy machine: what is looked at is what it
// says, not how soon.
func servers(t *testing.T, n int) (*cluster.Cluster, cluster.Binaries) {
	t.Helper()
	l := lab.NewTest(t)
	binaries, err := cluster.Build(t.TempDir())
	must(t, err)
	c, err := cluster.New(l, cluster.Options{Binaries: binaries, Dir: t.TempDir(), Servers: n, Config: slow, Launcher: cluster.RealTime()})
	must(t, err)
	t.Cleanup(func() { must(t, c.Close()) })
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	must(t, c.Start(ctx))
	return c, binaries
}

// slow is the vipd.toml of a server. More of its table may follow, or other tables.
func slow(s *cluster.Server) string { return cluster.DefaultConfig(s) + "advert_interval = \"1s\"\n" }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
