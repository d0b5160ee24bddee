package migrate

import (
	"errors"
	"flag"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/vipd/vipd/config"
	"github.com/vipd/vipd/vrrp"
)

var rewrite = flag.Bool("rewrite", false, "write the expected files anew")

// TestTranslations compares what real-looking files become, and what is said of the
// rest, with the files beside them: NAME.toml and NAME.notes.
func TestTranslations(t *testing.T) {
	t.Chdir("testdata")
	files, err := filepath.Glob("*")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		name, kind := strings.TrimSuffix(path, filepath.Ext(path)), filepath.Ext(path)
		if kind != ".conf" && kind != ".yaml" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			plan := translate(t, path)
			var said strings.Builder
			for _, n := range plan.Notes {
				said.WriteString(n.String() + "\n")
			}
			text, err := plan.Render()
			if err != nil {
				t.Fatal(err)
			}
			golden(t, name+".notes", said.String())
			golden(t, name+".toml", string(text))
			meansTheSame(t, plan, text)
		})
	}
}

func translate(t *testing.T, path string) *Plan {
	t.Helper()
	if filepath.Ext(path) == ".conf" {
		plan, err := FromKeepalived(path, "k3s1.example.com")
		if err != nil {
			t.Fatal(err)
		}
		return plan
	}
	plan, err := FromKubeVip(path)
	if err != nil {
		t.Fatal(err)
	}
	if plan.VIPs[0].NeedsVRID() {
		plan.VIPs[0].Choose(51, 0, "free")
	}
	return plan
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *rewrite {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// meansTheSame reads the file again as the agent would, on a host that it does not name.
func meansTheSame(t *testing.T, plan *Plan, text []byte) {
	t.Helper()
	cfg, err := config.Parse("vipd.toml", text, config.Host{Name: "elsewhere"})
	if err != nil {
		t.Fatal(err)
	}
	for i := range cfg.VIPs {
		cfg.VIPs[i].PriorityUnique = false // derived, of no concern here
	}
	if diff := cmp.Diff(plan.Hooks, cfg.Hooks); diff != "" {
		t.Errorf("hooks (-plan +file):\n%s", diff)
	}
	var want []config.VIP
	for _, v := range plan.VIPs {
		want = append(want, v.VIP)
	}
	if diff := cmp.Diff(want, cfg.VIPs, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("VIPs (-plan +file):\n%s", diff)
	}
	if diff := cmp.Diff(completed(plan.BGP), cfg.BGP, cmpopts.EquateComparable(netip.Addr{}), cmpopts.IgnoreUnexported(config.BGPPeer{})); diff != "" {
		t.Errorf("BGP (-plan +file):\n%s", diff)
	}
	checks := plan.Checks
	if len(checks) == 0 {
		checks = config.Default().Checks
	}
	if diff := cmp.Diff(checks, cfg.Checks); diff != "" {
		t.Errorf("checks (-plan +file):\n%s", diff)
	}
}

// completed returns what a plan means where it leaves something to a default.
func completed(plan *BGP) *config.BGP {
	if plan == nil {
		return nil
	}
	b := plan.BGP
	b.DrainDelay = 2 * time.Second
	b.Peers = slices.Clone(b.Peers)
	for i := range b.Peers {
		p := &b.Peers[i]
		p.Port, p.ConnectRetry, p.LocalPreference = 179, time.Second, 100
		p.HoldTime = max(p.HoldTime, 3*time.Second)
		if p.Families == nil {
			p.Families = []vrrp.Family{vrrp.FamilyOf(p.Address)}
		}
		p.WorseBy, p.WorseStep = config.WorseByPath, 4
		if p.AS == b.LocalAS {
			p.WorseBy, p.WorseStep = config.WorseByPreference, 30
		}
	}
	return &b
}

// No secret of the files is repeated anywhere.
func TestSecretsStay(t *testing.T) {
	t.Chdir("testdata")
	for _, path := range []string{"k3s.conf", "routed.yaml", "routedall.yaml"} {
		plan := translate(t, path)
		text, err := plan.Render()
		if err != nil {
			t.Fatal(err)
		}
		if said := string(text) + saidOf(plan); strings.Contains(said, "s3cr3t") {
			t.Errorf("%s: it shows a password:\n%s", path, said)
		}
	}
}

func TestRefusals(t *testing.T) {
	for name, tt := range map[string]struct{ file, text, want string }{
		"no file":            {"", "", "no such file"},
		"empty":              {"keepalived.conf", "", "has no vrrp_instance"},
		"no address":         {"keepalived.conf", "vrrp_instance A {\n virtual_router_id 5\n}\n", "has no virtual_ipaddress"},
		"another host's":     {"keepalived.conf", "@k3s2 vrrp_instance A {\n virtual_ipaddress { 198.51.100.1 }\n}\n", "it is for the host k3s2"},
		"doubling":           {"keepalived.conf", doubling(), "more than"},
		"includes itself":    {"keepalived.conf", "include keepalived.conf\n", "does one include itself?"},
		"no YAML":            {"kube-vip.yaml", "a: b: c\n", "read "},
		"another manifest":   {"kube-vip.yaml", "kind: Pod\nspec: {containers: [{image: nginx}]}\n", "has no container of kube-vip"},
		"the cloud provider": {"kube-vip.yaml", "image: kube-vip-cloud-provider:v1\n", "has no container of kube-vip"},
		"services only":      {"kube-vip.yaml", container("cp_enable", "false"), "cp_enable is false"},
		"no address there":   {"kube-vip.yaml", container("vip_arp", "true"), "names no IP address"},
		"BGP without a peer": {"kube-vip.yaml", container("address", "203.0.113.100", "bgp_enable", "true", "bgp_peers", "router:64600"), "names no router that could be translated"},
		"a name":             {"kube-vip.yaml", container("address", "api.example.com"), `"api.example.com" is a name`},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), tt.file)
			if tt.file != "" {
				if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
					t.Fatal(err)
				}
			} else {
				path = filepath.Join(path, "none")
			}
			from := func() error { _, err := FromKeepalived(path, "k3s1"); return err }
			if filepath.Ext(path) == ".yaml" {
				from = func() error { _, err := FromKubeVip(path); return err }
			}
			if err := from(); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

// doubling returns definitions each of which is the one before, twice.
func doubling() string {
	var b strings.Builder
	b.WriteString("$A=xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n")
	for c := 'B'; c < 'Z'; c++ {
		b.WriteString("$" + string(c) + "=${" + string(c-1) + "}${" + string(c-1) + "}\n")
	}
	return b.String() + "vrrp_instance $Y {\n}\n"
}

// container returns a manifest with an environment of names and values.
func container(env ...string) string {
	text := "spec:\n  containers:\n  - image: plndr/kube-vip:v0.3\n    env:\n"
	for pair := range slices.Chunk(env, 2) {
		text += "    - name: " + pair[0] + "\n      value: \"" + pair[1] + "\"\n"
	}
	return text
}
