package migrate

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/vipd/vipd/config"
)

// What the scripts of keepalived are given, they are given by the hooks, and when.
func TestHooksRunScripts(t *testing.T) {
	script := filepath.Join(t.TempDir(), "tell.sh")
	must(t, os.WriteFile(script, []byte("#!/bin/sh\nprintf ran\nfor a in \"$@\"; do printf '<%s>' \"$a\"; done\n"), 0o755))
	const (
		a = "vrrp_instance \"o'ne $HOME\" {\ninterface eth0\nvirtual_router_id 5\nvirtual_ipaddress { 198.51.100.1 }\n"
		b = "}\nvrrp_instance two {\ninterface eth0\nvirtual_router_id 6\nvirtual_ipaddress { 198.51.100.2 }\n}\n"
	)
	facts := func(event config.Happening, env ...string) happened { return happened{event, env} }
	active := facts("active", "VIPD_STATE=Active", "VIPD_CODE=silence", "VIPD_PRIORITY=150")
	backup := facts("backup", "VIPD_STATE=Backup", "VIPD_CODE=outranked", "VIPD_PRIORITY=1")
	linkless := facts("initialize", "VIPD_STATE=Initialize", "VIPD_CODE=link", "VIPD_PRIORITY=")
	ends := facts("initialize", "VIPD_STATE=Initialize", "VIPD_CODE=shutdown", "VIPD_PRIORITY=")
	for name, tt := range map[string]struct {
		lines, other string
		when         happened
		want         []string // what each script prints
	}{
		"master":                {"notify_master \"$S a 'b  c'\"", "", active, []string{"ran<a><b  c>"}},
		"master, not its time":  {"notify_master $S", "", backup, nil},
		"backup":                {"notify_backup $S", "", backup, []string{"ran"}},
		"fault":                 {"notify_fault \"$S x\"", "", linkless, []string{"ran<x>"}},
		"fault at the end":      {"notify_fault $S", "", ends, nil},
		"stop":                  {"notify_stop \"$S x\"", "", ends, []string{"ran<x>"}},
		"stop without a link":   {"notify_stop $S", "", linkless, nil},
		"any, master":           {"notify \"$S x\"", "", active, []string{"ran<x><INSTANCE><o'ne $HOME><MASTER><150>"}},
		"any, backup":           {"notify $S", "", backup, []string{"ran<INSTANCE><o'ne $HOME><BACKUP><1>"}},
		"any, fault":            {"notify $S", "", linkless, []string{"ran<INSTANCE><o'ne $HOME><FAULT><0>"}},
		"any, stop":             {"notify $S", "", ends, []string{"ran<INSTANCE><o'ne $HOME><STOP><0>"}},
		"by a shell":            {"notify \"true && $S\"", "", active, []string{"ran<INSTANCE><o'ne $HOME><MASTER><150>"}},
		"both":                  {"notify_master \"$S m\"\nnotify \"$S n\"", "", active, []string{"ran<m>", "ran<n><INSTANCE><o'ne $HOME><MASTER><150>"}},
		"of several":            {"notify_master \"$S m\"", b, active, []string{"ran<m>"}},
		"of several, another":   {"notify_master \"$S m\"", b, facts("active", "VIPD_VIP=two", "VIPD_STATE=Active"), nil},
		"of several, by shells": {"notify_master \"true; $S m\"", b, active, []string{"ran<m>"}},
	} {
		t.Run(name, func(t *testing.T) {
			other := tt.other
			if other == "" {
				other = "}\n"
			}
			text := "$S=" + script + "\n" + a + tt.lines + "\n" + other
			plan, err := fromKeepalived(one{[]byte(text)}, "keepalived.conf", "k3s1")
			must(t, err)
			env := append([]string{"VIPD_VIP=" + plan.VIPs[0].Name, "PATH=" + os.Getenv("PATH")}, tt.when.env...)
			if diff := cmp.Diff(tt.want, tt.when.run(t, plan.Hooks, env)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// happened is something that hooks run on.
type happened struct {
	event config.Happening
	env   []string
}

// run runs the hooks that are for it, as the agent does, and returns what their
// scripts print.
func (h happened) run(t *testing.T, hooks []config.Hook, env []string) []string {
	t.Helper()
	var out []string
	for _, hook := range hooks {
		if !slices.Contains(hook.On, h.event) {
			continue
		}
		cmd := exec.CommandContext(t.Context(), hook.Command[0], hook.Command[1:]...)
		cmd.Env = env
		text, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%q: %v: %s", hook.Command, err, text)
		}
		if len(text) > 0 {
			out = append(out, string(text))
		}
	}
	return out
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
