package man_test

import (
	"strings"
)

// block is a part of a manual page: a heading, a paragraph, a display or a list.
type block struct {
	level int    // of a heading; else 0
	text  string // of a heading, paragraph or display; a paragraph's is Markdown
	shown bool   // a display of what is typed or printed
	items []entry
}

// entry is an item of a list and what is said of it.
type entry struct {
	macro string // that its head begins with, such as "Ic"; "" for none
	head  string // in the words of mdoc(7), without that macro
	body  []block
}

// mdoc reads the lines of a page as far as these pages use mdoc(7).
type mdoc struct {
	lines []string
	words []string // of the paragraph that is being read
}

// blocks reads to the end of the page or list, and returns the line that ends it.
func (d *mdoc) blocks() (all []block, end string) {
	flush := func() {
		if text := joined(d.words); text != "" {
			all = append(all, block{text: text})
		}
		d.words = nil
	}
	for len(d.lines) > 0 {
		line := d.lines[0]
		d.lines = d.lines[1:]
		macro, rest, _ := strings.Cut(line, " ")
		switch macro {
		case ".El", ".It":
			flush()
			return all, line
		case ".Sh", ".Ss":
			flush()
			all = append(all, block{level: map[string]int{".Sh": 2, ".Ss": 3}[macro], text: rest})
		case ".Pp":
			flush()
		case ".Bd":
			flush()
			all = append(all, d.display())
		case ".Dl":
			flush()
			all = append(all, block{shown: true, text: rest + "\n"})
		case ".Bl":
			flush()
			all = append(all, block{items: d.list()})
		default:
			d.words = append(d.words, inline(line)...)
		}
	}
	flush()
	return all, ""
}

func (d *mdoc) display() block {
	b := block{shown: true}
	for len(d.lines) > 0 && d.lines[0] != ".Ed" {
		b.text += d.lines[0] + "\n"
		d.lines = d.lines[1:]
	}
	d.lines = d.lines[1:]
	return b
}

func (d *mdoc) list() []entry {
	var items []entry
	_, end := d.blocks() // nothing comes before the first item
	for strings.HasPrefix(end, ".It") {
		head := strings.TrimPrefix(end, ".It ")
		e := entry{head: head}
		if macro, rest, ok := strings.Cut(head, " "); ok && macros[macro] {
			e.macro, e.head = macro, rest
		}
		e.body, end = d.blocks()
		items = append(items, e)
	}
	return items
}

// macros are those that may stand inside a line.
var macros = map[string]bool{
	"Ar": true, "Cm": true, "Dq": true, "Dv": true, "Em": true, "Ev": true, "Fl": true, "Ic": true, "Li": true, "Lk": true,
	"Nm": true, "No": true, "Pa": true, "Pq": true, "Ql": true, "Qq": true, "Va": true, "Xr": true,
}

// inline turns a line of text into Markdown, word by word. Punctuation that is a
// word of its own belongs to the word before.
func inline(line string) []string {
	if !strings.HasPrefix(line, ".") {
		return strings.Fields(line)
	}
	macro, rest, _ := strings.Cut(line[1:], " ")
	args := arguments(rest)
	if macro == "Pq" {
		inner := inline("." + strings.Join(args, " "))
		return []string{"(" + strings.Join(inner, " ") + ")"}
	}
	var out, term []string
	flush := func() {
		if len(term) > 0 || macro == "Nm" {
			out = append(out, marked(macro, term))
		}
		term = nil
	}
	for i, a := range args {
		switch {
		case isPunctuation(a):
			flush()
			out = append(out, a)
		case macros[a] && i > 0:
			flush()
			macro = a
		default:
			term = append(term, a)
		}
	}
	flush()
	return out
}

// arguments splits what stands behind a macro. Quotes keep words together; around a
// single one they are to be seen, for the page has them as \(dq.
func arguments(s string) []string {
	var out []string
	for s = strings.TrimSpace(s); s != ""; s = strings.TrimSpace(s) {
		word, after, _ := strings.Cut(s, " ")
		if rest, ok := strings.CutPrefix(s, `"`); ok && !strings.Contains(word[1:], `"`) {
			word, after, _ = strings.Cut(rest, `"`)
		}
		out, s = append(out, word), after
	}
	return out
}

func isPunctuation(s string) bool { return len(s) == 1 && strings.Contains(".,:;)?!", s) }

// marked is what a macro makes of its words.
func marked(macro string, words []string) string {
	text := strings.Join(words, " ")
	switch macro {
	case "Nm":
		return strings.TrimSpace("vipd " + text)
	case "No":
		return text
	case "Em":
		return "*" + text + "*"
	case "Dq":
		return `"` + text + `"`
	case "Qq":
		return "`\"" + text + "\"`"
	case "Fl":
		return "`-" + text + "`"
	case "Lk":
		return "[" + strings.Join(words[1:], " ") + "](" + words[0] + ")"
	case "Xr":
		return manual(words[0], words[1])
	}
	return "`" + text + "`"
}

// manual leads to the other page of this program, if it is meant.
func manual(name, section string) string {
	for _, p := range pages {
		if p.source == name+"."+section {
			return "[" + name + "(" + section + ")](" + p.name + ")"
		}
	}
	return name + "(" + section + ")"
}

// joined makes lines of at most 100 letters, a code in one of them.
func joined(words []string) string {
	var out strings.Builder
	width := 0
	for i, w := range words {
		switch {
		case i == 0 || isPunctuation(w):
		case width+len(w) >= 100:
			out.WriteByte('\n')
			width = 0
		default:
			out.WriteByte(' ')
			width++
		}
		out.WriteString(w)
		width += len(w)
	}
	return out.String()
}
