package cluster

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
)

// Binaries are the programs of a cluster.
type Binaries struct {
	Vipd, Standin, Client string
}

// Build builds the programs into dir.
func Build(dir string) (Binaries, error) {
	b, err := BuildAround(dir)
	if err != nil {
		return b, err
	}
	b.Vipd, err = build(dir, "cmd/vipd")
	return b, err
}

// Once builds the programs when a test first needs them.
type Once struct {
	once sync.Once
	dir  string
	bin  Binaries
	err  error
}

// Binaries returns the programs.
func (o *Once) Binaries() (Binaries, error) {
	o.once.Do(func() {
		if o.dir, o.err = os.MkdirTemp("", "vipd-test-"); o.err == nil {
			o.bin, o.err = Build(o.dir)
		}
	})
	return o.bin, o.err
}

// Run runs the tests of a package, removes the programs and returns the exit code.
func (o *Once) Run(tests interface{ Run() int }) int {
	code := tests.Run()
	if o.dir != "" {
		if err := os.RemoveAll(o.dir); err != nil && code == 0 {
			code = 1
		}
	}
	return code
}

// BuildAround builds all but vipd itself, for tests that have it from elsewhere.
func BuildAround(dir string) (b Binaries, err error) {
	if b.Standin, err = build(dir, "test/standin"); err != nil {
		return b, err
	}
	b.Client, err = build(dir, "test/client")
	return b, err
}

// BuildOne builds the program of a package of this module into dir.
func BuildOne(dir, pkg string) (string, error) { return build(dir, pkg) }

// build builds a program as the packages have it.
func build(dir, pkg string) (string, error) {
	path := filepath.Join(dir, filepath.Base(pkg))
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", path, "github.com/vipd/vipd/"+pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w: %s", pkg, err, out)
	}
	return path, nil
}
