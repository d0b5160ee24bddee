package man_test

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// commands are the flags of each command, by its name; those of all commands are
// under "". A flag has its default, "" for none.
type commands map[string]map[string]string

var (
	helpCommand = regexp.MustCompile(`(?m)^  ([a-z]+)  +\S`)
	helpFlag    = regexp.MustCompile(`(?m)^ +(?:-\w, )?--([a-z-]+).*$`)
	helpDefault = regexp.MustCompile(`\(default "?([^:")]+)"?\)$`)
	pageFlag    = regexp.MustCompile(`Fl -([a-z-]+)`)
)

// helpOf asks the program for its commands and their flags.
func helpOf(t *testing.T, c commands, path ...string) {
	t.Helper()
	help := vipd(t, t.TempDir(), append(path, "--help")...).stdout
	_, list, _ := strings.Cut(help, "\nAvailable Commands:\n")
	list, _, _ = strings.Cut(list, "\n\n")
	for _, m := range helpCommand.FindAllStringSubmatch(list, -1) {
		helpOf(t, c, append(path, m[1])...)
	}
	_, list, _ = strings.Cut(help, "\nFlags:\n")
	list, _, _ = strings.Cut(list, "\n\n")
	flags := make(map[string]string)
	for _, m := range helpFlag.FindAllStringSubmatch(list, -1) {
		if m[1] == "help" && len(path) > 0 {
			continue
		}
		flags[m[1]] = ""
		if d := helpDefault.FindStringSubmatch(m[0]); d != nil {
			flags[m[1]] = d[1]
		}
	}
	c[strings.Join(path, " ")] = flags
}

// names returns the commands that an item is about: those behind a first one are
// its own, as in "Cm completion Cm bash | fish".
func (i item) names() (command string, subs []string) {
	parts := strings.Split(i.head, "Cm ")
	command, _, _ = strings.Cut(parts[1], " ")
	for _, part := range parts[2:] {
		for name := range strings.SplitSeq(part, "|") {
			subs = append(subs, command+" "+strings.TrimSpace(name))
		}
	}
	return command, subs
}

// flag returns the long flag that an item is about.
func (i item) flag() string {
	if m := pageFlag.FindStringSubmatch(i.head); m != nil {
		return m[1]
	}
	return i.head
}

// commands returns what the page says of the program.
func (p *page) commands() commands {
	c := commands{"": {}}
	for _, i := range p.in("OPTIONS") {
		c[""][i.flag()] = defaultOf(i)
	}
	for _, i := range p.in("COMMANDS") {
		if i.parent != "" {
			continue
		}
		flags := make(map[string]string)
		for _, f := range p.in("COMMANDS") {
			if f.parent == i.head {
				flags[f.flag()] = defaultOf(f)
			}
		}
		name, subs := i.names()
		c[name] = flags
		for _, sub := range subs {
			c[name], c[sub] = map[string]string{}, flags
		}
	}
	return c
}

// defaultOf returns the default of a flag, if it is a value and not words.
func defaultOf(i item) string {
	m := regexp.MustCompile(`(?m)^Default:\n\.Pa (\S+) \.$|^Default: (\d\w*)\.$`).FindStringSubmatch(i.text)
	if m == nil {
		return ""
	}
	return m[1] + m[2]
}

func TestCommands(t *testing.T) {
	want := make(commands)
	helpOf(t, want)
	p := readPage(t, "vipd.8")
	if diff := cmp.Diff(want, p.commands()); diff != "" {
		t.Errorf("commands and flags (-program +page):\n%s", diff)
	}
	for _, i := range p.in("COMMANDS") {
		if i.parent != "" || strings.Contains(i.head, "Ar option") {
			continue
		}
		name, _ := i.names()
		for _, m := range pageFlag.FindAllStringSubmatch(i.head, -1) {
			if _, ok := want[name][m[1]]; !ok {
				t.Errorf("%s has no --%s", name, m[1])
			}
		}
		if got := len(pageFlag.FindAllString(i.head, -1)); got != len(want[name]) {
			t.Errorf("the head of %s shows %d flags of %d", name, got, len(want[name]))
		}
	}
}

// Whatever command line a page shows, and whatever command it names, exists.
func TestCommandsInText(t *testing.T) {
	known := make(commands)
	helpOf(t, known)
	line := regexp.MustCompile(`(?m)(?:^|&& |\$h )vipd ([a-z]+)([^|&\n]*)`)
	flag := regexp.MustCompile(`--([a-z-]+)`)
	for _, name := range []string{"vipd.8", "vipd.toml.5"} {
		p := readPage(t, name)
		for _, word := range p.named() {
			if known[word] == nil {
				t.Errorf("%s: there is no command %s", name, word)
			}
		}
		for _, m := range line.FindAllStringSubmatch(p.typed(), -1) {
			flags, ok := known[m[1]]
			if !ok {
				t.Errorf("%s: there is no command in %q", name, m[0])
			}
			for _, f := range flag.FindAllStringSubmatch(m[2], -1) {
				if _, ok := flags[f[1]]; !ok {
					t.Errorf("%s: there is no flag --%s in %q", name, f[1], m[0])
				}
			}
		}
	}
}

// named returns the commands that the text mentions.
func (p *page) named() []string {
	var names []string
	for _, line := range p.lines {
		list, ok := strings.CutPrefix(line, ".Cm ")
		list, _, _ = strings.Cut(list, " Fl ")
		for name := range strings.FieldsSeq(list) {
			if ok && name != "," && name != "." && name != ":" {
				names = append(names, name)
			}
		}
	}
	return names
}

// typed returns what the page shows as typed, a line each.
func (p *page) typed() string {
	var b strings.Builder
	for _, line := range p.lines {
		if quoted, ok := strings.CutPrefix(line, ".Ql "); ok {
			b.WriteString(quoted + "\n")
		}
	}
	for _, l := range p.literals {
		b.WriteString(l.text)
	}
	return b.String()
}

func TestExitStatus(t *testing.T) {
	dir := t.TempDir()
	var want []string
	for _, args := range [][]string{{"version"}, {"check", "--config", "none"}, {"nothing"}, {"run", "--config", "none", "--runtime-dir", dir}} {
		want = append(want, strconv.Itoa(vipd(t, dir, args...).code))
	}
	var got []string
	p := readPage(t, "vipd.8")
	for _, i := range p.in("EXIT STATUS") {
		got = append(got, i.head)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-program +page):\n%s", diff)
	}
}

func TestSignals(t *testing.T) {
	const names = `SIG[A-Z0-9]+`
	p := readPage(t, "vipd.8")
	if diff := cmp.Diff(words(names, vipd(t, t.TempDir(), "run", "--help").stdout), words(names, p.text("SIGNALS"))); diff != "" {
		t.Errorf("(-program +page):\n%s", diff)
	}
}

func TestUnits(t *testing.T) {
	var want []string
	for _, pattern := range []string{"*.service", "examples/*.conf"} {
		files, err := filepath.Glob(filepath.Join("../../systemd", pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			want = append(want, filepath.Base(f))
		}
	}
	slices.Sort(want)
	p := readPage(t, "vipd.8")
	if diff := cmp.Diff(want, words(`[\w-]+\.(?:service|conf)\b`, strings.ReplaceAll(p.text("UNITS"), "vipd.service.d", ""))); diff != "" {
		t.Errorf("(-systemd +page):\n%s", diff)
	}
}

// What the pages say is installed, the packages install.
func TestFiles(t *testing.T) {
	b, err := os.ReadFile("../nfpm.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"vipd.8", "vipd.toml.5"} {
		p := readPage(t, name)
		for _, path := range words(`/usr/[\w./-]+\w|/etc/\S+\.example`, p.text("FILES")) {
			if !regexp.MustCompile(`dst: ` + regexp.QuoteMeta(path) + `[,/ ]`).Match(b) {
				t.Errorf("%s: packaging/nfpm.yaml does not install %s", name, path)
			}
		}
	}
}

// The journal has a field for each attribute of the log.
func TestJournalFields(t *testing.T) {
	var source []byte
	for _, name := range []string{"recorder.go", "hook.go"} {
		b, err := os.ReadFile("../../agent/" + name)
		if err != nil {
			t.Fatal(err)
		}
		source = append(source, b...)
	}
	attrs := make(map[string]bool)
	for _, m := range regexp.MustCompile(`slog\.\w+\("([a-z_]+)",`).FindAllStringSubmatch(string(source), -1) {
		attrs["VIPD_"+strings.ToUpper(m[1])] = true
	}
	p := readPage(t, "vipd.8")
	if diff := cmp.Diff(slices.Sorted(maps.Keys(attrs)), words(`VIPD_[A-Z_]+`, p.text("JOURNAL"))); diff != "" {
		t.Errorf("(-agent +page):\n%s", diff)
	}
	for _, name := range words(`VIPD_[A-Z_]+`, p.text("EXAMPLES")) {
		if !attrs[name] {
			t.Errorf("an example asks for %s, which does not exist", name)
		}
	}
}

// words returns what matches the pattern, each once and sorted.
func words(pattern, text string) []string {
	found := regexp.MustCompile(pattern).FindAllString(text, -1)
	slices.Sort(found)
	return slices.Compact(found)
}
