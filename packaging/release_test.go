package packaging_test

import (
	"bytes"
	"debug/buildinfo"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/vipd/vipd/test/lab"
)

func TestSums(t *testing.T) {
	sums := read(t, made(t, "SHA256SUMS"))
	cmd := exec.Command("sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS")
	cmd.Dir = "../dist"
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	files, err := filepath.Glob("../dist/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if name := filepath.Base(f); name != "SHA256SUMS" && !strings.Contains(sums, "  "+name+"\n") {
			t.Errorf("%s has no sum", name)
		}
	}
}

// TestSBOM wants in it what the binary says it is made of, and each module in the
// copyright file too.
func TestSBOM(t *testing.T) {
	lab.Require(t, "dpkg-deb")
	var bom struct {
		BOMFormat, SpecVersion, SerialNumber string
		Components                           []struct{ Name, Version string }
	}
	if err := json.Unmarshal([]byte(read(t, made(t, "*_amd64.cdx.json"))), &bom); err != nil {
		t.Fatal(err)
	}
	if bom.BOMFormat != "CycloneDX" || bom.SpecVersion != "1.6" || bom.SerialNumber != "" {
		t.Errorf("it begins with %+v", bom)
	}
	var got []string
	for _, c := range bom.Components {
		got = append(got, c.Name+" "+c.Version)
	}
	deb := made(t, "*_amd64.deb")
	info, err := buildinfo.Read(bytes.NewReader(debFile(t, deb, "/usr/bin/vipd")))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"std " + strings.TrimPrefix(info.GoVersion, "go")}
	copyright := string(debFile(t, deb, "/usr/share/doc/vipd/copyright"))
	for _, dep := range info.Deps {
		want = append(want, dep.Path+" "+dep.Version)
		if !strings.Contains(copyright, "\nFiles: "+dep.Path+"/*\nCopyright: ") {
			t.Errorf("copyright does not tell of %s", dep.Path)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("components (-binary +SBOM):\n%s", diff)
	}
}

// TestReproducible builds again from a copy of the tree. make package-check does so
// with an empty cache and for all architectures.
func TestReproducible(t *testing.T) {
	lab.Require(t, "dpkg-deb")
	made(t, "SHA256SUMS")
	cmd := exec.Command("packaging/reproduce", "amd64")
	cmd.Dir = ".."
	cmd.Env = append(cmd.Environ(), "REPRODUCE_GOCACHE="+strings.TrimSpace(run(t, "go", "env", "GOCACHE")))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
