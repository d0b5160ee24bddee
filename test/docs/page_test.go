// Package docs_test holds the pages for operators to the program, the packages and
// each other: what they tell a reader to type exists, and where they lead to is there.
package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const root = "../.."

// page is a page in Markdown.
type page struct {
	name   string // from the root of the tree
	text   string
	blocks []block
	spans  []span // code inside a line
}

// block is a display: fenced, or indented by four spaces.
type block struct {
	lang string // of a fence; "" for none
	text string
	line int
}

type span struct {
	text string
	line int
}

// pages returns README.md, CONTRIBUTING.md and all of docs.
func pages(t *testing.T) []page {
	t.Helper()
	names := []string{"README.md", "CONTRIBUTING.md"}
	for _, pattern := range []string{"docs/*.md", "docs/decisions/*.md"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			names = append(names, strings.TrimPrefix(f, root+"/"))
		}
	}
	var all []page
	for _, name := range names {
		all = append(all, page{name: name, text: read(t, name)}.parsed())
	}
	return all
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

var (
	fence    = regexp.MustCompile("^( *)```([a-z]*)$")
	indented = regexp.MustCompile(`^ {4,}\S`)
	listItem = regexp.MustCompile(`^ *([-*]|\d+\.) `)
	inline   = regexp.MustCompile("`([^`]+)`")
)

// parsed finds the blocks and spans.
func (p page) parsed() page {
	var open *block
	var margin string
	var prose strings.Builder // with the line number, since spans go over line ends
	starts := []int{}
	blank := true
	for i, line := range strings.Split(p.text, "\n") {
		m := fence.FindStringSubmatch(line)
		switch {
		case open != nil && open.lang != "indented" && m != nil:
			p.blocks, open = append(p.blocks, *open), nil
		case open != nil && open.lang != "indented":
			open.text += strings.TrimPrefix(line, margin) + "\n"
		case open != nil && (indented.MatchString(line) || line == ""):
			open.text += line + "\n"
		case m != nil:
			open, margin = &block{lang: m[2], line: i + 1}, m[1]
		case blank && indented.MatchString(line) && !listItem.MatchString(line) && open == nil:
			open = &block{lang: "indented", text: line + "\n", line: i + 1}
		default:
			if open != nil {
				p.blocks, open = append(p.blocks, *open), nil
			}
			starts = append(starts, prose.Len())
			prose.WriteString(line + "\n")
			p.spans = append(p.spans, span{line: i + 1})
		}
		blank = line == "" || open != nil && open.lang == "indented"
	}
	if open != nil {
		p.blocks = append(p.blocks, *open)
	}
	for i := range p.blocks {
		if p.blocks[i].lang == "indented" {
			p.blocks[i].lang, p.blocks[i].text = "", dedented(p.blocks[i].text)
		}
	}
	p.spans = spansIn(prose.String(), starts, p.spans)
	return p
}

// spansIn returns the code in lines that begin at starts, whose numbers lines has.
func spansIn(text string, starts []int, lines []span) []span {
	var all []span
	for _, m := range inline.FindAllStringSubmatchIndex(text, -1) {
		n := 0
		for n+1 < len(starts) && starts[n+1] <= m[0] {
			n++
		}
		all = append(all, span{strings.Join(strings.Fields(text[m[2]:m[3]]), " "), lines[n].line})
	}
	return all
}

func dedented(text string) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	margin := len(lines[0]) - len(strings.TrimLeft(lines[0], " "))
	for i, l := range lines {
		lines[i] = l[min(margin, len(l)-len(strings.TrimLeft(l, " "))):]
	}
	return strings.Join(lines, "\n") + "\n"
}
