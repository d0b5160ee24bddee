package migrate

import (
	"fmt"
	"path/filepath"
	"strings"
)

// Bounds of a configuration: far above what anybody writes, they keep definitions
// that double each other, and files that include themselves, from going on.
const (
	maxFiles    = 64
	maxText     = 1 << 20 // bytes of one file, and of one line with its definitions replaced
	maxNesting  = 16
	maxElements = 100_000
)

// directive is a line of keepalived.conf, and the block behind it if it has one.
type directive struct {
	at    place
	words []string
	host  string // "@host": the line holds there alone; "@^host": everywhere else
	block []*directive
}

// arg returns the i-th word behind the first, or "".
func (d *directive) arg(i int) string {
	if i+1 < len(d.words) {
		return d.words[i+1]
	}
	return ""
}

// name returns the first word.
func (d *directive) name() string {
	if len(d.words) == 0 {
		return ""
	}
	return d.words[0]
}

// source is where the parser finds files; see keepalived.conf(5), include.
type source interface {
	// Read returns the contents of a file.
	Read(path string) ([]byte, error)
	// Match returns the files that a pattern with wildcards means.
	Match(pattern string) ([]string, error)
}

// parser reads keepalived.conf. It takes whatever it is given: what it makes no sense
// of becomes a note.
type parser struct {
	from  source
	notes *notes
	defs  map[string]string
	files int
	count int

	root *directive
	open []*directive // the blocks that the line is in, the root first
}

func newParser(from source, n *notes) *parser {
	root := new(directive)
	return &parser{from: from, notes: n, defs: make(map[string]string), root: root, open: []*directive{root}}
}

// parse reads a file and those that it includes.
func (p *parser) parse(path string) ([]*directive, error) {
	if err := p.file(path); err != nil {
		return nil, err
	}
	for _, d := range p.open[1:] {
		p.notes.add(d.at, "the block "+shown(d.name()), "is not closed: the rest of the file was taken to be in it")
	}
	return p.root.block, nil
}

func (p *parser) file(path string) error {
	if p.files++; p.files > maxFiles {
		return fmt.Errorf("more than %d files: does one include itself?", maxFiles)
	}
	text, err := p.from.Read(path)
	if err != nil {
		return err
	}
	if len(text) > maxText {
		return fmt.Errorf("%s is larger than %d KiB: this cannot be a keepalived.conf", path, maxText>>10)
	}
	lines := strings.Split(string(text), "\n")
	for i := 0; i < len(lines); i++ {
		at := place{path, i + 1}
		whole := strings.TrimRight(lines[i], " \t\r")
		for strings.HasSuffix(whole, `\`) && i+1 < len(lines) {
			i++
			whole = strings.TrimSuffix(whole, `\`) + "\n" + strings.TrimRight(lines[i], " \t\r")
		}
		if err := p.logical(at, whole); err != nil {
			return err
		}
	}
	return nil
}

// logical reads a line with those that continue it.
func (p *parser) logical(at place, text string) error {
	text = strings.TrimLeft(text, " \t")
	if name, value, ok := definition(text); ok {
		p.defs[name] = value
		return nil
	}
	text, err := p.expand(strings.ReplaceAll(text, "\n", " "))
	if err != nil {
		return fmt.Errorf("%s:%d: %w", at.file, at.line, err)
	}
	if strings.HasPrefix(text, "~SEQ") || strings.HasPrefix(text, "~LST") {
		p.notes.add(at, text[:4], "was not carried out: write the lines out that it makes")
		return nil
	}
	// A definition of several lines stands for several lines.
	for line := range strings.SplitSeq(text, "\n") {
		if err := p.line(at, line); err != nil {
			return err
		}
	}
	return nil
}

// definition reads "$NAME=VALUE".
func definition(text string) (name, value string, ok bool) {
	rest, ok := strings.CutPrefix(text, "$")
	if !ok {
		return "", "", false
	}
	name, value, ok = strings.Cut(rest, "=")
	name = strings.TrimSpace(name)
	return name, strings.TrimLeft(value, " \t"), ok && name != "" && len(name) == wordLength(name)
}

// wordLength returns how many bytes of s a name has.
func wordLength(s string) int {
	for i, r := range s {
		if r != '_' && (r >= 0x80 || !isLetterOrDigit(r)) {
			return i
		}
	}
	return len(s)
}

// expand replaces what is defined. Definitions may hold others, so it goes on until
// nothing is left to replace, or the text has grown out of all measure.
func (p *parser) expand(text string) (string, error) {
	for range maxNesting {
		replaced := p.replace(text)
		if len(replaced) > maxText {
			return "", fmt.Errorf("the definitions in it make more than %d KiB", maxText>>10)
		}
		if replaced == text {
			break
		}
		text = replaced
	}
	return text, nil
}

func (p *parser) replace(text string) string {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(text, "$")
		b.WriteString(before)
		if !found || b.Len() > maxText {
			return b.String()
		}
		braced := strings.HasPrefix(rest, "{")
		word := strings.TrimPrefix(rest, "{")
		n := wordLength(word)
		value, known := p.defs[word[:n]]
		switch {
		case !known || braced && !strings.HasPrefix(word[n:], "}"):
			b.WriteString("$")
			text = rest
		case braced:
			b.WriteString(value)
			text = word[n+1:]
		default:
			b.WriteString(value)
			text = word[n:]
		}
	}
}

// line reads one line: a directive, an include, or the beginning and end of blocks.
func (p *parser) line(at place, text string) error {
	var now *directive
	for _, w := range split(text) {
		if p.count++; p.count > maxElements {
			return fmt.Errorf("%s: more than %d words: this cannot be a keepalived.conf", at.file, maxElements)
		}
		switch {
		case w.brace && w.text == "{":
			p.begin(at, now)
			now = nil
		case w.brace:
			p.end(at)
			now = nil
		case now == nil:
			now = &directive{at: at, words: []string{w.text}}
			here := p.open[len(p.open)-1]
			here.block = append(here.block, now)
		case len(now.words) == 1 && strings.HasPrefix(now.words[0], "@") && now.host == "":
			now.host, now.words[0] = now.words[0][1:], w.text
		default:
			now.words = append(now.words, w.text)
		}
	}
	if now == nil || !strings.HasPrefix(now.name(), "include") || len(now.words) != 2 {
		return nil
	}
	here := p.open[len(p.open)-1]
	here.block = here.block[:len(here.block)-1]
	return p.include(now)
}

// begin opens the block of d, or of the directive before if the brace has a line of
// its own.
func (p *parser) begin(at place, d *directive) {
	here := p.open[len(p.open)-1]
	if d == nil && len(here.block) > 0 {
		d = here.block[len(here.block)-1]
	}
	if d == nil {
		d = &directive{at: at}
		here.block = append(here.block, d)
	}
	p.open = append(p.open, d)
}

func (p *parser) end(at place) {
	if len(p.open) == 1 {
		p.notes.add(at, "}", "closes nothing: passed over")
		return
	}
	p.open = p.open[:len(p.open)-1]
}

// include reads the files that a directive names, relative to its own file.
func (p *parser) include(d *directive) error {
	pattern := d.arg(0)
	if !filepath.IsAbs(pattern) {
		pattern = filepath.Join(filepath.Dir(d.at.file), pattern)
	}
	paths, err := p.from.Match(pattern)
	if err != nil || len(paths) == 0 {
		p.notes.add(d.at, "include "+d.arg(0), "no such file: what it would have had is missing")
		return nil
	}
	for _, path := range paths {
		if err := p.file(path); err != nil {
			return err
		}
	}
	return nil
}
