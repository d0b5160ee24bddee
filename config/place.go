package config

import (
	"strings"

	"github.com/BurntSushi/toml"
)

// place is where a value stands in the file, and where the parts of it do. The
// TOML library tells values but not their lines.
type place struct {
	line   int
	table  map[string]*place
	list   []*place
	closed bool // written as a value, to which nothing can be added
}

// clash is a key that is defined again. The library catches most of them, but
// of "a.b = 1" and "a = 2", say, it drops one without a word.
type clash struct {
	name string
	line int
}

// key returns the place of the entry called name, and that of the table itself
// where there is none: the nearest line to point at.
func (p *place) key(name string) *place {
	if c, ok := p.table[name]; ok {
		return c
	}
	return p
}

// element returns the place of the i-th element.
func (p *place) element(i int) *place {
	if i < len(p.list) {
		return p.list[i]
	}
	return p
}

func (p *place) put(name string, c *place) {
	if p.table == nil {
		p.table = make(map[string]*place)
	}
	p.table[name] = c
}

// locate returns the places in text, which the TOML library has accepted, and
// the keys that are defined again. It knows only what it needs to step over a
// value, and ends on any input.
func locate(text string) (*place, []clash) {
	s := &scanner{text: text, line: 1}
	s.eat("\ufeff")
	root := &place{line: 1}
	here := root
	for s.skip(" \t\r\n") {
		if s.peek() == '[' {
			here = s.header(root)
			continue
		}
		s.pair(here)
	}
	return root, s.clashes
}

// scanner walks over TOML text.
type scanner struct {
	text    string
	pos     int
	counted int // the line breaks before it are in line
	line    int
	clashes []clash
}

// here returns the line of the current position.
func (s *scanner) here() int {
	s.line += strings.Count(s.text[s.counted:s.pos], "\n")
	s.counted = s.pos
	return s.line
}

// header reads "[a.b]" or "[[a.b]]" and returns the place of that table.
func (s *scanner) header(root *place) *place {
	line := s.here()
	s.eat("[")
	array := s.eat("[")
	path := s.path()
	s.eat("]")
	s.eat("]")

	here := root
	for _, name := range path[:len(path)-1] {
		here = s.child(here, name, line)
	}
	last := path[len(path)-1]
	if array {
		return s.grow(here, last, line)
	}
	here = s.child(here, last, line)
	here.line = line
	return here
}

// pair reads "a.b = value" into the table at here.
func (s *scanner) pair(here *place) {
	line := s.here()
	path := s.path()
	for _, name := range path[:len(path)-1] {
		here = s.child(here, name, line)
	}
	s.eat("=")
	s.spaces()
	v := s.value()
	v.line = line
	v.closed = true
	last := path[len(path)-1]
	if here.table[last] != nil {
		s.clash(last, line)
	}
	here.put(last, v)
}

// child returns the table called name below here, made at line if it is new; for
// an array of tables, its last one, to which headers and dotted keys refer.
func (s *scanner) child(here *place, name string, line int) *place {
	c, ok := here.table[name]
	if !ok {
		c = &place{line: line}
		here.put(name, c)
	}
	if c.closed {
		s.clash(name, line)
	}
	if n := len(c.list); n > 0 {
		return c.list[n-1]
	}
	return c
}

// grow appends a table to the array of tables called name below here.
func (s *scanner) grow(here *place, name string, line int) *place {
	array, ok := here.table[name]
	if !ok {
		array = &place{line: line}
		here.put(name, array)
	}
	if array.closed || array.table != nil {
		s.clash(name, line)
	}
	last := &place{line: line}
	array.list = append(array.list, last)
	return last
}

func (s *scanner) clash(name string, line int) {
	s.clashes = append(s.clashes, clash{name, line})
}

// value steps over a value, by a byte at least, and returns its place.
func (s *scanner) value() *place {
	p := &place{line: s.here()}
	switch s.peek() {
	case '[':
		s.pos++
		for s.more(']') {
			p.list = append(p.list, s.value())
		}
	case '{':
		s.pos++
		for s.more('}') {
			s.pair(p)
		}
	case '"', '\'':
		s.quoted()
	default:
		s.pos = min(s.pos+1, len(s.text))
		s.until(",]}#\n")
	}
	return p
}

// more steps to the next part of an array or inline table, or over its end.
func (s *scanner) more(end byte) bool {
	if !s.skip(" \t\r\n,") {
		return false
	}
	return !s.eat(string(end))
}

// path reads a dotted key: at least one name.
func (s *scanner) path() []string {
	var path []string
	for {
		s.spaces()
		path = append(path, s.name())
		s.spaces()
		if !s.eat(".") {
			return path
		}
	}
}

func (s *scanner) name() string {
	start := s.pos
	if c := s.peek(); c != '"' && c != '\'' {
		s.until(" \t\r\n.=[]{},#\"'")
		return s.text[start:s.pos]
	}
	s.quoted()
	return unquote(s.text[start:s.pos])
}

// unquote leaves TOML's escapes to the library, so that names compare equal.
func unquote(quoted string) string {
	var m map[string]any
	if _, err := toml.Decode(quoted+" = 0", &m); err != nil {
		return quoted
	}
	for name := range m {
		return name
	}
	return quoted
}

// quoted steps over a string of any of TOML's four kinds.
func (s *scanner) quoted() {
	quote := s.text[s.pos : s.pos+1]
	end := quote
	if triple := strings.Repeat(quote, 3); s.eat(triple) {
		end = triple
	} else {
		s.pos++
	}
	for s.pos < len(s.text) && !s.eat(end) {
		if quote == `"` && s.peek() == '\\' {
			s.pos++
		}
		s.pos = min(s.pos+1, len(s.text))
	}
	// One or two quotes before the closing three belong to the string.
	for range len(end) - 1 {
		s.eat(quote)
	}
}

// skip steps over the bytes in set and over comments, and tells whether
// something follows.
func (s *scanner) skip(set string) bool {
	for s.pos < len(s.text) {
		switch c := s.text[s.pos]; {
		case c == '#':
			s.until("\n")
		case strings.IndexByte(set, c) >= 0:
			s.pos++
		default:
			return true
		}
	}
	return false
}

func (s *scanner) spaces() {
	for s.eat(" ") || s.eat("\t") {
	}
}

// until steps to the next of the bytes in stops.
func (s *scanner) until(stops string) {
	n := strings.IndexAny(s.text[s.pos:], stops)
	if n < 0 {
		n = len(s.text) - s.pos
	}
	s.pos += n
}

// eat steps over word if it comes next.
func (s *scanner) eat(word string) bool {
	if !strings.HasPrefix(s.text[s.pos:], word) {
		return false
	}
	s.pos += len(word)
	return true
}

// peek returns the next byte, 0 at the end.
func (s *scanner) peek() byte {
	if s.pos == len(s.text) {
		return 0
	}
	return s.text[s.pos]
}
