package main

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestMutate changes a small package, and wants each kind of change.
func TestMutate(t *testing.T) {
	dir := t.TempDir()
	src := `package p

func f(a, b int, ok bool) (n int) {
	if a < b && !ok {
		return 1
	}
	for a != b {
		a++
	}
	a, n = b, a*2
	return a + n
}
`
	if err := os.WriteFile(filepath.Join(dir, "p.go"), []byte(src), 0o600); err != nil {
		t.Fatal(err)
	}
	changed, mutants, err := mutate(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for i, m := range mutants {
		if m.Number != i+1 {
			t.Errorf("mutant %d has number %d", i+1, m.Number)
		}
		got = append(got, strings.TrimPrefix(m.Name, "p.go f: "))
	}
	want := []string{
		"a < b: left out", "a < b: < becomes <=", "a < b: < becomes >=", "!ok: left out", "!ok: negated",
		"return 1: return dropped", "1: 0", "1: one more",
		"a != b: negated", "a++: dropped",
		"a, n = b, a*2: a kept", "a, n = b, a*2: n kept", "a*2: * becomes /", "2: 0", "2: one more", "2: one less",
		"a + n: + becomes -",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("mutants (-want +got):\n%s", diff)
	}
	if _, err := parser.ParseFile(token.NewFileSet(), "p.go", changed["p.go"], 0); err != nil {
		t.Errorf("%v in\n%s", err, changed["p.go"])
	}
}

func TestExplanations(t *testing.T) {
	name := filepath.Join(t.TempDir(), "explained.txt")
	for text, want := range map[string]map[string]string{
		"# no\n\na: b\nc: d\n  for this\n  reason\n\ne: f\n  another\n": {"a: b": "for this reason", "c: d": "for this reason", "e: f": "another"},
		"a: b\n":             nil,
		"a: b\n x\na: b\n y": nil,
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := explanations(name)
		if diff := cmp.Diff(want, got); diff != "" || (err == nil) != (want != nil) {
			t.Errorf("%q: %v (-want +got):\n%s", text, err, diff)
		}
	}
}
