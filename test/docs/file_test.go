package docs_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// made are the files that the agent or the operator makes; the one has the names in
// its source, the other's are free.
var (
	ofAgent    = []string{"control.sock", "state.json", "history.jsonl"}
	ofOperator = regexp.MustCompile(`^(/etc/vipd/(vipd\.toml|keys(/[\w.-]+)?|ca\.crt|client\.(crt|key))|/run/vipd(/metrics\.sock)?|` +
		`/etc/systemd/system/vipd(-handover)?\.service\.d(/[\w-]+\.conf)?|/usr/local/bin/[\w-]+)$`)
)

var (
	ourPath   = regexp.MustCompile(`(?:/etc/vipd|/run/vipd|/usr/share/(?:doc/)?vipd|/usr/(?:local/)?bin/v|/usr/lib/firewalld|/etc/systemd/system/vipd)[\w./*-]*`)
	installed = regexp.MustCompile(`(?m)dst: ([^ ,}]+)`)
)

// TestFiles: each file of vipd's that a page names is in the package, or made by the
// agent, or by the operator as that page says.
func TestFiles(t *testing.T) {
	var shipped []string
	for _, m := range installed.FindAllStringSubmatch(read(t, "packaging/nfpm.yaml"), -1) {
		shipped = append(shipped, m[1])
	}
	agent := read(t, "agent/state.go") + read(t, "agent/history.go") + read(t, "agent/control/client.go")
	for _, p := range pages(t) {
		for _, path := range ourPath.FindAllString(p.text, -1) {
			path = strings.TrimRight(path, "./")
			within := func(f string) bool { return f == path || strings.HasPrefix(f, path+"/") }
			name, running := strings.CutPrefix(path, "/run/vipd/")
			if running && slices.Contains(ofAgent, name) && strings.Contains(agent, `"`+name+`"`) {
				continue
			}
			if !slices.ContainsFunc(shipped, within) && !ofOperator.MatchString(path) && path != "/usr/bin/v" {
				t.Errorf("%s: nobody makes %s", p.name, path)
			}
		}
	}
}
