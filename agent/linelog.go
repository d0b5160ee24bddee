package agent

import (
	"bytes"
	"log/slog"
	"strings"
	"unicode"
)

const (
	maxLine  = 1 << 10  // bytes; a longer line is logged in parts
	maxLines = 64 << 10 // bytes of a run that are logged
)

// lineLog logs what a program prints, line by line.
type lineLog struct {
	log   *slog.Logger
	line  []byte
	taken int
}

// Write takes all of b, whether or not there is still room for it in the log.
func (l *lineLog) Write(b []byte) (int, error) {
	n := len(b)
	if l.taken > maxLines {
		return n, nil
	}
	l.taken += n
	for len(b) > 0 {
		part, rest, whole := bytes.Cut(b, []byte("\n"))
		if room := maxLine - len(l.line); len(part) > room {
			part, rest, whole = b[:room], b[room:], true
		}
		l.line, b = append(l.line, part...), rest
		if whole {
			l.end()
		}
	}
	if l.taken > maxLines {
		l.end()
		l.log.Warn("the rest of what the hook prints is left out")
	}
	return n, nil
}

// end logs a last line without an end.
func (l *lineLog) end() {
	if text := strings.TrimSpace(printable(string(l.line))); text != "" {
		l.log.Info(text)
	}
	l.line = l.line[:0]
}

// printable makes text from outside fit for a log, a terminal and an environment.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
}
