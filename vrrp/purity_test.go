package vrrp

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// allowedTime is what the package may use of package time: types, units, and the
// reading of a time that was handed in, but no clock and no timer. So a jump of
// the wall clock cannot reach the election (C30).
var allowedTime = map[string]bool{
	"Duration": true, "Time": true, "Millisecond": true, "Second": true,
}

// TestC30NoClock wants neither a clock nor the world: of package time the names
// above alone, and a wall clock reading only in the files that authenticate.
func TestC30NoClock(t *testing.T) {
	for name, file := range sources(t) {
		authenticates := name == "auth.go" || name == "inspect.go"
		ast.Inspect(file, func(n ast.Node) bool {
			s, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if id, ok := s.X.(*ast.Ident); !ok || id.Name != "time" {
				return true
			}
			if !allowedTime[s.Sel.Name] || s.Sel.Name == "Time" && !authenticates {
				t.Errorf("%s uses time.%s", name, s.Sel.Name)
			}
			return true
		})
	}
}

// TestImportsOfPackage wants the standard library alone, of it no room for I/O,
// and no other name for package time.
func TestImportsOfPackage(t *testing.T) {
	outside := []string{"net", "os", "os/exec", "syscall", "log", "log/slog", "context", "runtime", "math/rand", "math/rand/v2", "crypto/rand"}
	for name, file := range sources(t) {
		for _, spec := range file.Imports {
			p, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			if first, _, _ := strings.Cut(p, "/"); strings.Contains(first, ".") {
				t.Errorf("%s imports %s, which is not in the standard library", name, p)
			}
			if slices.Contains(outside, p) {
				t.Errorf("%s imports %s", name, p)
			}
			if spec.Name != nil {
				t.Errorf("%s gives %s another name", name, p)
			}
		}
	}
}

// TestNothingRunsByItself wants no init function and no goroutine.
func TestNothingRunsByItself(t *testing.T) {
	for name, file := range sources(t) {
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
				t.Errorf("%s has an init function", name)
			}
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if _, ok := n.(*ast.GoStmt); ok {
				t.Errorf("%s starts a goroutine", name)
			}
			return true
		})
	}
}

// sources parses the package without its tests.
func sources(t *testing.T) map[string]*ast.File {
	t.Helper()
	names, err := fs.Glob(os.DirFS("."), "*.go")
	if err != nil {
		t.Fatal(err)
	}
	files := make(map[string]*ast.File)
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = f
	}
	if len(files) == 0 {
		t.Fatal("no sources found")
	}
	return files
}
