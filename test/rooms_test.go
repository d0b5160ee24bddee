// Package test holds the tests that concern the whole tree.
package test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/vipd/vipd/"

// rooms says what of this module each package may import. The rooms on one floor
// do not import each other: agent is where they meet. docs/architecture.md says why.
var rooms = map[string][]string{
	"vrrp":           nil,
	"vrrp/transport": {"vrrp"},
	"vip":            {"vrrp"},
	"health":         {"vrrp"},
	"bgp":            {"vrrp"},
	"systemd":        {"vrrp"},
	"config":         {"vrrp"},
	"k3s":            nil,
	"agent/control":  nil,
	"agent/metrics":  nil,
	"agent":          {"agent/control", "agent/metrics", "vrrp", "vrrp/transport", "vip", "bgp", "health", "systemd", "config", "k3s"},
	"doctor":         {"agent/control", "vrrp", "vrrp/transport", "vip", "health", "config", "k3s"},
	"watch":          {"vrrp", "vip", "config"},
	"migrate":        {"vrrp", "config"},
	"screen":         nil,
	"cmd/vipd":       {"screen", "doctor", "watch", "migrate", "agent", "agent/control", "systemd", "config"},

	"packaging":          nil,
	"packaging/build":    nil,
	"packaging/man":      nil,
	"packaging/firewall": nil,
}

type goPackage struct {
	ImportPath                         string
	Imports, TestImports, XTestImports []string
}

func TestRooms(t *testing.T) {
	seen := make(map[string]bool)
	for _, p := range packages(t) {
		name := strings.TrimPrefix(p.ImportPath, module)
		if name == "test" || strings.HasPrefix(name, "test/") {
			continue // test programs look into every room
		}
		seen[name] = true
		allowed, known := rooms[name]
		if !known {
			t.Errorf("%s is in no room: give it one in docs/architecture.md and here", name)
			continue
		}
		for _, i := range inside(p.Imports) {
			if !slices.Contains(allowed, i) {
				t.Errorf("%s imports %s", name, i)
			}
		}
		for _, i := range inside(slices.Concat(p.TestImports, p.XTestImports)) {
			if i != name && !slices.Contains(allowed, i) && !strings.HasPrefix(i, "test/") {
				t.Errorf("the tests of %s import %s", name, i)
			}
		}
		if name == "vrrp" {
			onlyStandard(t, p)
		}
	}
	for name := range rooms {
		if !seen[name] {
			t.Errorf("there is no package %s", name)
		}
	}
}

// onlyStandard wants no import of a package that has a dot in the first element
// of its path.
func onlyStandard(t *testing.T, p goPackage) {
	t.Helper()
	for _, i := range p.Imports {
		if first, _, _ := strings.Cut(i, "/"); strings.Contains(first, ".") {
			t.Errorf("%s imports %s, which is not in the standard library", p.ImportPath, i)
		}
	}
}

// inside returns those of the imports that are in this module, without its name.
func inside(imports []string) []string {
	var own []string
	for _, i := range imports {
		if name, ok := strings.CutPrefix(i, module); ok {
			own = append(own, name)
		}
	}
	return own
}

func packages(t *testing.T) []goPackage {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports,TestImports,XTestImports", module+"...")
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("go list: %v: %s", err, exit.Stderr)
		}
		t.Fatal(err)
	}
	var list []goPackage
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return list
		} else if err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
}
