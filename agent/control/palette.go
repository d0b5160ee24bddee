package control

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Palette is how words are painted: nothing, or a sequence of a terminal.
type Palette struct{ good, fair, bad, faint, off string }

// Plain paints nothing. Colored paints for a terminal.
func Plain() Palette { return Palette{} }

// Colored paints for a terminal.
func Colored() Palette {
	return Palette{good: "\x1b[32m", fair: "\x1b[33m", bad: "\x1b[31m", faint: "\x1b[2m", off: "\x1b[m"}
}

// grade is the colour of a grade.
func (p Palette) grade(g string) string {
	switch g {
	case "ready":
		return p.good
	case "degraded":
		return p.fair
	}
	return p.bad
}

// state is the colour of a router's state. A Backup is as it should be, and not what
// one looks for.
func (p Palette) state(s string) string {
	switch s {
	case "Active":
		return p.good
	case "Initialize":
		return p.fair
	}
	return ""
}

// paint returns text in a colour.
func (p Palette) paint(colour, text string) string {
	if colour == "" {
		return text
	}
	return colour + text + p.off
}

// table is rows of cells in columns.
type table struct {
	palette Palette
	rows    [][]cell
}

type cell struct{ text, colour string }

func (t *table) row(cells ...cell) { t.rows = append(t.rows, cells) }

// write writes the rows, each behind indent. Colours take no room.
func (t *table) write(b *strings.Builder, indent string) {
	var widths []int
	for _, row := range t.rows {
		for i, c := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(c.text))
		}
	}
	for _, row := range t.rows {
		var line strings.Builder
		for i, c := range row {
			line.WriteString(t.palette.paint(c.colour, c.text))
			if i < len(row)-1 {
				line.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c.text)+2))
			}
		}
		b.WriteString(indent + strings.TrimRight(line.String(), " ") + "\n")
	}
}

// printable keeps what comes from elsewhere from giving a terminal orders.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}
