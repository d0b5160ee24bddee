package bgp

import (
	"os"
	"sync"
	"testing"

	"github.com/vipd/vipd/test/cluster"
)

// built is where the programs are, once a test needed them.
var built struct {
	once sync.Once
	dir  string
	bin  cluster.Binaries
	err  error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if built.dir != "" {
		if err := os.RemoveAll(built.dir); err != nil && code == 0 {
			code = 1
		}
	}
	os.Exit(code)
}

func binaries(t *testing.T) cluster.Binaries {
	t.Helper()
	built.once.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "vipd-bgp-"); built.err == nil {
			built.bin, built.err = cluster.Build(built.dir)
		}
	})
	must(t, built.err)
	return built.bin
}
