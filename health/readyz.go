package health

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"
)

// maxName bounds what of an answer's text ends up in a cause.
const maxName = 80

// failedChecks returns the names of the checks that failed, out of the body of a
// /readyz that is not 200: lines like "[-]etcd failed: reason withheld".
func failedChecks(body []byte) []string {
	var names []string
	for line := range bytes.Lines(body) {
		rest, ok := bytes.CutPrefix(line, []byte("[-]"))
		if !ok {
			continue
		}
		name, _, _ := bytes.Cut(rest, []byte(" "))
		if clean := printable(name); clean != "" {
			names = append(names, clean)
		}
	}
	return names
}

// enumerate names a few of many.
func enumerate(names []string) string {
	const few = 3
	if len(names) <= few {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:few], ", "), len(names)-few)
}

// firstLine returns the first line of text from outside, fit to be printed.
func firstLine(text []byte) string {
	line, _, _ := bytes.Cut(bytes.TrimSpace(text), []byte("\n"))
	return printable(line)
}

// printable makes text from outside fit for a log and a terminal.
func printable(text []byte) string {
	clean := strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, string(text))
	if runes := []rune(clean); len(runes) > maxName {
		clean = string(runes[:maxName]) + "…"
	}
	return strings.TrimSpace(clean)
}
