package man_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// option is an option of vipd.toml, as config/reference.toml or the page has it.
type option struct {
	rule string // "required", "default: " and words, or the default; "" for neither
	text string
}

const (
	required = "required"
	inWords  = "default:"
)

var (
	refTable = regexp.MustCompile(`^#?\[+([a-z.]+)\]+$`)
	refKey   = regexp.MustCompile(`^#?([a-z_0-9]+) = (.*)$`)
	refInner = regexp.MustCompile(`[{,] ([a-z]+) = `)
	pageKey  = regexp.MustCompile(`^Ic (\w+) No \(.*?(?:, (required|default.*))?\)$`)
	limits   = regexp.MustCompile(`\b[\d.]+(?:ms|s|m|h)? to [\d.]+(?:ms|s|m|h)?\b`)
)

// reference returns the options of config/reference.toml. The name of one has its
// table before it, and in a [[check]] the type, unless every type takes it.
func reference(t *testing.T) map[string]option {
	t.Helper()
	b, err := os.ReadFile("../../config/reference.toml")
	if err != nil {
		t.Fatal(err)
	}
	options := make(map[string]option)
	var table, kind, comment string
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSuffix(line, "\n")
		if m := refTable.FindStringSubmatch(line); m != nil {
			table, kind = m[1]+".", ""
		} else if m := refKey.FindStringSubmatch(line); m != nil {
			if table == "check." && m[1] == "type" {
				kind = strings.Trim(m[2], `"`) + "."
				comment += "Required."
			}
			name := table + kind + m[1]
			if m[1] == "type" || strings.Contains(comment, `Every type but "none"`) {
				name = table + m[1]
			}
			if _, ok := options[name]; !ok {
				options[name] = option{ruleOf(comment, m[2]), comment}
			}
		} else if strings.HasPrefix(line, "#    {") {
			for _, m := range refInner.FindAllStringSubmatch(line, -1) {
				options[table+"keys."+m[1]] = option{}
			}
		}
		if !strings.HasPrefix(line, "# ") && !refKey.MatchString(line) {
			comment = ""
		} else if strings.HasPrefix(line, "# ") {
			comment += line[2:] + "\n"
		}
	}
	return options
}

// ruleOf says whether the option is required, and else what its default is: the
// value, unless the comment says it in words.
func ruleOf(comment, value string) string {
	switch {
	case regexp.MustCompile(`Required(\.|:| in )`).MatchString(comment):
		return required
	case strings.Contains(comment, "Default: "):
		return inWords
	}
	return value
}

// tables are the sections that describe them.
var tables = map[string]string{"VIRTUAL IPS": "vip.", "CHECKS": "check.", "AUTHENTICATION": "auth.", "BGP": "bgp.", "METRICS": "metrics.", "HOOKS": "hook."}

// options returns the options that the page describes.
func (p *page) options(t *testing.T) map[string]option {
	t.Helper()
	options := make(map[string]option)
	for _, i := range p.items {
		m := pageKey.FindStringSubmatch(i.head)
		if m == nil {
			if strings.HasPrefix(i.head, "Ic ") {
				t.Errorf("%q is not an option and its default", i.head)
			}
			continue
		}
		table, ok := tables[i.section]
		if !ok {
			t.Fatalf("%s is in section %s", m[1], i.section)
		}
		if kind, ok := strings.CutPrefix(i.sub, "Type "); ok {
			table += kind + "."
		}
		if i.sub == "Peers" {
			table += "peer."
		}
		if strings.HasPrefix(i.parent, "Ic ") {
			table += strings.Fields(i.parent)[1] + "."
		}
		o := option{strings.TrimPrefix(m[2], "default "), i.head + "\n" + i.text}
		if strings.HasPrefix(o.rule, inWords) {
			o.rule = inWords
		}
		options[table+m[1]] = o
	}
	return options
}

func TestOptions(t *testing.T) {
	p := readPage(t, "vipd.toml.5")
	want, got := reference(t), p.options(t)
	for name, w := range want {
		g, ok := got[name]
		switch {
		case !ok:
			t.Errorf("%s is not on the page", name)
			continue
		case w.text != "" && g.rule != w.rule:
			t.Errorf("%s: %q on the page, %q in config/reference.toml", name, g.rule, w.rule)
		}
		for _, l := range limits.FindAllString(strings.ReplaceAll(w.text, "\n", " "), -1) {
			if !strings.Contains(strings.ReplaceAll(g.text, "\n", " "), l) {
				t.Errorf("%s: the page does not say %q", name, l)
			}
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("%s is on the page, and not in config/reference.toml", name)
		}
	}
	if len(want) < 35 {
		t.Errorf("only %d options were found in config/reference.toml", len(want))
	}
}

// The files that the page shows are valid, but for the one whose errors it shows.
func TestExamples(t *testing.T) {
	p := readPage(t, "vipd.toml.5")
	key := filepath.Join(t.TempDir(), "key") // vipd check reads it
	if err := os.WriteFile(key, make([]byte, 32), 0o600); err != nil {
		t.Fatal(err)
	}
	var bad []literal
	for _, l := range p.literals {
		if l.section == "DIAGNOSTICS" {
			bad = append(bad, l)
			continue
		}
		if !strings.HasPrefix(l.text, "[") {
			continue
		}
		if got := checked(t, strings.ReplaceAll(l.text, "/etc/vipd/keys/1", key)); got.code != 0 {
			t.Errorf("%s\nis refused:\n%s", l.text, got.stderr)
		}
	}
	if len(bad) != 2 {
		t.Fatalf("DIAGNOSTICS has %d examples, want a file and its errors", len(bad))
	}
	if diff := cmp.Diff(outcome{1, "", bad[1].text}, checked(t, bad[0].text), cmp.AllowUnexported(outcome{})); diff != "" {
		t.Errorf("errors (-page +program):\n%s", diff)
	}
}

// checked returns what vipd check says of a vipd.toml.
func checked(t *testing.T, text string) outcome {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "vipd.toml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return vipd(t, dir, "check", "--config", "vipd.toml")
}

// What the page says of the environment of hooks, the agent sets.
func TestHookEnvironment(t *testing.T) {
	var want []string
	for name, pattern := range map[string]string{"occasion.go": `"([A-Z]{3,})", `, "hook.go": `"VIPD_([A-Z]+)=`} {
		b, err := os.ReadFile("../../agent/" + name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(b), -1) {
			want = append(want, "VIPD_"+m[1])
		}
	}
	slices.Sort(want)
	p := readPage(t, "vipd.toml.5")
	if diff := cmp.Diff(want, words(`VIPD_[A-Z]+`, p.text("HOOKS"))); diff != "" {
		t.Errorf("(-agent +page):\n%s", diff)
	}
}

// The types of a check have a section each.
func TestCheckTypes(t *testing.T) {
	b, err := os.ReadFile("../../config/reference.toml")
	if err != nil {
		t.Fatal(err)
	}
	p := readPage(t, "vipd.toml.5")
	text := p.text("CHECKS")
	for _, m := range regexp.MustCompile(`(?m)^#?type = "(\w+)"$`).FindAllStringSubmatch(string(b), -1) {
		if !slices.Contains(p.lines, ".Ss Type "+m[1]) && m[1] != "none" || !strings.Contains(text, ".Qq "+m[1]) {
			t.Errorf("type %s is not described", m[1])
		}
	}
}
