package docs_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/vipd/vipd/agent/control"
	"github.com/vipd/vipd/test/cluster"
	"github.com/vipd/vipd/test/lab"
)

// patience is for whatever ends by itself.
const patience = time.Minute

// servers starts a cluster that bears a busy machine: what is looked at is what it
// says, not how soon.
func servers(t *testing.T, n int) (*cluster.Cluster, cluster.Binaries) {
	t.Helper()
	binaries, err := cluster.Build(t.TempDir())
	must(t, err)
	return serving(t, n, binaries), binaries
}

// serving starts n servers with certain programs, of which the first holds the VIP.
func serving(t *testing.T, n int, binaries cluster.Binaries) *cluster.Cluster {
	t.Helper()
	l := lab.NewTest(t)
	c, err := cluster.New(l, cluster.Options{Binaries: binaries, Dir: t.TempDir(), Servers: n, Config: slow, Launcher: cluster.RealTime()})
	must(t, err)
	t.Cleanup(func() { must(t, c.Close()) })
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	must(t, c.Start(ctx))
	must(t, cluster.Until(ctx, "the first server to be Active", func() error {
		r, err := router(ctx, c.Servers[0])
		if err == nil && r.State != "Active" {
			err = errors.New("it is in " + r.State)
		}
		return err
	}))
	must(t, c.Settled(ctx))
	return c
}

func router(ctx context.Context, s *cluster.Server) (control.Router, error) {
	st, err := s.Status(ctx)
	if err != nil {
		return control.Router{}, err
	}
	return st.Routers[0], nil
}

// slow is the vipd.toml of a server. More of its table may follow, or other tables.
func slow(s *cluster.Server) string { return cluster.DefaultConfig(s) + "advert_interval = \"1s\"\n" }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
