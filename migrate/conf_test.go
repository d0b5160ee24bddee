package migrate

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// shelf is a source of files by name.
type shelf map[string]string

func (s shelf) Read(name string) ([]byte, error) {
	text, ok := s[name]
	if !ok {
		return nil, errors.New("no such file")
	}
	return []byte(text), nil
}

func (s shelf) Match(pattern string) ([]string, error) {
	var names []string
	for _, name := range []string{"/etc/a.conf", "/etc/d/1.conf", "/etc/d/2.conf"} {
		if ok, err := path.Match(pattern, name); err != nil {
			return nil, err
		} else if ok && s[name] != "" {
			names = append(names, name)
		}
	}
	return names, nil
}

// outline writes directives on one line: words, the host before "@", blocks in braces.
func outline(list []*directive) string {
	var parts []string
	for _, d := range list {
		text := strings.Join(d.words, "|")
		if d.host != "" {
			text = d.host + "@" + text
		}
		if len(d.block) > 0 {
			text += " {" + outline(d.block) + "}"
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, "; ")
}

func TestParse(t *testing.T) {
	for name, tt := range map[string]struct{ text, want, notes string }{
		"empty":               {"", "", ""},
		"words":               {"a b\tc\r\nd\n", "a|b|c; d", ""},
		"comments":            {"# x\n! y\na b#c\nd !e\n", "a|b; d", ""},
		"quotes":              {`a "b c" 'd "e"' "#!{}" ""` + "\n", `a|b c|d "e"|#!{}|`, ""},
		"inside a word":       {`a"b c"d` + "\n", "ab cd", ""},
		"escapes":             {`a\ b "c\"d" \#` + "\n", `a b|c"d|#`, ""},
		"an open quote":       {"a \"b c\nd\n", "a|b c; d", ""},
		"blocks":              {"a {\n b {\n c\n }\n d\n}\ne\n", "a {b {c}; d}; e", ""},
		"braces on their own": {"a\n{\nb\n}\n", "a {b}", ""},
		"all on one line":     {"a { b } c { d }\n", "a {b}; c {d}", ""},
		"attached braces":     {"a{\nb\n}\n", "a {b}", ""},
		"not closed":          {"a {\nb {\nc\n", "a {b {c}}", "1 2"},
		"closed too often":    {"a {\n}\n}\nb\n", "a; b", "3"},
		"a host":              {"@n1 a b\n@^n2 c\n", "n1@a|b; ^n2@c", ""},
		"continued":           {"a b \\\n  c\nd\n", "a|b|c; d", ""},
		"definitions":         {"$X=1 2\n$Y = ${X}3\na $X ${Y}$X $Z\n", "a|1|2|1|231|2|$Z", ""},
		"of several lines":    {"$X= \\\n  b 1 \\\n  c 2\na {\n$X\n}\n", "a {b|1; c|2}", ""},
		"sequences":           {"~SEQ(x, 1, 3) a $x\nb\n", "b", "1"},
		"include":             {"a {\ninclude d/*.conf\n}\n", "a {one; two}", ""},
		"included above":      {"include /etc/a.conf\nb\n", "a {b}", "1"},
		"include of nothing":  {"include_r x\ninclude x\nb\n", "b", "1 2"},
	} {
		t.Run(name, func(t *testing.T) {
			files := shelf{"/etc/k.conf": tt.text, "/etc/d/1.conf": "one\n", "/etc/d/2.conf": "two\n", "/etc/a.conf": "a {\n"}
			n := new(notes)
			got, err := newParser(files, n).parse("/etc/k.conf")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, outline(got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			var lines []string
			for _, x := range n.list {
				lines = append(lines, fmt.Sprint(x.Line))
			}
			if got := strings.Join(lines, " "); got != tt.notes {
				t.Errorf("notes at %q, want %q: %v", got, tt.notes, n.list)
			}
		})
	}
}

func TestArguments(t *testing.T) {
	got := arguments(`/bin/x -a 'b c'  "d"e '' #f`)
	if diff := cmp.Diff([]string{"/bin/x", "-a", "b c", "de", "", "#f"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
