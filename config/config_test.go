package config

import (
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/vipd/vipd/vrrp"
)

var addrs = cmpopts.EquateComparable(netip.Addr{})

func parse(t *testing.T, text string) *Config {
	t.Helper()
	c, err := Parse("vipd.toml", []byte(text), Host{Name: "k3s2"})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func ips(list ...string) []netip.Addr {
	var out []netip.Addr
	for _, s := range list {
		out = append(out, netip.MustParseAddr(s))
	}
	return out
}

func TestParseMinimal(t *testing.T) {
	want := Default()
	want.VIPs[0].VRID = 51
	want.VIPs[0].Addresses = ips("192.0.2.100")
	want.Auth = nil
	if diff := cmp.Diff(want, parse(t, minimal), addrs); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestParse(t *testing.T) {
	got := parse(t, `
[[check]]
type     = "https"
url      = "https://[::1]:9345/healthz"
ca_file  = "/etc/vipd/../vipd/ca.crt"
cert_file = "/c"
key_file = "/k"
expect_status = 204
interval = "1s"
timeout  = "2s"
fall     = 4
rise     = 1

[[check]]
type = "k3s"
unit = ""
data_dir = "/srv/k3s/"
url = "https://localhost:6443/"
ready_timeout = "2001ms"

[[check]]
type = "exec"
command = ["/bin/check", ""]

[[check]]
type = "tcp"
address = "[::1]:6443"

[[check]]
type = "systemd"
unit = "getty@tty1.service"

[[check]]
type = "none"

[[vip]]
name            = "api"
addresses       = ["2001:db8::100", "192.0.2.100"]
interface       = "br-lan.5"
vrid            = 255
priority        = 100
priority_by_host = { k3s1 = 250, "K3s2.Example.com" = 240 }
advert_interval = "40.95s"
preempt         = true
preempt_delay   = "1m"
when_down       = "release"
peers           = ["192.0.2.11", "fe80::1"]
virtual_mac     = true
checksum        = "rfc9568"

[[vip]]
name      = "other"
vrid      = 255
interface = "eth1"
addresses = ["192.0.2.101"]
preempt   = false
peers     = []

[auth]
mode        = "permissive"
active_key  = 2
keys        = [{ id = 1, file = "/etc/vipd/keys/1" }, { id = 2, credential = "vrrp.2" }]
anti_replay = "monotonic"
window      = "300s"

[metrics]
listen = "unix:/run/vipd/metrics.sock"
`)
	poll := Check{Interval: 500 * time.Millisecond, Timeout: 750 * time.Millisecond, Fall: 3, Rise: 2}
	k3s, exec, tcp, systemd := poll, poll, poll, poll
	k3s.Type, k3s.DataDir, k3s.URL, k3s.ReadyTimeout = CheckK3s, "/srv/k3s", "https://localhost:6443", 2001*time.Millisecond
	exec.Type, exec.Command = CheckExec, []string{"/bin/check", ""}
	tcp.Type, tcp.Address = CheckTCP, "[::1]:6443"
	systemd.Type, systemd.Unit = CheckSystemd, "getty@tty1.service"
	want := &Config{
		Checks: []Check{{
			Type: CheckHTTPS, URL: "https://[::1]:9345/healthz", CAFile: "/etc/vipd/ca.crt", CertFile: "/c", KeyFile: "/k",
			ExpectStatus: 204, Interval: time.Second, Timeout: 2 * time.Second, Fall: 4, Rise: 1,
		}, k3s, exec, tcp, systemd, {Type: CheckNone}},
		VIPs: []VIP{{
			Name: "api", Mode: ModeVRRP, Addresses: ips("2001:db8::100", "192.0.2.100"), Interface: "br-lan.5", VRID: 255,
			Priority: 240, PriorityUnique: true, AdvertInterval: 40950 * time.Millisecond,
			Preempt: true, PreemptDelay: time.Minute, WhenDown: Release,
			Peers: ips("192.0.2.11", "fe80::1"), VirtualMAC: true, Checksum: RFC9568,
		}, {
			Name: "other", Mode: ModeVRRP, Addresses: ips("192.0.2.101"), Interface: "eth1", VRID: 255, Priority: 200,
			AdvertInterval: 250 * time.Millisecond, WhenDown: LastResort, Checksum: PseudoHeader,
		}},
		Auth: &Auth{
			Mode: Permissive, ActiveKey: 2, AntiReplay: ByMonotonic, Window: 5 * time.Minute,
			Keys: []Key{{ID: 1, File: "/etc/vipd/keys/1"}, {ID: 2, Credential: "vrrp.2"}},
		},
		Metrics: Metrics{Listen: "unix:/run/vipd/metrics.sock"},
	}
	if diff := cmp.Diff(want, got, addrs); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestParseOtherForms(t *testing.T) {
	want := parse(t, `
[[vip]]
vrid = 51
addresses = ["192.0.2.100"]
priority_by_host = { k3s2 = 240 }
[auth]
keys = [{ id = 7, file = "/k" }]
`)
	got := parse(t, `
vip = [{ vrid = 0x33, addresses = ["192.0.2.100"], priority_by_host.k3s2 = 240, preempt_delay = "0" }]
[[auth.keys]]
id = 7
file = "/k"
`)
	if diff := cmp.Diff(want, got, addrs); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got.Auth.ActiveKey != 7 {
		t.Errorf("active key is %d, want the only one", got.Auth.ActiveKey)
	}
}

func TestParseReportsAll(t *testing.T) {
	_, err := Parse("vipd.toml", []byte(`[metrics]
listen = 9693
[[vip]]
vrid = "51"
priority = 300
adresses = []
[[check]]
type = "k3s"
interval = 500
`), Host{})
	want := []string{
		`vipd.toml:2: metrics.listen: is a whole number: write a string in quotes, such as "127.0.0.1:9693"`,
		`vipd.toml:3: vip.addresses: missing: list at least one, such as ["192.0.2.100"]`,
		`vipd.toml:4: vip.vrid: is a string: write a number from 1 to 255 without quotes, unique on this network segment`,
		`vipd.toml:5: vip.priority: 300 is out of range: choose 100 to 254`,
		`vipd.toml:6: vip.adresses: unknown key: did you mean "addresses"?`,
		`vipd.toml:9: check.interval: 500 has no unit: write "500ms"`,
	}
	if diff := cmp.Diff(want, strings.Split(err.Error(), "\n")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestSameRouterAllowed(t *testing.T) {
	for name, second := range map[string]string{
		"other interface": `vrid = 51` + "\n" + `interface = "eth1"` + "\n" + `addresses = ["192.0.2.101"]`,
		"other VRID":      `vrid = 52` + "\n" + `addresses = ["192.0.2.101"]`,
		"other family":    `vrid = 51` + "\n" + `addresses = ["2001:db8::1"]`,
	} {
		t.Run(name, func(t *testing.T) {
			parse(t, minimal+"name = \"a\"\ninterface = \"eth0\"\n[[vip]]\nname = \"b\"\n"+second)
		})
	}
}

func TestTooManyAddresses(t *testing.T) {
	var list []string
	a := netip.MustParseAddr("198.51.100.0")
	for range 256 {
		list = append(list, `"`+a.String()+`"`)
		a = a.Next()
	}
	text := func(list []string) []byte {
		return []byte("[[vip]]\nvrid = 1\naddresses = [\n" + strings.Join(list, ",\n") + "]")
	}
	if _, err := Parse("vipd.toml", text(list[:255]), Host{}); err != nil {
		t.Errorf("255 addresses: %v", err)
	}
	_, err := Parse("vipd.toml", text(list), Host{})
	want := Errors{{
		File: "vipd.toml", Line: 259, Key: "vip.addresses",
		Msg: "the 256th IPv4 address: move it to another [[vip]], an advertisement holds 255",
	}}
	if diff := cmp.Diff(error(want), err); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestPriorityByHost(t *testing.T) {
	const table = `priority_by_host = { a = 250, "b.example.com" = 240, c = 240, d = 200 }`
	tests := []struct {
		host     string
		priority uint8
		unique   bool
	}{
		{"a", 250, true},
		{"A.example.com", 250, true},
		{"b", 240, false},
		{"b.example.com", 240, false},
		{"b.example.org", 200, false},
		{"c", 240, false},
		{"d", 200, false},
		{"e", 200, false},
		{"", 200, false},
	}
	for _, tt := range tests {
		t.Run(tt.host, func(t *testing.T) {
			c, err := Parse("vipd.toml", []byte(minimal+table), Host{Name: tt.host})
			if err != nil {
				t.Fatal(err)
			}
			if v := c.VIPs[0]; v.Priority != tt.priority || v.PriorityUnique != tt.unique {
				t.Errorf("priority %d, unique %t; want %d, %t", v.Priority, v.PriorityUnique, tt.priority, tt.unique)
			}
		})
	}
}

func TestPriorityUnique(t *testing.T) {
	for _, tt := range []struct {
		name, line string
		unique     bool
	}{
		{"left out", "", false},
		{"the default", "priority = 200", false},
		{"one of this host", "priority = 240", true},
		{"one for all hosts that are not listed", "priority = 150\npriority_by_host = { other = 250 }", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := Parse("vipd.toml", []byte(minimal+tt.line), Host{Name: "a"})
			if err != nil {
				t.Fatal(err)
			}
			if got := c.VIPs[0].PriorityUnique; got != tt.unique {
				t.Errorf("unique %t, want %t", got, tt.unique)
			}
		})
	}
}

func TestParseTooLarge(t *testing.T) {
	_, err := Parse("vipd.toml", make([]byte, maxSize+1), Host{})
	want := "vipd.toml:1: larger than 256 KiB: this cannot be a vipd.toml"
	if err == nil || err.Error() != want {
		t.Errorf("error is %v, want %s", err, want)
	}
}

func TestParseDeepNesting(t *testing.T) {
	if _, err := Parse("vipd.toml", []byte("a = "+strings.Repeat("[", maxSize-4)), Host{}); err == nil {
		t.Error("accepted")
	}
	locate("a = " + strings.Repeat("[", maxSize-4))
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "vipd.toml")
	if _, err := Load(file); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error is %v, want that there is no such file", err)
	}
	if err := os.WriteFile(file, []byte(minimal), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(file); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(file, []byte("x = 1"), 0o600); err != nil {
		t.Fatal(err)
	}
	var errs Errors
	if _, err := Load(file); !errors.As(err, &errs) || errs[0].File != file {
		t.Errorf("error is %v, want Errors of %s", err, file)
	}
	if _, err := Load(dir); err == nil {
		t.Error("a directory was accepted")
	}
}

func TestFamilies(t *testing.T) {
	tests := map[string]struct {
		addresses []netip.Addr
		want      []vrrp.Family
	}{
		"none": {nil, nil},
		"IPv6": {ips("2001:db8::1"), []vrrp.Family{vrrp.IPv6}},
		"both": {ips("2001:db8::1", "192.0.2.1", "192.0.2.2"), []vrrp.Family{vrrp.IPv4, vrrp.IPv6}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, VIP{Addresses: tt.addresses}.Families()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestWindowFor(t *testing.T) {
	tests := []struct{ window, interval, want time.Duration }{
		{0, 250 * time.Millisecond, 5 * time.Second},
		{0, 40 * time.Second, 2 * time.Minute},
		{time.Second, 40 * time.Second, time.Second},
	}
	for _, tt := range tests {
		if got := (&Auth{Window: tt.window}).WindowFor(tt.interval); got != tt.want {
			t.Errorf("window %v, interval %v: got %v, want %v", tt.window, tt.interval, got, tt.want)
		}
	}
}

func TestMetricsAddress(t *testing.T) {
	for listen, want := range map[string][2]string{
		"[::1]:9693":       {"tcp", "[::1]:9693"},
		"localhost:1":      {"tcp", "localhost:1"},
		"unix:/run/m.sock": {"unix", "/run/m.sock"},
	} {
		m := parse(t, minimal+"[metrics]\nlisten = \""+listen+"\"").Metrics
		network, address := m.Address()
		if diff := cmp.Diff(want, [2]string{network, address}); diff != "" {
			t.Errorf("%s (-want +got):\n%s", listen, diff)
		}
	}
}

func TestCheckString(t *testing.T) {
	for want, c := range map[string]Check{
		"k3s https://127.0.0.1:6443": defaultCheck(CheckK3s),
		"tcp 127.0.0.1:1":            {Type: CheckTCP, Address: "127.0.0.1:1"},
		"exec /bin/a b":              {Type: CheckExec, Command: []string{"/bin/a", "b"}},
		"systemd a.service":          {Type: CheckSystemd, Unit: "a.service"},
		"none":                       {Type: CheckNone},
	} {
		if got := c.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
