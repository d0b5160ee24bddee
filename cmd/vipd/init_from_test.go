package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const keepalivedConf = `global_defs {
  vrrp_version 3
  smtp_server 192.0.2.25
}
vrrp_instance k3s {
  interface eth0
  virtual_router_id 51
  priority 150
  virtual_ipaddress {
    198.51.100.100
  }
}
`

const kubeVipYAML = `kind: Pod
spec:
  containers:
  - image: ghcr.io/kube-vip/kube-vip:v0.8.7
    env:
    - {name: vip_interface, value: eth0}
    - {name: address, value: 198.51.100.100}
`

const kubeVipBGP = `kind: Pod
spec:
  containers:
  - image: ghcr.io/kube-vip/kube-vip:v0.8.7
    env:
    - {name: address, value: 203.0.113.100}
    - {name: bgp_enable, value: "true"}
    - {name: bgp_peers, value: "198.51.100.1:64600::false"}
`

// What is translated, check accepts; what was lost is said.
func TestInitFrom(t *testing.T) {
	dir := files(t)
	for name, text := range map[string]string{"keepalived.conf": keepalivedConf, "kube-vip.yaml": kubeVipYAML, "bgp.yaml": kubeVipBGP} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const wrote = "wrote new.toml; do the same on the other servers, or copy it there. Then on each: systemctl enable --now vipd\n"
	for name, tt := range map[string]struct {
		args string
		want outcome
	}{
		"keepalived": {"--from-keepalived keepalived.conf --output new.toml --force",
			outcome{0, wrote, "keepalived.conf:3: smtp_server: vipd sends no mail: watch the journal of the unit vipd\n"}},
		"kube-vip":      {"--from-kube-vip kube-vip.yaml --vrid 51 --priority 150 --output new.toml --force", outcome{0, wrote, ""}},
		"file is there": {"--from-keepalived keepalived.conf --output good.toml", outcome{1, "", "vipd: good.toml exists: edit it, or overwrite it with --force\n"}},
		"no file":       {"--from-keepalived none --output -", outcome{1, "", "vipd: read what is to be translated: open none: no such file or directory\n"}},
		"not the other": {"--from-kube-vip keepalived.conf --output -", outcome{1, "", "vipd: keepalived.conf has no container of kube-vip: give the manifest of its DaemonSet or pod\n"}},
		"BGP":           {"--from-kube-vip bgp.yaml --output new.toml --force", outcome{0, wrote, ""}},
		"a VRID for BGP": {"--from-kube-vip bgp.yaml --vrid 7 --output -",
			outcome{2, "", "vipd: --vrid is for VRRP, and bgp.yaml has BGP: leave it out\n" + see("init")}},
		"a mode": {"--from-kube-vip bgp.yaml --mode vrrp --output -",
			outcome{2, "", "vipd: --mode is for a new setup: the translated file says whether it is BGP, and with whom\n" + see("init")}},
		"both":       {"--from-keepalived a --from-kube-vip b", outcome{2, "", "vipd: --from-keepalived and --from-kube-vip exclude each other\n" + see("init")}},
		"an address": {"--from-keepalived a --address 198.51.100.1", outcome{2, "", "vipd: --address is for a new setup: the translated file has the addresses\n" + see("init")}},
		"a flag too many": {"--from-keepalived a --vrid 7",
			outcome{2, "", "vipd: --vrid is not for --from-keepalived: change the file that it writes\n" + see("init")}},
	} {
		t.Run(name, func(t *testing.T) {
			got := vipd(t, dir, append([]string{"init"}, strings.Fields(tt.args)...)...)
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(outcome{})); diff != "" {
				t.Fatalf("(-want +got):\n%s", diff)
			}
			if tt.want.code == 0 {
				if got := vipd(t, dir, "check", "--config", "new.toml"); got.code != 0 {
					t.Errorf("check refuses it: %s", got.stderr)
				}
			}
		})
	}
}

func TestWatchUsage(t *testing.T) {
	for args, want := range map[string]outcome{
		"watch eth0":                       {2, "", "vipd: unexpected argument \"eth0\"\n" + see("watch")},
		"watch --count -1":                 {2, "", "vipd: --count -1: choose a whole number above 0\n" + see("watch")},
		"watch --interface none --count 1": {1, "", "vipd: there is no interface none: \"ip link\" shows what there is\n"},
	} {
		if diff := cmp.Diff(want, vipd(t, t.TempDir(), strings.Fields(args)...), cmp.AllowUnexported(outcome{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", args, diff)
		}
	}
}

// Every command of vipd's that the page on moving shows has these flags.
func TestMigratePage(t *testing.T) {
	page, err := os.ReadFile("../../docs/migrate.md")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(page)) {
		args, ok := strings.CutPrefix(strings.TrimLeft(line, " #"), "vipd ")
		if !ok || !strings.HasPrefix(line, "    ") {
			continue
		}
		n++
		cmd, rest, err := newRoot().Find(strings.Fields(args))
		if err == nil {
			err = cmd.ParseFlags(rest)
		}
		if err != nil || cmd.Name() == "vipd" {
			t.Errorf("vipd %s: %v", strings.TrimSpace(args), err)
		}
	}
	if n < 5 {
		t.Errorf("only %d commands were found", n)
	}
}
