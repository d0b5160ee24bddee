package test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// numbers is how long the conformance list of README.md is.
const numbers = 73

// TestReadmeConformance holds the conformance list against the tree: each number
// has its row, in order, and each test that a row names exists.
func TestReadmeConformance(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`([a-z0-9/]+) ((?:Test|Fuzz)[^`]+)`")
	n := 0
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, " | ")
		if !strings.HasPrefix(line, fmt.Sprintf("| %d |", n+1)) || len(cells) < 3 {
			continue
		}
		n++
		tests := named.FindAllStringSubmatch(cells[2], -1)
		if len(tests) == 0 || 2*len(tests) != strings.Count(cells[2], "`") {
			t.Errorf("%d: no list of tests, each as `package Test/subtest`: %s", n, cells[2])
		}
		for _, m := range tests {
			if err := exists(m[1], m[2]); err != nil {
				t.Errorf("%d: %v", n, err)
			}
		}
	}
	for _, name := range numbered(t) {
		if !strings.Contains(string(text), "`"+name) {
			t.Errorf("%s has a number, but is not on the list", name)
		}
	}
	if n != numbers {
		t.Errorf("number %d is missing, or not in its place", n+1)
	}
}

// numbered returns the tests and stories of the tree that have a number in their
// names, as the list writes them.
func numbered(t *testing.T) []string {
	t.Helper()
	function := regexp.MustCompile(`(?m)^func (TestC\d+\w*)\(`)
	story := regexp.MustCompile(`^(.*)/testdata/(machine|judge)/(c\d+.*)$`)
	runner := map[string]string{"machine": "TestMachine", "judge": "TestJudge"}
	var all []string
	err := fs.WalkDir(os.DirFS(".."), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if m := story.FindStringSubmatch(path); m != nil {
			all = append(all, m[1]+" "+runner[m[2]]+"/"+m[3])
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(filepath.Join("..", path))
		for _, m := range function.FindAllSubmatch(text, -1) {
			all = append(all, filepath.Dir(path)+" "+string(m[1]))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// exists returns an error unless the package has the test. Subtests are files in
// testdata, or their names stand in the source.
func exists(pkg, name string) error {
	top, sub, _ := strings.Cut(name, "/")
	files, err := filepath.Glob(filepath.Join("..", pkg, "*_test.go"))
	if err != nil {
		return err
	}
	var source strings.Builder
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			return err
		}
		source.Write(text)
	}
	if !regexp.MustCompile(`(?m)^func ` + top + `\(`).MatchString(source.String()) {
		return fmt.Errorf("%s has no %s", pkg, top)
	}
	if stories, _ := filepath.Glob(filepath.Join("..", pkg, "testdata", "*", sub)); sub == "" || len(stories) > 0 {
		return nil
	}
	written := strings.ReplaceAll(sub, "_", " ")
	for _, family := range []string{"", "IPv4", "IPv6"} { // a name may begin with that of a family
		rest, ok := strings.CutPrefix(written, family)
		if ok && strings.Contains(source.String(), `"`+strings.TrimPrefix(rest, " ")+`"`) {
			return nil
		}
	}
	return fmt.Errorf("%s %s has no subtest %q", pkg, top, written)
}
