package config

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDiff(t *testing.T) {
	const (
		a    = "[[vip]]\nname = \"a\"\nvrid = 1\naddresses = [\"192.0.2.1\"]\n"
		b    = "[[vip]]\nname = \"b\"\nvrid = 2\naddresses = [\"192.0.2.2\"]\npeers = [\"192.0.2.11\"]\n"
		c    = "[[vip]]\nname = \"c\"\nvrid = 3\naddresses = [\"192.0.2.3\"]\n"
		hook = "[[hook]]\non = [\"active\"]\ncommand = [\"/x\"]\n"
		auth = "[auth]\nkeys = [{ id = 1, file = \"/k\" }]\n"
	)
	tests := []struct {
		name, old, new string
		want           string
	}{
		{"same", a + b, a + b, "=a =b"},
		{"same in another order and with defaults spelt out", a + b, b + a + "priority = 200\npeers = []\n", "=b =a"},
		{"added", a, a + b, "=a +b"},
		{"removed", a + b + c, b, "=b -a -c"},
		{"priority", a + b, a + "priority = 210\n" + b, "=b ~a"},
		{"peers", b, b[:len(b)-2] + ", \"192.0.2.12\"]", "~b"},
		{"check", a, a + "[[check]]\ntype = \"none\"\n", "=a checks"},
		{"default check spelt out", a, a + "[[check]]\ntype = \"k3s\"\n", "=a"},
		{"auth added", a, a + auth, "=a auth"},
		{"auth removed", a + auth, a, "=a auth"},
		{"auth mode", a + auth, a + auth + "mode = \"permissive\"", "=a auth"},
		{"auth kept", a + auth, a + auth, "=a"},
		{"hook added", a, a + hook, "=a hooks"},
		{"hook kept", a + hook, hook + a, "=a"},
		{"hook changed", a + hook, a + hook + "timeout = \"1s\"", "=a hooks"},
		{"metrics", a, a + "[metrics]\nlisten = \"127.0.0.1:9693\"", "=a metrics"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			old, new := parse(t, tt.old), parse(t, tt.new)
			d := Diff(old, new)
			if diff := cmp.Diff(tt.want, sketch(d)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// sketch writes d as "=unchanged ~changed +added -removed checks auth metrics hooks".
func sketch(d Difference) string {
	s := ""
	for _, v := range d.Unchanged {
		s += " =" + v.Name
	}
	for _, c := range d.Changed {
		s += " ~" + c.New.Name
	}
	for _, v := range d.Added {
		s += " +" + v.Name
	}
	for _, v := range d.Removed {
		s += " -" + v.Name
	}
	if d.Checks {
		s += " checks"
	}
	if d.Auth {
		s += " auth"
	}
	if d.Metrics {
		s += " metrics"
	}
	if d.Hooks {
		s += " hooks"
	}
	return s[1:]
}
