package docs_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vipd/vipd/test/cluster"
	"github.com/vipd/vipd/test/lab"
)

// glance is for a command that goes on until Ctrl-C.
const glance = 3 * time.Second

// TestCommandsRun runs each command of vipd that a page has, on a server of two with
// an agent and an API server.
func TestCommandsRun(t *testing.T) {
	t.Parallel()
	c, binaries := servers(t, 2)
	done := make(map[string]bool)
	for _, p := range pages(t) {
		for _, cmd := range p.commands() {
			line := strings.Join(cmd.words, " ")
			if cmd.words[0] != "vipd" || done[line] || slices.Contains(cmd.words, "run") || strings.Contains(line, "...") {
				continue
			}
			done[line] = true
			trial{binaries.Vipd, c.Servers[0], p.name}.run(t, cmd)
		}
	}
	if len(done) < 30 {
		t.Errorf("only %d commands were run", len(done))
	}
	t.Run("filters", func(t *testing.T) { filter(t, c.Servers[0]) })
}

// filtered is a program for jq.
var filtered = regexp.MustCompile(`(?s)\bjq (?:-[a-z]+ )*'([^']+)'`)

// filter runs each program for jq on what a server prints, where it has to make
// something of the one document or the other.
func filter(t *testing.T, s *cluster.Server) {
	lab.Require(t, "jq")
	var documents []string
	for _, command := range []string{"status", "history"} {
		out, err := s.Vipd(command, "--json")
		if err != nil {
			t.Fatal(err)
		}
		documents = append(documents, out)
	}
	n := 0
	for _, p := range pages(t) {
		for _, b := range p.blocks {
			for _, m := range filtered.FindAllStringSubmatch(b.text, -1) {
				n++
				if !slices.ContainsFunc(documents, func(d string) bool { return makes(t, m[1], d) }) {
					t.Errorf("%s:%d: jq makes nothing of status or history with %s", p.name, b.line, m[1])
				}
			}
		}
	}
	if n < 3 {
		t.Errorf("only %d programs for jq were found", n)
	}
}

func makes(t *testing.T, program, document string) bool {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "jq", "-e", program)
	cmd.Stdin = strings.NewReader(document)
	return cmd.Run() == nil
}

// trial is where commands are run.
type trial struct {
	vipd   string
	server *cluster.Server
	page   string
}

// run wants a command to do what it was told: to end with 0, but where it looks for
// what is not here.
func (x trial) run(t *testing.T, c command) {
	t.Helper()
	args, want := x.here(t, c.words[1:])
	limit := patience
	if slices.Contains(args, "--watch") {
		limit = glance
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, x.vipd, args...)
	cmd.Dir = t.TempDir()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := x.server.Node.Start(cmd); err != nil {
		t.Fatal(err)
	}
	err := cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if limit == glance && ctx.Err() != nil && out.Len() > 0 {
		return // it would have gone on
	}
	if code := cmd.ProcessState.ExitCode(); !slices.Contains(want, code) {
		t.Errorf("%s:%d: %s: exit %d, want one of %v: %s", x.page, c.line, strings.Join(args, " "), code, want, out.String())
	}
}

// here returns a command line for this server, and how it may end: the addresses are
// the lab's, nothing is written over, and what would take long takes less.
func (x trial) here(t *testing.T, args []string) ([]string, []int) {
	t.Helper()
	args = slices.Clone(args)
	for i, a := range args {
		a = strings.ReplaceAll(a, "192.0.2.100", cluster.VIP4.String())
		if regexp.MustCompile(`\.(conf|yaml)$`).MatchString(a) {
			a = migrated(t, a)
		}
		if a == "./vipd.toml" || a == "/etc/vipd/vipd.toml" {
			a = x.server.ConfigPath()
		}
		if filepath.Ext(a) == ".pcap" {
			a = filepath.Join(t.TempDir(), "night.pcap")
		}
		if args[i] = a; i > 0 && args[i-1] == "--interface" {
			args[i] = lab.Interface
		}
	}
	want := []int{0}
	name := ""
	if len(args) > 0 {
		name = args[0]
	}
	switch name {
	case "init":
		if !slices.Contains(args, "--address") && !strings.Contains(strings.Join(args, " "), "--from") {
			args = append(args, "--address", cluster.VIP4.String())
		}
		switch args[len(args)-1] { // named in passing
		case "--from-keepalived":
			args = append(args, migrated(t, "keepalived.conf"))
		case "--from-kube-vip":
			args = append(args, migrated(t, "kube-vip.yaml"))
		}
		if slices.Contains(args, "--from-kube-vip") { // the file names another
			args = append(args, "--interface", lab.Interface)
		}
		if !slices.Contains(args, "--output") {
			args = append(args, "--output", "-")
		}
	case "watch":
		args, want = append(args, "--duration", "300ms"), []int{0, 1} // fewer than --count
	case "doctor":
		args, want = append(args, "--listen", "300ms"), []int{0, 1} // this is no K3s
	case "release":
		want = []int{1} // the agent runs
	case "completion":
		if len(args) == 1 {
			args = append(args, "bash")
		}
	}
	if name != "" && name != "completion" && name != "help" && !slices.Contains(args, "--config") {
		args = append(args, "--config", x.server.ConfigPath())
	}
	if name != "" && name != "completion" && name != "help" && !slices.Contains(args, "--runtime-dir") {
		args = append(args, "--runtime-dir", x.server.RuntimeDir())
	}
	return args, want
}

// migrated returns a file of the tree in place of one that a reader has.
func migrated(t *testing.T, name string) string {
	t.Helper()
	pattern := "migrate/testdata/*.conf"
	if filepath.Ext(name) == ".yaml" {
		pattern = "migrate/testdata/*.yaml"
	}
	found, err := filepath.Glob(filepath.Join(root, pattern))
	if err != nil || len(found) == 0 {
		t.Fatalf("there is no %s (%v)", pattern, err)
	}
	path, err := filepath.Abs(found[0])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatal(err)
	}
	return path
}
