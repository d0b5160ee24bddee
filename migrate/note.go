package migrate

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// Note tells of something that was not translated, or not as it was, and what to do.
type Note struct {
	File string
	Line int // 0: none in particular
	What string
	Todo string
}

func (n Note) String() string {
	where := n.File
	if n.Line > 0 {
		where = fmt.Sprintf("%s:%d", n.File, n.Line)
	}
	return fmt.Sprintf("%s: %s: %s", where, plain(n.What), plain(n.Todo))
}

// place is where something stands.
type place struct {
	file string
	line int
}

// notes are collected while a file is translated. The same is said once.
type notes struct {
	list     []Note
	said     map[string]bool
	gathered map[string]int // where in the list something is said of several things of a file
}

func (n *notes) add(at place, what, format string, args ...any) {
	n.list = append(n.list, Note{File: at.file, Line: at.line, What: what, Todo: fmt.Sprintf(format, args...)})
}

// once adds a note unless this was said of the same thing before, wherever it stood.
func (n *notes) once(at place, what, todo string) {
	if n.isNew(what, todo) {
		n.add(at, what, "%s", todo)
	}
}

// gather adds a thing to the note that says the same of others of its file, so that there
// is a line for each thing to do.
func (n *notes) gather(at place, what, todo string) {
	if !n.isNew(what, todo) {
		return
	}
	key := at.file + "\x00" + todo
	if i, ok := n.gathered[key]; ok {
		n.list[i].What += ", " + what
		return
	}
	if n.gathered == nil {
		n.gathered = make(map[string]int)
	}
	n.gathered[key] = len(n.list)
	n.add(at, what, "%s", todo)
}

// isNew tells whether this was not said of the same thing before, and remembers it.
func (n *notes) isNew(what, todo string) bool {
	key := what + "\x00" + todo
	if n.said[key] {
		return false
	}
	if n.said == nil {
		n.said = make(map[string]bool)
	}
	n.said[key] = true
	return true
}

// err returns the notes as one error.
func (n *notes) err() error {
	var errs []error
	for _, note := range n.list {
		errs = append(errs, errors.New(note.String()))
	}
	return errors.Join(errs...)
}

// inOrder returns the notes by line, those of the given file first.
func (n *notes) inOrder(first string) []Note {
	slices.SortStableFunc(n.list, func(a, b Note) int {
		return cmp.Or(compareFiles(a.File, b.File, first), cmp.Compare(a.Line, b.Line))
	})
	return n.list
}

func compareFiles(a, b, first string) int {
	switch {
	case a == b:
		return 0
	case a == first:
		return -1
	case b == first:
		return 1
	}
	return strings.Compare(a, b)
}

// plain keeps control characters of a file from the terminal.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, s)
}
