package docs_test

import (
	"fmt"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	link    = regexp.MustCompile(`\[[^\]]*\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ +(.*?) *$`)
)

// TestLinks: each link inside the tree leads to a file, and to a heading in it.
func TestLinks(t *testing.T) {
	bench := read(t, "test/bench/page.go")
	for _, p := range pages(t) {
		prose := p.text
		for _, b := range p.blocks {
			prose = strings.ReplaceAll(prose, b.text, "")
		}
		for _, m := range link.FindAllStringSubmatch(prose, -1) {
			u, err := url.Parse(m[1])
			if err != nil {
				t.Errorf("%s: %s: %v", p.name, m[1], err)
				continue
			}
			if u.Scheme != "" {
				continue
			}
			target := p.name
			if u.Path != "" {
				target = path.Join(path.Dir(p.name), u.Path)
			}
			// The pictures come with the first run of make bench.
			if strings.HasSuffix(target, ".svg") && strings.Contains(bench, `"`+path.Base(target)+`"`) {
				continue
			}
			if err := leads(target, u.Fragment); err != nil {
				t.Errorf("%s: %s: %v", p.name, m[1], err)
			}
		}
	}
}

// leads returns an error unless the file is there, and has a heading for the fragment.
func leads(target, fragment string) error {
	name := filepath.Join(root, target)
	if _, err := os.Stat(name); err != nil || fragment == "" {
		return err
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	seen := make(map[string]int)
	for _, m := range heading.FindAllStringSubmatch(string(text), -1) {
		a := anchor(m[1])
		n := seen[a]
		seen[a]++
		if n > 0 {
			a = fmt.Sprintf("%s-%d", a, n)
		}
		if a == fragment {
			return nil
		}
	}
	return fmt.Errorf("%s has no heading for it", target)
}

// anchor is what GitHub calls a heading in links.
func anchor(heading string) string {
	heading = link.ReplaceAllStringFunc(heading, func(l string) string { return l[1:strings.Index(l, "]")] })
	plain := regexp.MustCompile(`[^\p{L}\p{N}_ -]`).ReplaceAllString(strings.ToLower(heading), "")
	return strings.ReplaceAll(plain, " ", "-")
}
