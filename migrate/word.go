package migrate

import "strings"

// word is a word of a line, or a brace outside of quotes.
type word struct {
	text  string
	brace bool
}

// split splits a line as keepalived does: at blanks outside of quotes, up to a
// comment.
func split(line string) []word {
	var words []word
	var b strings.Builder
	inside := false // of a word, which may be empty if it is quoted
	flush := func() {
		if inside {
			words = append(words, word{text: b.String()})
		}
		b.Reset()
		inside = false
	}
	for i := 0; i < len(line); i++ {
		switch c := line[i]; c {
		case ' ', '\t', '\r':
			flush()
		case '#', '!':
			flush()
			return words
		case '{', '}':
			flush()
			words = append(words, word{text: string(c), brace: true})
		case '"', '\'':
			inside = true
			i = quoted(line, i, &b)
		case '\\':
			inside = true
			if i++; i < len(line) {
				b.WriteByte(line[i])
			}
		default:
			inside = true
			b.WriteByte(c)
		}
	}
	flush()
	return words
}

// quoted writes what is between the quote at i and the next, and returns where that
// is. A quote that is not closed ends with the line. Other quotes inside are kept.
func quoted(line string, i int, b *strings.Builder) int {
	quote := line[i]
	for i++; i < len(line) && line[i] != quote; i++ {
		if line[i] == '\\' && i+1 < len(line) {
			i++
		}
		b.WriteByte(line[i])
	}
	return i
}
