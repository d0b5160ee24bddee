package main

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// build writes the changed package to dir and compiles the tests against it. The
// tree itself stays as it is: the compiler is told to look elsewhere.
func build(dir string) ([]Mutant, error) {
	changed, mutants, err := mutate("vrrp")
	if err != nil {
		return nil, err
	}
	changed["zz_mutant.go"] = []byte(helpers)
	overlay := struct{ Replace map[string]string }{make(map[string]string)}
	for name, src := range changed {
		at := filepath.Join(dir, name)
		if err := os.WriteFile(at, src, 0o600); err != nil {
			return nil, err
		}
		place, err := filepath.Abs(filepath.Join("vrrp", name))
		if err != nil {
			return nil, err
		}
		overlay.Replace[place] = at
	}
	b, err := json.Marshal(overlay)
	if err != nil {
		return nil, err
	}
	at := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(at, b, 0o600); err != nil {
		return nil, err
	}
	for _, pkg := range []string{"vrrp", "test/sim"} {
		out, err := exec.Command("go", "test", "-c", "-vet=off", "-overlay="+at, "-o", program(dir, pkg), "./"+pkg).CombinedOutput()
		if err != nil {
			return nil, fmt.Errorf("compile the tests of the changed %s: %w\n%s", pkg, err, out)
		}
	}
	return mutants, nil
}

// program is where the tests of a package are compiled to.
func program(dir, pkg string) string { return filepath.Join(dir, filepath.Base(pkg)+".test") }

// mutate returns the changed files of the package in dir, and what was changed.
func mutate(dir string) (map[string][]byte, []Mutant, error) {
	fset := token.NewFileSet()
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, nil, err
	}
	names = slices.DeleteFunc(names, func(n string) bool { return strings.HasSuffix(n, "_test.go") })
	var trees []*ast.File
	for _, n := range names {
		tree, err := parser.ParseFile(fset, n, nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, nil, err
		}
		trees = append(trees, tree)
	}
	info := &types.Info{Types: make(map[ast.Expr]types.TypeAndValue)}
	conf := types.Config{Importer: importer.ForCompiler(fset, "source", nil)}
	pkg, err := conf.Check(dir, fset, trees, info)
	if err != nil {
		return nil, nil, err
	}
	changed := make(map[string][]byte)
	var mutants []Mutant
	for i, tree := range trees {
		src, err := os.ReadFile(names[i])
		if err != nil {
			return nil, nil, err
		}
		f := &file{name: filepath.Base(names[i]), src: src, fset: fset, info: info, pkg: pkg,
			first: len(mutants) + 1, seen: make(map[string]int)}
		changed[f.name] = f.rewrite(tree)
		mutants = append(mutants, f.found...)
	}
	return changed, mutants, nil
}
