package bgp

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestFromKubeVip: with what becomes of a manifest of kube-vip's, and its password where the
// translation wants it, the router takes the route.
func TestFromKubeVip(t *testing.T) {
	s := newSite(t, "BIRD", setup{password: "s3cr3t", servers: 1})
	s.speaks.start()
	x := s.Servers[0]
	s.password(x)
	manifest := filepath.Join(s.dir, "kube-vip.yaml")
	writeFile(t, manifest, fmt.Sprintf(`image: kube-vip
env:
- {name: vip_interface, value: lo}
- {name: address, value: %v}
- {name: bgp_enable, value: "true"}
- {name: bgp_as, value: "%d"}
- {name: bgp_hold_time, value: "9"}
- {name: bgp_peers, value: "%s:%d:%s:false"}
`, s.how.address(), serverAS, routerAddr, routerAS, s.how.password))
	said, err := x.Vipd("init", "--from-kube-vip", manifest, "--output", x.ConfigPath(), "--force")
	must(t, err)
	text, err := os.ReadFile(x.ConfigPath())
	must(t, err)
	file := "/etc/vipd/keys/bgp-" + routerAddr
	if !strings.Contains(said, file) || strings.Contains(said+string(text), s.how.password) {
		t.Fatalf("it says %s\nand writes\n%s", said, text)
	}
	here := strings.Replace(string(text), file, filepath.Join(filepath.Dir(x.ConfigPath()), "password"), 1)
	must(t, x.Reconfigure(here+"\n"+x.CheckConfig()))
	must(t, x.StartAPI("ready"))
	must(t, x.RestartAgent())
	s.leads(x)
	p := s.watch()
	if r := s.report(p); r.Failed > 0 {
		t.Errorf("failed: %+v", r.Failures)
	}
}
