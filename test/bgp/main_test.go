package bgp

import (
	"os"
	"testing"

	"github.com/vipd/vipd/test/cluster"
)

// built are the programs, once a test needed them.
var built cluster.Once

func TestMain(m *testing.M) { os.Exit(built.Run(m)) }

func binaries(t *testing.T) cluster.Binaries {
	t.Helper()
	b, err := built.Binaries()
	if err != nil {
		t.Fatal(err)
	}
	return b
}
