package config

import (
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files")

var drafts = map[string]Draft{
	"draft-minimal": {Addresses: ips("192.0.2.100"), VRID: 97},
	"draft-full": {
		Addresses:      ips("192.0.2.100", "2001:db8::100"),
		Interface:      "ens3",
		VRID:           97,
		Priority:       210,
		AdvertInterval: time.Second,
		Peers:          ips("192.0.2.11", "192.0.2.12"),
		URL:            "https://127.0.0.1:443",
		DataDir:        `/srv/"k3s\data"`,
		Unit:           "k3s-lab.service",
		Why: map[string]string{
			"check.url":      "https-listen-port in /etc/rancher/k3s/config.yaml",
			"check.data_dir": "data-dir in /etc/rancher/k3s/config.yaml",
			"check.unit":     "the unit that runs k3s server",
			"vip.addresses":  "as asked for with --address",
			"vip.interface":  "its subnets 192.0.2.0/24 and 2001:db8::/64 hold the addresses",
			"vip.vrid":       "none of the advertisements heard in 3s had it:\nheard were 51 (192.0.2.1)",
			"vip.peers":      "etcd members",
		},
	},
}

func TestDraft(t *testing.T) {
	for name, d := range drafts {
		t.Run(name, func(t *testing.T) {
			got, err := d.Render()
			if err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", name+".toml")
			if *update {
				if err := os.WriteFile(golden, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestDraftParses(t *testing.T) {
	d := drafts["draft-full"]
	text, err := d.Render()
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Auth = nil
	c, v := &want.Checks[0], &want.VIPs[0]
	c.URL, c.DataDir, c.Unit = d.URL, d.DataDir, d.Unit
	v.Addresses, v.Interface, v.VRID, v.Priority = d.Addresses, d.Interface, d.VRID, d.Priority
	v.AdvertInterval, v.Peers = d.AdvertInterval, d.Peers
	v.PriorityUnique = true
	if diff := cmp.Diff(want, parse(t, string(text)), addrs); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestDraftRefused(t *testing.T) {
	tests := map[string]struct {
		draft Draft
		want  string
	}{
		"nothing": {Draft{}, `vip.addresses: missing: list at least one, such as ["192.0.2.100"]
vip.vrid: missing: choose 1 to 255, unique on this network segment`},
		"loopback":          {Draft{Addresses: ips("127.0.0.1"), VRID: 1}, "vip.addresses: 127.0.0.1 is a loopback address, which cannot be a virtual IP: write a free address of the nodes' subnet"},
		"control character": {Draft{Addresses: ips("192.0.2.1"), VRID: 1, DataDir: "/a\nb"}, "not valid TOML: strings cannot contain newlines"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := tt.draft.Render()
			if err == nil || err.Error() != tt.want {
				t.Errorf("error is %v, want %s", err, tt.want)
			}
		})
	}
}

func TestDraftBGP(t *testing.T) {
	d := Draft{Addresses: ips("203.0.113.100", "2001:db8::100"), LocalAS: 64512, Routers: []DraftRouter{{ips("198.51.100.1")[0], 64600}}}
	text, err := d.Render()
	if err != nil {
		t.Fatal(err)
	}
	c := parse(t, string(text))
	if c.VIPs[0].Mode != ModeBGP || c.BGP.LocalAS != 64512 || len(c.BGP.Peers) != 1 || len(c.BGP.Peers[0].Families) != 2 {
		t.Errorf("%s", text)
	}
}
