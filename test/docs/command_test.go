package docs_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/vipd/vipd/test/lab"
)

// TestShell: what is to be typed is shell.
func TestShell(t *testing.T) {
	for _, p := range pages(t) {
		for _, b := range p.blocks {
			if b.lang != "sh" {
				continue
			}
			cmd := exec.CommandContext(t.Context(), "bash", "-n")
			cmd.Stdin = strings.NewReader(b.text)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s:%d: %v: %s", p.name, b.line, err, out)
			}
		}
	}
}

// TestShellIsSound: shellcheck has nothing against it either.
func TestShellIsSound(t *testing.T) {
	if _, err := exec.LookPath("shellcheck"); err != nil {
		lab.Miss(t, "shellcheck: run make deps")
	}
	dir := t.TempDir()
	args := []string{"--shell=bash"}
	for _, p := range pages(t) {
		for _, b := range p.blocks {
			if b.lang == "sh" {
				file := filepath.Join(dir, fmt.Sprintf("%s:%d", filepath.Base(p.name), b.line))
				must(t, os.WriteFile(file, []byte(b.text), 0o644))
				args = append(args, file)
			}
		}
	}
	if out, err := exec.CommandContext(t.Context(), "shellcheck", args...).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// TestCommands: each program that is to be run is known, and vipd, systemd, make and
// go know what they are told.
func TestCommands(t *testing.T) {
	known := helps(t)
	n := 0
	for _, p := range pages(t) {
		for _, c := range p.commands() {
			n++
			if err := c.check(t, known); err != nil {
				t.Errorf("%s:%d: %s: %v", p.name, c.line, strings.Join(c.words, " "), err)
			}
		}
	}
	if n < 150 {
		t.Errorf("only %d commands were found", n)
	}
}

// commands are those of the page: of its blocks, and those within a line that begin
// with one of ours.
func (p page) commands() []command {
	var all []command
	for _, b := range p.blocks {
		if b.lang == "sh" || b.lang == "" {
			all = append(all, b.typed()...)
		}
	}
	for _, s := range p.spans {
		if strings.ContainsAny(s.text, "[|") {
			continue // how a command is made up
		}
		for _, words := range split(strings.TrimPrefix(s.text, "sudo ")) {
			if slices.Contains(ours, words[0]) && len(words) > 1 || (words[0] == "make" || words[0] == "go") && len(words) > 1 {
				all = append(all, command{words, s.line})
			}
		}
	}
	return all
}

func (c command) check(t *testing.T, known map[string]string) error {
	program, args := c.words[0], c.words[1:]
	switch program {
	case "vipd":
		return checkVipd(args, known)
	case "systemctl":
		return checkSystemctl(args)
	case "journalctl":
		return checkJournalctl(args)
	case "make":
		return checkMake(t, args)
	case "go":
		return checkGo(t, args)
	case "apt", "dnf":
		return checkPackage(args)
	}
	if !slices.Contains(others, program) && !strings.ContainsAny(program, "/$<") {
		return fmt.Errorf("%s is not a program that these pages know", program)
	}
	return nil
}

// checkVipd wants the command, and its flags, as its help has them.
func checkVipd(args []string, known map[string]string) error {
	name := ""
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		name, args = args[0], args[1:]
	}
	if name == "help" {
		return nil
	}
	help, ok := known[name]
	if !ok {
		return fmt.Errorf("there is no command %q", name)
	}
	for i, a := range args {
		flag, _, _ := strings.Cut(a, "=")
		switch {
		case strings.HasPrefix(a, "--") && !strings.Contains(help, " "+flag+" ") && !strings.Contains(help, " "+flag+"\n"):
			return fmt.Errorf("%s has no %s", name, flag)
		case strings.HasPrefix(a, "-") && !strings.HasPrefix(a, "--") && len(a) > 1 && !strings.Contains(help, " "+a+","):
			return fmt.Errorf("%s has no %s", name, a)
		case !strings.HasPrefix(a, "-") && (i == 0 || !strings.HasPrefix(args[i-1], "-")) && name != "completion" && a != "...":
			return fmt.Errorf("%s takes no argument %q", name, a)
		}
	}
	return nil
}

// units are those of the package, and those of others that pages speak of.
var units = regexp.MustCompile(`^(vipd|vipd-handover|k3s|keepalived|nftables|firewalld|systemd-networkd|systemd-timesyncd|chrony|NAME|UNIT)(\.service)?$`)

var verbs = strings.Fields("start stop restart reload status enable disable mask unmask cat daemon-reload add-wants poweroff reboot is-active edit show reset-failed kill list-units")

func checkSystemctl(args []string) error {
	args = slices.DeleteFunc(slices.Clone(args), func(a string) bool { return strings.HasPrefix(a, "-") })
	if len(args) == 0 || !slices.Contains(verbs, args[0]) {
		return fmt.Errorf("systemctl has no such verb")
	}
	for _, u := range args[1:] {
		if !units.MatchString(u) {
			return fmt.Errorf("there is no unit %s", u)
		}
	}
	return nil
}

func checkJournalctl(args []string) error {
	for i, a := range args {
		if a == "-u" && (i+1 == len(args) || !units.MatchString(args[i+1])) {
			return fmt.Errorf("there is no such unit")
		}
		if field, _, ok := strings.Cut(a, "="); ok && !strings.HasPrefix(a, "-") && !slices.Contains(journalFields, field) {
			return fmt.Errorf("the journal has no field %s", field)
		}
	}
	return nil
}

// journalFields are held to the log by the tests of the manual pages.
var journalFields = strings.Fields("VIPD_VIP VIPD_FAMILY VIPD_VRID VIPD_INTERFACE VIPD_STATE VIPD_FROM VIPD_GRADE VIPD_CAUSE VIPD_HOOK VIPD_EVENT")

func checkMake(t *testing.T, args []string) error {
	makefile := read(t, "Makefile")
	for _, a := range args {
		if name, _, ok := strings.Cut(a, "="); ok {
			if !regexp.MustCompile(`(?m)\b` + name + `\b`).MatchString(makefile) {
				return fmt.Errorf("the Makefile has no %s", name)
			}
			continue
		}
		if !regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(a) + `:`).MatchString(makefile) {
			return fmt.Errorf("there is no target %s", a)
		}
	}
	return nil
}

var packageDir = regexp.MustCompile(`^\./[\w/]+$`)

func checkGo(t *testing.T, args []string) error {
	var dir string
	for _, a := range args {
		if packageDir.MatchString(a) {
			dir = a[2:]
		}
	}
	for i, a := range args {
		name, _, _ := strings.Cut(strings.Trim(a, "^$"), "/")
		if i == 0 || args[i-1] != "-run" || name == "" || dir == "" {
			continue
		}
		out, err := exec.CommandContext(t.Context(), "grep", "-rlE", "^func "+name, root+"/"+dir).Output()
		if err != nil || len(out) == 0 {
			return fmt.Errorf("%s has no test %s", dir, name)
		}
	}
	if dir == "" {
		return nil
	}
	return leads(dir, "")
}

// checkPackage wants packages to be this one: by name, or as a file that make package
// writes.
func checkPackage(args []string) error {
	for _, a := range args[1:] {
		if !strings.HasPrefix(a, "-") && !slices.Contains([]string{"vipd", "./vipd_*.deb", "./vipd-*.rpm"}, a) {
			return fmt.Errorf("there is no package %s", a)
		}
	}
	return nil
}

// helps returns the help of each command of the program, and under "" that of all.
func helps(t *testing.T) map[string]string {
	t.Helper()
	binary := build(t)
	ask := func(args ...string) string {
		out, err := exec.CommandContext(t.Context(), binary, append(args, "--help")...).Output()
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	known := map[string]string{"": ask()}
	for _, m := range regexp.MustCompile(`(?m)^  ([a-z]+)  +\S`).FindAllStringSubmatch(known[""], -1) {
		if m[1] != "vipd" {
			known[m[1]] = ask(m[1])
		}
	}
	return known
}

// build returns a program made of the tree.
func build(t *testing.T) string {
	t.Helper()
	binary := t.TempDir() + "/vipd"
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "github.com/vipd/vipd/cmd/vipd").CombinedOutput(); err != nil {
		t.Fatalf("build vipd: %v: %s", err, out)
	}
	return binary
}
