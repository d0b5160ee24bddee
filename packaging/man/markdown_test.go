package man_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "write docs/configuration.md and docs/commands.md anew")

const docs = "../../docs"

// document is a manual page as a page of docs.
type document struct {
	source, name, title, intro string
	without                    []string // sections that it does not need
}

var pages = []document{
	{source: "vipd.toml.5", name: "configuration.md", title: "Configuration: vipd.toml", without: []string{"NAME", "SYNOPSIS", "SEE ALSO"},
		intro: "On a server: `man vipd.toml`, or `/etc/vipd/vipd.toml.example` for a file with every option."},
	{source: "vipd.8", name: "commands.md", title: "Commands: vipd", without: []string{"NAME", "SYNOPSIS", "SEE ALSO", "STANDARDS"},
		intro: "On a server: `man vipd`, or `vipd help`."},
}

// TestMarkdown: what docs has of the manual pages is what these say.
func TestMarkdown(t *testing.T) {
	for _, d := range pages {
		want := d.markdown(t)
		path := filepath.Join(docs, d.name)
		if *rewrite {
			if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != want {
			t.Errorf("%s is out of date (%v): run make reference", path, err)
		}
	}
}

func (d document) markdown(t *testing.T) string {
	t.Helper()
	p := readPage(t, d.source)
	all, _ := (&mdoc{lines: slices.DeleteFunc(p.lines, preamble)}).blocks()
	w := &writer{}
	fmt.Fprintf(w, "# %s\n\n<!-- Made of packaging/man/%s: change that, and run \"make reference\". -->\n\n%s\n", d.title, d.source, d.intro)
	if d.source == "vipd.toml.5" {
		w.overview(all)
	}
	skip := false
	for _, b := range all {
		if b.level == 2 {
			skip = slices.Contains(d.without, b.text)
		}
		if !skip {
			w.block(b)
		}
	}
	return strings.TrimSpace(w.String()) + "\n"
}

func preamble(line string) bool {
	return regexp.MustCompile(`^\.(Dd|Dt|Os|Rs|Re|%[A-Z])\b`).MatchString(line)
}

// writer writes blocks as Markdown.
type writer struct {
	strings.Builder
	section, sub string
}

func (w *writer) block(b block) {
	switch {
	case b.level == 2:
		w.section, w.sub = b.text, ""
		fmt.Fprintf(w, "\n## %s\n", sentence(b.text))
	case b.level == 3:
		w.sub = b.text
		fmt.Fprintf(w, "\n### %s\n", b.text)
	case b.shown:
		fmt.Fprintf(w, "\n%s", fenced(b.text))
	case b.items != nil:
		w.list(b.items)
	default:
		fmt.Fprintf(w, "\n%s\n", b.text)
	}
}

// list gives an option or a command a heading, by which others can lead to it, and
// all else a line.
func (w *writer) list(items []entry) {
	if items[0].macro != "Ic" && (items[0].macro != "Cm" || w.section != "COMMANDS") {
		w.WriteByte('\n')
		w.bullets(items, "")
		return
	}
	for i, e := range items {
		head, usage := w.option(e)
		if e.macro == "Cm" {
			head, usage = "vipd "+strings.Fields(e.head)[0], "`"+shape("vipd Cm "+e.head)+"`"
		}
		fmt.Fprintf(w, "\n#### %s\n\n%s\n", head, usage)
		if len(e.body) == 0 && i+1 < len(items) {
			fmt.Fprintf(w, "\nSee the next one.\n")
		}
		for _, b := range e.body {
			if b.items != nil {
				w.WriteByte('\n')
				w.bullets(b.items, "")
				continue
			}
			w.block(b)
		}
	}
}

// option returns the name of an option, as errors have it, and what it takes.
func (w *writer) option(e entry) (name, takes string) {
	name, takes, _ = strings.Cut(e.head, " No ")
	table := tables[w.section]
	if w.sub == "Peers" {
		table += "peer."
	}
	name = table + name
	if kind, ok := strings.CutPrefix(w.sub, "Type "); ok {
		name += " of " + kind
	}
	return name, withCode(strings.Trim(takes, "()"))
}

// withCode marks the values in what an option takes.
func withCode(takes string) string {
	return regexp.MustCompile(`default ([^:]\S*)$`).ReplaceAllString(takes, "default `$1`")
}

func (w *writer) bullets(items []entry, indent string) {
	for _, e := range items {
		fmt.Fprintf(w, "%s- %s", indent, termOf(e))
		for i, b := range e.body {
			switch {
			case b.items != nil:
				w.WriteByte('\n')
				w.bullets(b.items, indent+"  ")
				continue
			case b.shown:
				fmt.Fprintf(w, "\n%s", indented(fenced(b.text), indent+"  "))
				continue
			case i == 0:
				w.WriteString(": ")
			default:
				w.WriteString("\n\n" + indent + "  ")
			}
			w.WriteString(strings.ReplaceAll(b.text, "\n", "\n"+indent+"  "))
			if i+1 == len(e.body) || b.items != nil {
				w.WriteByte('\n')
			}
		}
		if len(e.body) == 0 {
			w.WriteByte('\n')
		}
	}
}

// termOf is what an item is about, each of its names marked.
func termOf(e entry) string {
	if e.macro == "Ic" {
		name, takes, _ := strings.Cut(e.head, " No ")
		return "`" + name + "` " + withCode(takes)
	}
	if e.macro == "" {
		return "`" + e.head + "`"
	}
	var names []string
	for _, part := range strings.Split(e.head, " , ") {
		part = strings.TrimPrefix(part, e.macro+" ")
		name := shape(e.macro + " " + part)
		if e.macro == "Qq" {
			name = `"` + name + `"`
		}
		names = append(names, "`"+name+"`")
	}
	return strings.Join(names, ", ")
}

// shape is how a command or a flag is typed.
func shape(head string) string {
	words := arguments(head)
	var out strings.Builder
	open, glue := 0, true
	for i, word := range words {
		switch word {
		case "Op", "Oo":
			out.WriteString(" [")
			glue = true
			if word == "Op" {
				open++
			}
			continue
		case "Oc":
			out.WriteString("]")
			continue
		case "Fl", "Cm", "Ar", "Ev", "Pa", "Va", "Dv", "Li", "Qq", "No":
			continue
		}
		if !glue && !(word == "," && i > 0) {
			out.WriteByte(' ')
		}
		glue = false
		if i > 0 && words[i-1] == "Fl" {
			word = "-" + word
		}
		out.WriteString(word)
	}
	return out.String() + strings.Repeat("]", open)
}

// overview is a table of all options, with what they take.
func (w *writer) overview(all []block) {
	w.WriteString("\n| option | takes |\n| --- | --- |\n")
	at := &writer{}
	for _, b := range all {
		switch {
		case b.level == 2:
			at.section, at.sub = b.text, ""
		case b.level == 3:
			at.sub = b.text
		}
		for _, e := range b.items {
			if e.macro == "Ic" {
				name, takes := at.option(e)
				fmt.Fprintf(w, "| [%s](#%s) | %s |\n", name, anchor(name), takes)
			}
		}
	}
}

// anchor is what a heading is called in links.
func anchor(heading string) string {
	return strings.ReplaceAll(regexp.MustCompile(`[^a-z0-9_ -]`).ReplaceAllString(strings.ToLower(heading), ""), " ", "-")
}

// sentence writes a heading in capitals as a sentence.
func sentence(s string) string {
	s = s[:1] + strings.ToLower(s[1:])
	return strings.NewReplacer("ips", "IPs", "systemd", "systemd").Replace(s)
}

func fenced(text string) string {
	lang := "sh"
	switch {
	case regexp.MustCompile(`^(\[|\w+ = )`).MatchString(text):
		lang = "toml"
	case strings.HasPrefix(text, "vipd:"):
		lang = ""
	}
	return "```" + lang + "\n" + text + "```\n"
}

func indented(text, by string) string {
	return by + strings.TrimSuffix(strings.ReplaceAll(text, "\n", "\n"+by), by)
}
