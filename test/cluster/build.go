package cluster

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Binaries are the programs of a cluster.
type Binaries struct {
	Vipd, Standin, Client string
}

// Build builds the programs into dir.
func Build(dir string) (Binaries, error) {
	b := Binaries{Vipd: filepath.Join(dir, "vipd"), Standin: filepath.Join(dir, "standin"), Client: filepath.Join(dir, "client")}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return b, fmt.Errorf("make the directory of the programs: %w", err)
	}
	for path, pkg := range map[string]string{b.Vipd: "cmd/vipd", b.Standin: "test/standin", b.Client: "test/client"} {
		cmd := exec.Command("go", "build", "-trimpath", "-o", path, "github.com/vipd/vipd/"+pkg)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return b, fmt.Errorf("build %s: %w: %s", pkg, err, out)
		}
	}
	return b, nil
}
