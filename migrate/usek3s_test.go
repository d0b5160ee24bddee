package migrate

import (
	"slices"
	"testing"

	"github.com/vipd/vipd/config"
)

// Where K3s is on this host is taken over, but not against what the source said.
func TestUseK3s(t *testing.T) {
	usual := config.Default().Checks[0]
	moved := usual
	moved.URL, moved.DataDir, moved.Unit = "https://127.0.0.1:443", "/srv/k3s", "k3s-lab.service"
	told, both := usual, moved
	told.URL, both.URL = "https://127.0.0.1:7443", "https://127.0.0.1:7443"
	script := config.Check{Type: config.CheckExec, Command: []string{"/bin/true"}}
	for name, tt := range map[string]struct{ from, want []config.Check }{
		"the defaults":    {nil, []config.Check{moved}},
		"another URL":     {[]config.Check{told}, []config.Check{both}},
		"beside a script": {[]config.Check{usual, script}, []config.Check{moved, script}},
		"a script alone":  {[]config.Check{script}, []config.Check{script}},
	} {
		p := Plan{Checks: slices.Clone(tt.from)}
		p.UseK3s("", "", "")
		if !slices.EqualFunc(p.Checks, tt.from, sameCheck) {
			t.Errorf("%s: nothing was found, and it is %+v", name, p.Checks)
		}
		p.UseK3s(moved.URL, moved.DataDir, moved.Unit)
		if !slices.EqualFunc(p.Checks, tt.want, sameCheck) {
			t.Errorf("%s: %+v, want %+v", name, p.Checks, tt.want)
		}
	}
}

func sameCheck(a, b config.Check) bool {
	return a.Type == b.Type && a.URL == b.URL && a.DataDir == b.DataDir && a.Unit == b.Unit
}
