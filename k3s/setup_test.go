package k3s

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

// installed is what K3s's installer writes for these flags.
func installed(flags string) string {
	return `[Unit]
Description=Lightweight Kubernetes

[Service]
EnvironmentFile=-/etc/default/%N
EnvironmentFile=-/etc/systemd/system/k3s.service.env
ExecStartPre=-/sbin/modprobe overlay
ExecStart=/usr/local/bin/k3s \
    server \
` + flags + "\n"
}

const (
	unitFile = "etc/systemd/system/k3s.service"
	yamlFile = "etc/rancher/k3s/config.yaml"
)

func TestLook(t *testing.T) {
	for _, tt := range []struct {
		name  string
		files map[string]string
		want  Setup
	}{
		{"nothing", nil, Setup{}},
		{"as installed", map[string]string{unitFile: installed("\t'--tls-san' \\\n\t'192.0.2.100' \\\n\t'--cluster-init'")},
			Setup{Unit: "k3s.service", sans: []string{"192.0.2.100"}}},
		{"an agent alone", map[string]string{"etc/systemd/system/k3s-agent.service": "[Service]\nExecStart=/usr/local/bin/k3s agent --server https://192.0.2.100:6443\n"}, Setup{}},
		{"another name", map[string]string{"etc/systemd/system/k3s-lab.service": installed("")}, Setup{Unit: "k3s-lab.service"}},
		{"two others", map[string]string{"etc/systemd/system/k3s-a.service": installed(""), "usr/lib/systemd/system/k3s-b.service": installed("")},
			Setup{Unit: "k3s-a.service", Others: []string{"k3s-b.service"}}},
		{"another beside", map[string]string{"etc/systemd/system/k3s-a.service": installed("-d /srv/a"), unitFile: installed("")}, Setup{Unit: "k3s.service"}},
		{"masked", map[string]string{unitFile: "", "usr/lib/systemd/system/k3s.service": installed("")}, Setup{}},
		{"files", map[string]string{
			yamlFile:                "data-dir: /srv/k3s\ntls-san: [192.0.2.1]\n",
			yamlFile + ".d/1.yaml":  "https-listen-port: 443\ntls-san: 192.0.2.2,k3s.example\n",
			yamlFile + ".d/2.yml":   "tls-san+:\n- 192.0.2.3\n",
			yamlFile + ".d/3.saved": "data-dir: /no\n",
		}, Setup{
			DataDir: Found{"/srv/k3s", "data-dir in /etc/rancher/k3s/config.yaml"}, Port: Found{"443", "https-listen-port in /etc/rancher/k3s/config.yaml.d/1.yaml"},
			sans: []string{"192.0.2.2", "k3s.example", "192.0.2.3"},
		}},
		{"flags outrank files", map[string]string{
			yamlFile: "data-dir: /srv/k3s\nhttps-listen-port: 443\ntls-san: 192.0.2.1\n",
			unitFile: installed("'-d' '/data' '--https-listen-port=7443' --tls-san 192.0.2.2"),
		}, Setup{Unit: "k3s.service", DataDir: Found{"/data", "data-dir in k3s.service"}, Port: Found{"7443", "https-listen-port in k3s.service"}, sans: []string{"192.0.2.1", "192.0.2.2"}}},
		{"files outrank the environment", map[string]string{
			unitFile: installed(""), "etc/systemd/system/k3s.service.env": "# of the installer\nK3S_DATA_DIR='/env'\n", yamlFile: "data-dir: /srv/k3s\n",
		}, Setup{Unit: "k3s.service", DataDir: Found{"/srv/k3s", "data-dir in /etc/rancher/k3s/config.yaml"}}},
		{"the environment", map[string]string{unitFile: installed("$K3S_FLAGS --https-listen-port ${PORT}"), "etc/default/k3s": "K3S_DATA_DIR=/env\nK3S_FLAGS=--tls-san 192.0.2.1\nPORT=443\n"},
			Setup{Unit: "k3s.service", DataDir: Found{"/env", "data-dir in the environment of k3s.service"}, Port: Found{"443", "https-listen-port in k3s.service"}, sans: []string{"192.0.2.1"}}},
		{"a drop-in", map[string]string{
			unitFile:               installed("--data-dir /srv/k3s"),
			unitFile + ".d/a.conf": "[Service]\nExecStart=\nExecStart=/opt/k3s server --data-dir \"/srv/my k3s\"\nEnvironment=K3S_DATA_DIR=/env\n",
		}, Setup{Unit: "k3s.service", DataDir: Found{"/srv/my k3s", "data-dir in k3s.service"}}},
		{"another file", map[string]string{unitFile: installed("--config /srv/k3s.yaml"), "srv/k3s.yaml": "data-dir: /srv/k3s\n", yamlFile: "data-dir: /no\n", "srv/k3s.yaml.d/1.yaml": "https-listen-port: 443\n"},
			Setup{Unit: "k3s.service", DataDir: Found{"/srv/k3s", "data-dir in /srv/k3s.yaml"}, Port: Found{"443", "https-listen-port in /srv/k3s.yaml.d/1.yaml"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := make(fstest.MapFS)
			for name, text := range tt.files {
				root[name] = &fstest.MapFile{Data: []byte(text)}
			}
			got, err := Look(root)
			if err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(Setup{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// What cannot be read hides nothing else.
func TestLookDamaged(t *testing.T) {
	got, err := Look(fstest.MapFS{
		unitFile: {Data: []byte(installed("--data-dir /srv/k3s"))},
		yamlFile: {Data: []byte("data-dir: [\n")},
	})
	if err == nil || !strings.Contains(err.Error(), "read /"+yamlFile) || got.DataDir.Value != "/srv/k3s" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestNames(t *testing.T) {
	s := Setup{sans: []string{"k3s.example", "2001:db8:0::100"}}
	if !s.Names(netip.MustParseAddr("2001:db8::100")) || s.Names(netip.MustParseAddr("192.0.2.100")) {
		t.Error(s)
	}
}

// The command replaces the file, so it says again what that has.
func TestAddSAN(t *testing.T) {
	root := fstest.MapFS{DropIn[1:]: {Data: []byte("tls-san+:\n- 192.0.2.100\n- \"*.k3s.example\"\n- \"'; reboot #\"\n-\n")}}
	s, err := Look(root)
	if err != nil {
		t.Fatal(err)
	}
	got := AddSAN(s.InDropIn, []netip.Addr{netip.MustParseAddr("192.0.2.100"), netip.MustParseAddr("2001:db8::100")})
	want := `mkdir -p /etc/rancher/k3s/config.yaml.d && printf 'tls-san+:\n- "192.0.2.100"\n- "*.k3s.example"\n- "2001:db8::100"\n' > /etc/rancher/k3s/config.yaml.d/vipd.yaml`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestWords(t *testing.T) {
	got := words(`a 'b c'  "d 'e'" f\ g '' "h"i`)
	if want := []string{"a", "b c", "d 'e'", "f g", "", "hi"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
