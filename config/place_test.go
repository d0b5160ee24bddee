package config

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// at is a step towards a place: a key or an index.
type at any

var places = []struct {
	name string
	in   string
	path []at
	want int
}{
	{"key", "\na = 1\n", []at{"a"}, 2},
	{"missing key of the file", "\na = 1\n", []at{"b"}, 1},
	{"missing key of a table", "\n\n[t]\na = 1\n", []at{"t", "b"}, 3},
	{"table", "# c\n[t]\n# c\na = 1 # c\n", []at{"t", "a"}, 4},
	{"table below a table", "[t]\n[t.u]\na = 1\n", []at{"t", "u", "a"}, 3},
	{"table after its child", "[t.u]\na = 1\n[t]\n", []at{"t"}, 3},
	{"array of tables", "[[v]]\na = 1\n[[v]]\na = 2\n", []at{"v", 1, "a"}, 4},
	{"array of tables itself", "\n[[v]]\n[[v]]\n", []at{"v", 1}, 3},
	{"index out of range", "\n[[v]]\n", []at{"v", 7}, 2},
	{"table of the last of an array", "[[v]]\n[v.t]\na = 1\n[[v]]\n[v.t]\na = 2\n", []at{"v", 1, "t", "a"}, 6},
	{"table of the first of an array", "[[v]]\n[v.t]\na = 1\n[[v]]\n[v.t]\na = 2\n", []at{"v", 0, "t", "a"}, 3},
	{"array in an array of tables", "[[v]]\n[[v.w]]\n[[v.w]]\na = 1\n", []at{"v", 0, "w", 1, "a"}, 4},
	{"dotted key", "[t]\n\nu . v.w = 1\nu.v.x = 2\n", []at{"t", "u", "v", "x"}, 4},
	{"dotted header with spaces", "[ t . \"u\" ]\na = 1\n", []at{"t", "u", "a"}, 2},
	{"inline table", "\nt = { a = 1, b.c = { d = 2 } }\n", []at{"t", "b", "c", "d"}, 2},
	{"inline table of several lines", "t = {\n a = 1, # c\n b = 2,\n}\n", []at{"t", "b"}, 3},
	{"list", "a = [1, 2]\n", []at{"a", 1}, 1},
	{"list of several lines", "a = [ # c, ]\n 1,\n # c\n 2\n]\nb = 1\n", []at{"a", 1}, 4},
	{"after a list", "a = [\n[1,\n2], []]\nb = 1\n", []at{"b"}, 4},
	{"inline tables in a list", "a = [\n{ b = 1 },\n{ b = 2 } ]\n", []at{"a", 1, "b"}, 3},
	{"brackets in strings", "a = \"]}#'\\\"\"\nb = ']}#\"\\'\nc = 1\n", []at{"c"}, 3},
	{"long string", "a = \"\"\"\n\"b = 2\n\\\"\"\"\nb\\\\\"\"\"\"\"\nc = 1\n", []at{"c"}, 5},
	{"long literal string", "a = '''\n'b = 2\\'''''\nc = 1\n", []at{"c"}, 3},
	{"empty strings", "a = \"\"\nb = ''\nc = [\"\", '']\nd = 1\n", []at{"d"}, 4},
	{"quoted key", "\n\"a\\u00e9 = \\\"\" = 1\n", []at{"aé = \""}, 2},
	{"literal key", "\n'a.b' = 1\n", []at{"a.b"}, 2},
	{"date with a space", "a = 1979-05-27 07:32:00 # c\nb = 1\n", []at{"b"}, 2},
	{"carriage returns", "a = 1\r\nb = [\r\n1,\r\n2]\r\n", []at{"b", 1}, 4},
	{"byte order mark", "\ufeffa = 1\nb = 1\n", []at{"b"}, 2},
	{"no newline at the end", "a = 1\nb = 2", []at{"b"}, 2},
}

func TestLocate(t *testing.T) {
	for _, tt := range places {
		t.Run(tt.name, func(t *testing.T) {
			p, clashes := locate(tt.in)
			if len(clashes) > 0 {
				t.Fatalf("clashes: %v", clashes)
			}
			for _, step := range tt.path {
				switch step := step.(type) {
				case string:
					p = p.key(step)
				case int:
					p = p.element(step)
				}
			}
			if diff := cmp.Diff(tt.want, p.line); diff != "" {
				t.Errorf("line (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLocateClashes(t *testing.T) {
	tests := map[string]struct {
		in   string
		want []clash
	}{
		"table, then value":      {"a.b = 1\na = 2\n", []clash{{"a", 2}}},
		"value, then table":      {"a = [1]\na.b = 1\n", []clash{{"a", 2}}},
		"inline table extended":  {"a = { b = 1 }\n[a.c]\n", []clash{{"a", 2}}},
		"table, then array":      {"[a]\nb = 1\n[[a]]\n", []clash{{"a", 3}}},
		"inside an inline table": {"t = { a = 1,\n a = 2 }\n", []clash{{"a", 2}}},
		"list, then array":       {"a = []\n[[a]]\n", []clash{{"a", 2}}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, got := locate(tt.in)
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(clash{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
