// Package packaging_test looks at the packages that make package left in dist, and
// installs them into roots of its own. make package-test runs it.
package packaging_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vipd/vipd/test/lab"
)

// made returns the file of dist that matches, and skips the test without one.
func made(t *testing.T, pattern string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("../dist", pattern))
	if err != nil {
		t.Fatal(err)
	}
	switch len(files) {
	case 0:
		lab.Miss(t, "dist/"+pattern+": run make package")
	case 1:
		path, err := filepath.Abs(files[0])
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
	t.Fatalf("several versions in dist: %q: run make package", files)
	return ""
}

// run returns what the command says on its standard output.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s%s", cmd.Args, err, out, stderr.Bytes())
	}
	return string(out)
}

// entry is a file or directory of a deb.
type entry struct {
	*tar.Header
	content []byte
}

// debEntries reads what a deb puts on the disk.
func debEntries(t *testing.T, deb string) []entry {
	t.Helper()
	var all []entry
	for r := tar.NewReader(strings.NewReader(run(t, "dpkg-deb", "--fsys-tarfile", deb))); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		h.Name = strings.TrimPrefix(h.Name, ".")
		all = append(all, entry{h, content})
	}
}

// debFile returns a file of a deb.
func debFile(t *testing.T, deb, name string) []byte {
	t.Helper()
	for _, e := range debEntries(t, deb) {
		if e.Name == name {
			return e.content
		}
	}
	t.Fatalf("%s has no %s", filepath.Base(deb), name)
	return nil
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
