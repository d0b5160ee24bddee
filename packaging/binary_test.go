package packaging_test

import (
	"bytes"
	"debug/elf"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vipd/vipd/test/lab"
)

func TestBinaries(t *testing.T) {
	lab.Require(t, "dpkg-deb")
	for name, machine := range map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64, "armhf": elf.EM_ARM} {
		t.Run(name, func(t *testing.T) {
			content := debFile(t, made(t, "*_"+name+".deb"), "/usr/bin/vipd")
			f, err := elf.NewFile(bytes.NewReader(content))
			if err != nil {
				t.Fatal(err)
			}
			if f.Machine != machine {
				t.Errorf("it is for %v", f.Machine)
			}
			for _, p := range f.Progs {
				if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
					t.Errorf("not static: %v", p.Type)
				}
			}
			// By this table the trace of a panic names functions and lines.
			if f.Section(".gopclntab") == nil {
				t.Error("a panic would have no trace")
			}
			home, err := os.UserHomeDir()
			if err != nil {
				t.Fatal(err)
			}
			tree, err := filepath.Abs("..")
			if err != nil {
				t.Fatal(err)
			}
			for _, path := range []string{home + "/go/", tree + "/cmd", "/vipd-package-"} {
				if bytes.Contains(content, []byte(path)) {
					t.Errorf("it holds %s, a path of the machine that built it", path)
				}
			}
		})
	}
}

func TestVersion(t *testing.T) {
	lab.Require(t, "dpkg-deb")
	deb := made(t, "*_amd64.deb")
	binary := filepath.Join(t.TempDir(), "vipd")
	if err := os.WriteFile(binary, debFile(t, deb, "/usr/bin/vipd"), 0o755); err != nil {
		t.Fatal(err)
	}
	want := "vipd " + strings.TrimSpace(run(t, "dpkg-deb", "-f", deb, "Version")) + " (go"
	if got := run(t, binary, "version"); !strings.HasPrefix(got, want) {
		t.Errorf("it says %q, want %q", got, want)
	}
}
