package doctor

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "write the list of findings into docs/doctor.md")

const (
	page      = "../docs/doctor.md"
	listBegin = "<!-- findings: go test ./doctor -run TestPage -rewrite -->\n"
	listEnd   = "<!-- end of findings -->\n"
)

// The page has every kind of finding, in the words of the program.
func TestPage(t *testing.T) {
	b, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(b), listBegin)
	_, after, ended := strings.Cut(rest, listEnd)
	if !found || !ended {
		t.Fatalf("%s has no place for the list", page)
	}
	want := before + listBegin + list() + listEnd + after
	if want == string(b) {
		return
	}
	if !*rewrite {
		t.Fatalf("%s is out of date: run go test ./doctor -run TestPage -rewrite", page)
	}
	if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

func list() string {
	var b strings.Builder
	for _, c := range checks() {
		fmt.Fprintf(&b, "\n## %s\n\nFinds nothing if: %s.\n", c.name, c.looks)
		if c.wire {
			b.WriteString("Needs root, and to listen.\n")
		} else if c.root {
			b.WriteString("Needs root.\n")
		}
		for _, k := range Kinds() {
			if k.Check == c.name {
				fmt.Fprintf(&b, "\n### %s (%s)\n\n%s\n\nFound by: %s\n\nRemedy: %s\n", k.ID, k.Severity, k.Means, k.How, k.Remedy)
			}
		}
	}
	return b.String() + "\n"
}
