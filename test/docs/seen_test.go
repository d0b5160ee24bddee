package docs_test

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	seenIn = regexp.MustCompile(`(?s)\nSeen in: (.*?)(?:\n\n|\n$|$)`)
	quoted = regexp.MustCompile(`(?:(e2e|faults) )?"([^"]+)"`)
)

// TestSeenIn: what docs/operations.md rests on exists, and each of its sections rests
// on something.
func TestSeenIn(t *testing.T) {
	page := read(t, "docs/operations.md")
	sections := strings.Count(page, "\n## ")
	found := seenIn.FindAllStringSubmatch(page, -1)
	if len(found) != sections {
		t.Errorf("%d sections say where it was seen, of %d", len(found), sections)
	}
	sources := map[string]string{"e2e": sourcesOf(t, "test/e2e"), "faults": sourcesOf(t, "test/faults")}
	for _, m := range found {
		where := ""
		for _, q := range quoted.FindAllStringSubmatch(strings.Join(strings.Fields(m[1]), " "), -1) {
			if q[1] != "" {
				where = q[1]
			}
			if !strings.Contains(sources[where], `"`+q[2]+`"`) {
				t.Errorf("test/%s plays no %q", where, q[2])
			}
		}
	}
}

func sourcesOf(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, f := range files {
		all.WriteString(read(t, strings.TrimPrefix(f, root+"/")))
	}
	return all.String()
}
