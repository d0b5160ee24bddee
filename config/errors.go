package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Error is one problem in a configuration file.
type Error struct {
	File string // as given to [Parse]
	Line int    // from 1
	Key  string // dotted, as in "vip.vrid"; empty where no key is concerned
	Msg  string // what is wrong, a colon, what to write instead
}

// Error returns the problem in one line, as in "vipd.toml:12: vip.vrid: 0 is out
// of range: choose 1 to 255". Without a File it starts with the key.
func (e Error) Error() string {
	var b strings.Builder
	if e.File != "" {
		fmt.Fprintf(&b, "%s:%d: ", e.File, e.Line)
	}
	if e.Key != "" {
		fmt.Fprintf(&b, "%s: ", e.Key)
	}
	b.WriteString(e.Msg)
	return b.String()
}

// Errors are the problems of one file in the order of its lines. It is never
// empty when returned as an error.
type Errors []Error

// Error returns one line for each problem.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, one := range e {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// report collects the problems of a file while it is read.
type report struct {
	file  string
	homes map[string][]string // key → tables that take it
	errs  Errors
}

func (r *report) add(line int, key, format string, args ...any) {
	r.errs = append(r.errs, Error{File: r.file, Line: line, Key: key, Msg: fmt.Sprintf(format, args...)})
}

func (r *report) sort() {
	slices.SortStableFunc(r.errs, func(a, b Error) int { return cmp.Compare(a.Line, b.Line) })
}
