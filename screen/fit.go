package screen

import (
	"strings"
	"unicode/utf8"
)

// Sequences of a terminal (ECMA-48).
const (
	escape     = "\x1b["
	home       = escape + "H"
	clearAll   = escape + "2J"
	clearLine  = escape + "K"
	clearBelow = escape + "J"
	plain      = escape + "m"
)

// size of a terminal, in characters.
type size struct{ columns, rows int }

// fit cuts text to the size of a terminal, so that no line is wrapped and nothing
// scrolls. The last row stays empty, for the cursor.
func fit(text string, s size) string {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if room := max(1, s.rows-1); len(lines) > room {
		lines = append(lines[:room-1:room-1], "…")
	}
	var b strings.Builder
	for _, line := range lines {
		b.WriteString(cut(line, s.columns) + clearLine + "\r\n")
	}
	return b.String()
}

// cut shortens a line to what a terminal shows in so many columns. Colours take none.
func cut(line string, columns int) string {
	shown, last := 0, 0 // last is where a line that is too long is cut
	for i := 0; i < len(line); {
		if n := sequence(line[i:]); n > 0 {
			i += n
			continue
		}
		if shown == columns-1 {
			last = i
		}
		if shown++; shown > columns {
			return line[:last] + plain + "…"
		}
		_, n := utf8.DecodeRuneInString(line[i:])
		i += n
	}
	return line
}

// sequence returns the length of the colour that s begins with; 0: none.
func sequence(s string) int {
	if !strings.HasPrefix(s, escape) {
		return 0
	}
	return strings.IndexByte(s, 'm') + 1
}
