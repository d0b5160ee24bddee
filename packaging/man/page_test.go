package man_test

import (
	"os"
	"strings"
	"testing"
)

// page is a manual page in mdoc(7).
type page struct {
	lines    []string // without comments, escapes replaced
	items    []item   // of lists, in the order of the page
	literals []literal
}

// item is an entry of a list (.It).
type item struct {
	section, sub string
	parent       string // head of the item whose list this is in; "" for none
	head, text   string // the text holds the items inside, too
}

// literal is a display of what is typed or printed (.Bd -literal).
type literal struct{ section, text string }

func readPage(t *testing.T, name string) page {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	escapes := strings.NewReplacer(`\-`, "-", `\(aq`, "'", `\(dq`, `"`)
	var p page
	for line := range strings.Lines(string(b)) {
		if !strings.HasPrefix(line, `.\"`) {
			p.lines = append(p.lines, escapes.Replace(strings.TrimSuffix(line, "\n")))
		}
	}
	p.read()
	return p
}

// read finds the items and displays.
func (p *page) read() {
	var section, sub string
	var open []int // the items that the line is in, or -1 before the first of a list
	for _, line := range p.lines {
		macro, rest, _ := strings.Cut(line, " ")
		for _, i := range open {
			if i >= 0 {
				p.items[i].text += line + "\n"
			}
		}
		switch macro {
		case ".Sh":
			section, sub = rest, ""
		case ".Ss":
			sub = rest
		case ".Bl":
			open = append(open, -1)
		case ".El":
			open = open[:len(open)-1]
		case ".It":
			parent := ""
			if len(open) > 1 {
				parent = p.items[open[len(open)-2]].head
			}
			open[len(open)-1] = len(p.items)
			p.items = append(p.items, item{section: section, sub: sub, parent: parent, head: rest})
		}
	}
	p.readLiterals()
}

func (p *page) readLiterals() {
	section, inside := "", false
	for _, line := range p.lines {
		switch {
		case strings.HasPrefix(line, ".Sh "):
			section = line[len(".Sh "):]
		case strings.HasPrefix(line, ".Bd -literal"):
			inside = true
			p.literals = append(p.literals, literal{section: section})
		case line == ".Ed":
			inside = false
		case inside:
			p.literals[len(p.literals)-1].text += line + "\n"
		}
	}
}

// in returns the items of a section.
func (p *page) in(section string) []item {
	var found []item
	for _, i := range p.items {
		if i.section == section {
			found = append(found, i)
		}
	}
	return found
}

// text returns the lines of a section, without its title.
func (p *page) text(section string) string {
	var b strings.Builder
	inside := false
	for _, line := range p.lines {
		if title, ok := strings.CutPrefix(line, ".Sh "); ok {
			inside = title == section
			continue
		}
		if inside {
			b.WriteString(line + "\n")
		}
	}
	return b.String()
}
