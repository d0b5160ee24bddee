package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf8"

	"github.com/BurntSushi/toml"
)

// Config is a valid configuration, resolved for one host: no default is left to
// be applied.
type Config struct {
	Checks  []Check // at least one; the worst grade counts
	VIPs    []VIP   // at least one, names unique
	Auth    *Auth   // nil: plain VRRP
	BGP     *BGP    // nil: no VIP has mode "bgp"
	Metrics Metrics
	Hooks   []Hook // in the order of the file
}

// Host is the machine that a configuration is read for.
type Host struct {
	Name string // as os.Hostname returns it, short or fully qualified
}

// maxSize bounds the file. A hundred times what a large cluster needs, it keeps
// a wrong path (a disk, a log) from being read whole.
const maxSize = 256 << 10

// Load reads and validates the file at path for the host it runs on. What is
// wrong inside the file comes back as [Errors].
func Load(path string) (*Config, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading the configuration: %w: write it with: vipd init --address A", err)
	}
	if errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("reading the configuration: %w: run the command as root", err)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if errors.Is(err, syscall.EISDIR) {
		return nil, fmt.Errorf("reading the configuration: %w: name the file in it", err)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	name, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("asking for the host name: %w", err)
	}
	return Parse(path, data, Host{Name: name})
}

// Parse validates data, the contents of the file called name, for host. The
// error is of type [Errors] and holds every problem found, in file order; only
// a syntax error hides those after it.
func Parse(name string, data []byte, host Host) (*Config, error) {
	r := &report{file: name, homes: homes()}
	if len(data) > maxSize {
		r.add(1, "", "larger than %d KiB: this cannot be a vipd.toml", maxSize>>10)
		return nil, r.errs
	}
	for i, line := range bytes.Split(data, []byte("\n")) {
		if !utf8.Valid(line) {
			r.add(i+1, "", "not UTF-8: save the file as UTF-8")
			return nil, r.errs
		}
	}
	tree := make(map[string]any)
	if _, err := toml.Decode(string(data), &tree); err != nil {
		r.syntax(err, data)
		return nil, r.errs
	}
	place, clashes := locate(string(data))
	root := value{report: r, place: place, data: tree}
	for _, c := range clashes {
		r.add(c.line, root.join(c.name), "defined twice: remove one")
	}
	c := readFile(root, host)
	if len(r.errs) > 0 {
		r.sort()
		return nil, r.errs
	}
	return c, nil
}

// syntax records what the TOML parser refused.
func (r *report) syntax(err error, data []byte) {
	var pe toml.ParseError
	if !errors.As(err, &pe) {
		r.add(1, "", "not valid TOML: %v", err)
		return
	}
	// At the end of the file the parser counts one line too many or too few.
	last := 1 + strings.Count(strings.TrimSuffix(string(data), "\n"), "\n")
	line := min(max(pe.Position.Line, 1), last)
	msg := strings.Map(visible, strings.TrimSuffix(pe.Message, "."))
	r.add(line, "", "not valid TOML: %s%s", quotation.ReplaceAllStringFunc(msg, discreet), quotesHint(msg))
}

// quotation is a piece of the file in a message of the parser.
var quotation = regexp.MustCompile(`"[^"]*"`)

// discreet keeps from a log what may be a secret that somebody wrote into the file: all
// but an address or a number.
func discreet(quoted string) string {
	if len(quoted) <= len(`"255.255.255.255/32"`) && strings.Trim(quoted, `"0123456789.:/`) == "" {
		return quoted
	}
	return `"..."`
}

// visible keeps control characters of the file from the operator's terminal.
func visible(r rune) rune {
	if unicode.IsPrint(r) {
		return r
	}
	return '?'
}

// quotesHint returns the remedy for the commonest of slips, as far as the
// parser's message lets one guess it.
func quotesHint(msg string) string {
	for _, sign := range []string{"expected value but found", "nvalid float", "expected a top-level item to end"} {
		if strings.Contains(msg, sign) {
			return ": put text, addresses and durations in straight quotes"
		}
	}
	return ""
}

// fileKeys are the tables of the file. They are read by readFile, because the
// rules between them need all of them.
var fileKeys = schema[Config]{
	{"check", nil},
	{"vip", nil},
	{"auth", nil},
	{"bgp", nil},
	{"metrics", nil},
	{"hook", nil},
}

func readFile(root value, host Host) *Config {
	fileKeys.refuseOthers(root)
	c := Default()
	c.VIPs, c.Auth = nil, nil
	vips := readVIPs(root, host)
	for _, v := range vips {
		c.VIPs = append(c.VIPs, v.VIP)
	}
	if checks := readChecks(root, c.VIPs); checks != nil {
		c.Checks = checks
	}
	if v, ok := root.entry("auth"); ok {
		c.Auth = readAuth(v)
	}
	c.BGP = readBGP(root, vips, host)
	if v, ok := root.entry("metrics"); ok {
		metricsKeys.read(v, &c.Metrics)
	}
	c.Hooks = readHooks(root)
	return c
}

// homes tells in which tables each key lives, for a key found in the wrong one.
func homes() map[string][]string {
	h := make(map[string][]string)
	vipKeys.in("[[vip]]", h)
	checkKeys.in("[[check]]", h)
	authKeys.in("[auth]", h)
	metricsKeys.in("[metrics]", h)
	hookKeys.in("[[hook]]", h)
	bgpKeys.in("[bgp]", h)
	bgpPeerKeys.in("[[bgp.peer]]", h)
	return h
}
