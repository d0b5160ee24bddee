package config

import (
	"net"
	"net/netip"
	"net/url"
	"path"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Check is a probe of what the VIP leads to. Only the fields that its type uses
// are set.
type Check struct {
	Type CheckType

	URL                string   // k3s, https
	DataDir            string   // k3s: absolute
	CAFile             string   // https: absolute; empty: the system's authorities
	CertFile, KeyFile  string   // https: absolute, both or neither
	InsecureSkipVerify bool     // https
	ExpectStatus       int      // https: 100 to 599
	Address            string   // tcp: host:port
	Command            []string // exec: program (absolute) and arguments
	Unit               string   // k3s, systemd; k3s may leave it empty: none is watched

	Interval     time.Duration // from one start to the next, 100 ms to 1 min
	Timeout      time.Duration // of a probe (k3s: of "alive"), 1 ms to 1 min
	ReadyTimeout time.Duration // k3s: of "ready", above 2 s, to 1 min
	Fall         int           // failures in a row before the grade falls, 1 to 100
	Rise         int           // successes in a row before it rises, 1 to 100
}

// CheckType is the kind of a [Check].
type CheckType string

// The kinds of check.
const (
	CheckK3s     CheckType = "k3s"     // alive and ready, with a client certificate from the disk
	CheckHTTPS   CheckType = "https"   // a request that has the expected status
	CheckTCP     CheckType = "tcp"     // a connection that is accepted
	CheckExec    CheckType = "exec"    // a command that exits 0
	CheckSystemd CheckType = "systemd" // a unit that is active
	CheckNone    CheckType = "none"    // always ready
)

// String names the check and its target, as in "tcp 127.0.0.1:6443".
func (c Check) String() string {
	switch c.Type {
	case CheckK3s, CheckHTTPS:
		return string(c.Type) + " " + c.URL
	case CheckTCP:
		return string(c.Type) + " " + c.Address
	case CheckExec:
		return string(c.Type) + " " + strings.Join(c.Command, " ")
	case CheckSystemd:
		return string(c.Type) + " " + c.Unit
	}
	return string(c.Type)
}

// Equal tells whether c and o are configured alike.
func (c Check) Equal(o Check) bool { return reflect.DeepEqual(c, o) }

// Limits of a check. K3s answers a failing etcd only after etcdWait, so that a
// shorter wait for "ready" could not tell why.
const (
	minInterval = 100 * time.Millisecond
	minTimeout  = time.Millisecond
	maxWait     = time.Minute
	etcdWait    = 2 * time.Second
	maxInARow   = 100

	internalPort = "6444" // of K3s's own kube-apiserver
)

// checkKeys are the keys of [[check]], of whatever type.
var checkKeys = schema[Check]{
	{"type", nil},
	{"url", readURL},
	{"data_dir", func(v value, c *Check) { readPath(v, &c.DataDir) }},
	{"unit", readUnit},
	{"ca_file", func(v value, c *Check) { readPath(v, &c.CAFile) }},
	{"cert_file", func(v value, c *Check) { readPath(v, &c.CertFile) }},
	{"key_file", func(v value, c *Check) { readPath(v, &c.KeyFile) }},
	{"insecure_skip_verify", func(v value, c *Check) { v.flag(&c.InsecureSkipVerify) }},
	{"expect_status", func(v value, c *Check) { whole(v, &c.ExpectStatus, 100, 599, "") }},
	{"address", readTCPAddress},
	{"command", func(v value, c *Check) { readCommand(v, &c.Command, "/usr/local/bin/check", "--fast") }},
	{"interval", func(v value, c *Check) { v.duration(&c.Interval, minInterval, maxWait) }},
	{"timeout", func(v value, c *Check) { v.duration(&c.Timeout, minTimeout, maxWait) }},
	{"ready_timeout", readReadyTimeout},
	{"fall", func(v value, c *Check) { whole(v, &c.Fall, 1, maxInARow, "") }},
	{"rise", func(v value, c *Check) { whole(v, &c.Rise, 1, maxInARow, "") }},
}

// own returns the keys that belong to t besides those of all types, the ones it
// can't do without first, and how many these are.
func (t CheckType) own() (keys []string, required int) {
	switch t {
	case CheckK3s:
		return []string{"url", "data_dir", "unit", "ready_timeout"}, 0
	case CheckHTTPS:
		return []string{"url", "ca_file", "cert_file", "key_file", "insecure_skip_verify", "expect_status"}, 1
	case CheckTCP:
		return []string{"address"}, 1
	case CheckExec:
		return []string{"command"}, 1
	case CheckSystemd:
		return []string{"unit"}, 1
	}
	return nil, 0
}

// keys returns all keys that a check of type t takes.
func (t CheckType) keys() []string {
	if t == CheckNone {
		return []string{"type"}
	}
	own, _ := t.own()
	return slices.Concat([]string{"type"}, own, []string{"interval", "timeout", "fall", "rise"})
}

// readChecks returns the checks of the file; nil if it has none.
func readChecks(root value, vips []VIP) []Check {
	var checks []Check
	for _, t := range root.tables("check") {
		if c, ok := readCheck(t); ok {
			refuseVIP(t, c, vips)
			checks = append(checks, c)
		}
	}
	return checks
}

func readCheck(t value) (Check, bool) {
	kind, ok := t.entry("type")
	if !ok {
		t.failKey("type", "missing: choose \"k3s\", \"https\", \"tcp\", \"exec\", \"systemd\" or \"none\"")
		return Check{}, false
	}
	var typ CheckType
	if !oneOf(kind, &typ, CheckK3s, CheckHTTPS, CheckTCP, CheckExec, CheckSystemd, CheckNone) {
		return Check{}, false
	}
	c := defaultCheck(typ)
	checkKeys.read(t, &c)
	refuseForeign(t, typ)
	own, required := typ.own()
	for _, name := range own[:required] {
		if !t.has(name) {
			t.failKey(name, "missing: type %q needs it", typ)
		}
	}
	if t.has("cert_file") != t.has("key_file") {
		t.failKey("cert_file", "goes with key_file: give both or neither")
	}
	if c.InsecureSkipVerify && c.CAFile != "" {
		t.failKey("insecure_skip_verify", "makes ca_file useless: remove one of the two")
	}
	return c, true
}

// refuseForeign reports the keys that belong to checks of another type.
func refuseForeign(t value, typ CheckType) {
	mine := typ.keys()
	for _, name := range checkKeys.names() {
		if !t.has(name) || slices.Contains(mine, name) {
			continue
		}
		if typ == CheckNone {
			t.failKey(name, "does not belong to type \"none\", which takes no other key: remove it")
			continue
		}
		t.failKey(name, "does not belong to type %q, which takes %s: remove it", typ, strings.Join(mine[1:], ", "))
	}
}

// refuseVIP reports a check that would probe whichever node holds the VIP.
func refuseVIP(t value, c Check, vips []VIP) {
	key, host := "url", ""
	switch c.Type {
	case CheckK3s, CheckHTTPS:
		if u, err := url.Parse(c.URL); err == nil {
			host = u.Hostname()
		}
	case CheckTCP:
		key = "address"
		host, _, _ = net.SplitHostPort(c.Address)
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return
	}
	for _, v := range vips {
		if slices.Contains(v.Addresses, a.Unmap()) {
			t.failKey(key, "%s is a virtual IP, which leads to whichever node holds it: probe this node, at 127.0.0.1", a)
			return
		}
	}
}

func readURL(v value, c *Check) {
	var s string
	if !v.text(&s, "https://127.0.0.1:6443") {
		return
	}
	u, err := url.Parse(s)
	switch {
	case err != nil || !u.IsAbs():
		// The text is not quoted, nor err shown: there may be a password in it.
		v.fail("is not a URL: write one such as \"https://127.0.0.1:6443\"")
	case u.User != nil:
		v.fail("holds a user name: remove it, and use a client certificate")
	case u.Scheme != "https":
		v.fail("%q is not https: write \"https://\" and a host", u.Scheme)
	case u.Hostname() == "":
		v.fail("%q has no host: write one such as \"https://127.0.0.1:6443\"", s)
	case u.Port() != "" && !isPort(u.Port()):
		v.fail("%s is not a port: choose 1 to 65535", u.Port())
	case c.Type == CheckK3s && u.Port() == internalPort:
		v.fail("6444 is K3s's internal port: write 6443")
	case c.Type == CheckK3s && (strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != ""):
		v.fail("%q has more than a host and port: write %q, the paths are vipd's to choose", s, "https://"+u.Host)
	default:
		c.URL = strings.TrimSuffix(s, "/")
	}
}

func isPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0
}

func readPath(v value, into *string) {
	var s string
	if !v.text(&s, "/etc/vipd/...") {
		return
	}
	if !path.IsAbs(s) || strings.ContainsRune(s, 0) {
		v.fail("%q is not an absolute path: start it with /", s)
		return
	}
	*into = path.Clean(s)
}

func readUnit(v value, c *Check) {
	var s string
	if !v.text(&s, "k3s.service") {
		return
	}
	if s == "" && c.Type == CheckK3s {
		c.Unit = ""
		return
	}
	kinds := []string{".service"}
	if c.Type == CheckSystemd {
		kinds = []string{".service", ".socket", ".target", ".mount", ".timer", ".path"}
	}
	if !madeOf(s, letters+digits+":-_.\\@", 255) {
		v.fail("%q is not the name of a unit: write one such as \"k3s.service\"", s)
		return
	}
	if suffix := path.Ext(s); !slices.Contains(kinds, suffix) || suffix == s {
		v.fail("%q does not end in %s: write one such as %q", s, strings.Join(kinds, ", "), strings.TrimSuffix(s, suffix)+".service")
		return
	}
	c.Unit = s
}

func readTCPAddress(v value, c *Check) {
	var s string
	if !v.text(&s, "127.0.0.1:6443") {
		return
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil || host == "" || !isPort(port) || !printable(host, 253, "/") {
		v.fail("%q is not a host and port: write one such as \"127.0.0.1:6443\"", s)
		return
	}
	c.Address = s
}

// readCommand reads a program and its arguments. What it suggests is example.
func readCommand(v value, into *[]string, example, argument string) {
	list := v.strings(example)
	elements, ok := v.elements()
	if ok && len(elements) == 0 {
		v.fail("is empty: list the program and its arguments, such as [%q, %q]", example, argument)
	}
	if len(list) != len(elements) || len(list) == 0 {
		return
	}
	var command []string
	for _, e := range list {
		command = append(command, e.data.(string))
	}
	if !path.IsAbs(command[0]) || strings.ContainsRune(strings.Join(command, ""), 0) {
		list[0].fail("%q is not an absolute path: no shell looks for it, write one such as %q", command[0], example)
		return
	}
	*into = command
}

func readReadyTimeout(v value, c *Check) {
	d := c.ReadyTimeout
	if !v.duration(&d, 0, maxWait) {
		return
	}
	if d <= etcdWait {
		v.fail("%s is too short: choose more than %s, for that long K3s takes to answer when etcd fails", Spell(d), Spell(etcdWait))
		return
	}
	c.ReadyTimeout = d
}
