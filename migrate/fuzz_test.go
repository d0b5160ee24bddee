package migrate

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// one is a source of a single file, which every pattern means.
type one struct{ text []byte }

func (o one) Read(string) ([]byte, error) { return o.text, nil }

func (o one) Match(pattern string) ([]string, error) {
	if pattern == "/none" {
		return nil, errors.New("no such file")
	}
	return []string{pattern}, nil
}

// Whatever the file, what comes out of it is a valid vipd.toml or an error.
func FuzzKeepalived(f *testing.F) {
	seed(f, "*.conf")
	f.Add([]byte("vrrp_instance \"a\x01b\" {\n interface \"\"\n virtual_ipaddress { ::ffff:198.51.100.1/100 fe80::1%eth0 }\n virtual_router_id 1\n}"))
	f.Add([]byte("$A=a\\\nb\n${A}{}}{ '\"\\"))
	f.Fuzz(func(t *testing.T, text []byte) {
		plan, err := fromKeepalived(one{text}, "keepalived.conf", "k3s1")
		renders(t, plan, err)
	})
}

func FuzzKubeVip(f *testing.F) {
	seed(f, "*.yaml")
	f.Fuzz(func(t *testing.T, text []byte) {
		plan, err := fromKubeVip("kube-vip.yaml", text)
		renders(t, plan, err)
	})
}

func renders(t *testing.T, plan *Plan, err error) {
	if err != nil {
		return
	}
	for i := range plan.VIPs {
		if plan.VIPs[i].NeedsVRID() {
			plan.VIPs[i].Choose(uint8(255-i%200), 0, "free\nhere")
		}
	}
	for _, n := range plan.Notes {
		_ = n.String()
	}
	const limit = 64 << 10 // a file that is larger may be too large for vipd
	if text, err := plan.Render(); err != nil && size(plan) < limit {
		t.Errorf("%v\n%s", err, text)
	}
}

func size(plan *Plan) int {
	n := 0
	for _, c := range plan.Checks {
		for _, w := range c.Command {
			n += len(w)
		}
	}
	for _, h := range plan.Hooks {
		n += 64
		for _, w := range h.Command {
			n += len(w)
		}
	}
	for _, v := range plan.VIPs {
		n += 64 * (len(v.Addresses) + len(v.Peers) + len(v.PriorityByHost) + 4)
	}
	return n
}

func seed(f *testing.F, pattern string) {
	f.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", pattern))
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			f.Fatal(err)
		}
		f.Add(text)
	}
}
