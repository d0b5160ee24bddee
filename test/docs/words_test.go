package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// words are what the program can say: the strings in its source.
type words struct {
	whole []*regexp.Regexp // a string with something in place of each verb
	plain []string         // the strings with their verbs
}

var (
	verb   = regexp.MustCompile(`%[+#]?[-0-9.]*[a-z]`)
	letter = regexp.MustCompile(`[A-Za-z]{2}`)
)

// wordsOf reads the strings of the packages.
func wordsOf(t *testing.T, packages ...string) words {
	t.Helper()
	var w words
	for _, p := range packages {
		files, err := filepath.Glob(filepath.Join(root, p, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("there is no package %s (%v)", p, err)
		}
		for _, f := range files {
			if strings.HasSuffix(f, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(token.NewFileSet(), f, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(file, func(n ast.Node) bool {
				if l, ok := n.(*ast.BasicLit); ok && l.Kind == token.STRING {
					w.add(l.Value)
				}
				return true
			})
		}
	}
	return w
}

func (w *words) add(literal string) {
	s, err := strconv.Unquote(literal)
	if err != nil || !letter.MatchString(verb.ReplaceAllString(s, "")) || len(s) < 4 {
		return
	}
	pattern := verb.ReplaceAllString(regexp.QuoteMeta(s), ".+")
	if strings.HasSuffix(s, " ") {
		pattern += ".+" // something is put behind it
	}
	w.plain = append(w.plain, s)
	w.whole = append(w.whole, regexp.MustCompile("^"+pattern+"$"))
}

// say tells whether the program can say a text: one of its strings, or several that it
// joins.
func (w words) say(text string) bool {
	if begin, _, ok := strings.Cut(text, "..."); ok {
		begin = strings.TrimSpace(begin)
		return w.begin(begin) || begin != "" && w.say(strings.TrimSuffix(begin, ":")) || w.say(strings.ReplaceAll(text, "...", "X"))
	}
	for _, r := range w.whole {
		if r.MatchString(text) {
			return true
		}
	}
	for _, join := range []string{"; ", ": "} {
		for i := range len(text) {
			if strings.HasPrefix(text[i:], join) && w.say(text[:i]) && w.say(text[i+len(join):]) {
				return true
			}
		}
	}
	return regexp.MustCompile(`^api (down|degraded)$`).MatchString(text)
}

// begin tells whether the program can say something that begins so.
func (w words) begin(text string) bool {
	for _, s := range w.plain {
		if text != "" && strings.HasPrefix(s, text) {
			return true
		}
	}
	return false
}

// event is a line of vipd history, or of the last moves in vipd status.
var event = regexp.MustCompile(`(?m)^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{3})?  (?:([\w-]+) IPv[46]|health|drain|reload)(?:  +([\w]+ -> [\w]+|Active|Backup))?(?:  +(.*?))?(?:; gap \S+)?$`)

// TestWords: what pages show of history and status is what the program says.
func TestWords(t *testing.T) {
	w := wordsOf(t, "agent", "agent/control", "health", "systemd", "vip", "vrrp", "cmd/vipd", "config")
	n := 0
	for _, p := range pages(t) {
		for _, b := range p.blocks {
			for line := range strings.Lines(b.text) {
				line = strings.TrimSuffix(line, "\n")
				m := event.FindStringSubmatch(line)
				if m == nil && regexp.MustCompile(`^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d`).MatchString(line) {
					t.Errorf("%s:%d: vipd history has no such line: %s", p.name, b.line, line)
				}
				if m == nil {
					continue
				}
				n++
				if cause := m[3]; cause != "" && cause != "ready" && !w.say(cause) {
					t.Errorf("%s:%d: the agent never says: %s", p.name, b.line, cause)
				}
			}
		}
	}
	if n < 15 {
		t.Errorf("only %d lines of history were found", n)
	}
}

// symptom is what the first cell of a table shows as said by the program.
var symptom = regexp.MustCompile("(?m)^\\| `([^`]+)`(?:, `([^`]+)`)? +\\|")

// TestSymptoms: what docs/troubleshooting.md goes by is what the program, or systemd,
// says.
func TestSymptoms(t *testing.T) {
	w := wordsOf(t, "agent", "agent/control", "health", "systemd", "vip", "vrrp", "watch")
	foreign := regexp.MustCompile(`^(status=|ConditionPathExists=)`)
	n := 0
	for _, m := range symptom.FindAllStringSubmatch(read(t, "docs/troubleshooting.md"), -1) {
		for _, s := range m[1:] {
			if s == "" || foreign.MatchString(s) {
				continue
			}
			n++
			if !w.say(s) && !w.begin(s) {
				t.Errorf("the program never says: %s", s)
			}
		}
	}
	if n < 10 {
		t.Errorf("only %d symptoms were found", n)
	}
}
