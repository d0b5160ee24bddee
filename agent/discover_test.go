package agent

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vipd/vipd/agent/control"
	"github.com/vipd/vipd/config"
	"github.com/vipd/vipd/vip"
	"github.com/vipd/vipd/vrrp"
)

func addrList(list ...string) []netip.Addr {
	var out []netip.Addr
	for _, s := range list {
		out = append(out, netip.MustParseAddr(s))
	}
	return out
}

// routers are what was heard, by VRID and source.
func routers(list ...announced) []announced {
	var heard []announced
	for _, a := range list {
		heard = note(heard, a)
	}
	return heard
}

// seen4 and seen6 are what was found out about an address of each family on eth0.
func seen4(list ...announced) survey {
	return survey{home: home{&net.Interface{Name: "eth0"}, vrrp.IPv4, addrList("198.51.100.100")}, routers: routers(list...)}
}

func seen6(list ...announced) survey {
	return survey{home: home{&net.Interface{Name: "eth0"}, vrrp.IPv6, addrList("2001:db8::100")}, routers: routers(list...)}
}

func heard(vrid uint8, src string, addrs ...string) announced {
	return announced{vrid: vrid, src: netip.MustParseAddr(src), addrs: addrList(addrs...), interval: interval}
}

func TestChoose(t *testing.T) {
	group4, group6 := heard(51, "198.51.100.11", "198.51.100.100"), heard(51, "fe80::11", "2001:db8::100")
	stranger := heard(100, "198.51.100.1", "198.51.100.200")
	old := heard(100, "198.51.100.1") // version 2
	for _, tt := range []struct {
		name  string
		wish  uint8
		found surveys
		want  string // the VRID and the reason, or the error
		note  string
	}{
		{"nobody", 0, surveys{seen4()}, "100: nobody on eth0 was heard to use it (others heard: 0); all servers need the same", ""},
		{"a stranger", 0, surveys{seen4(stranger)}, "101: nobody on eth0 was heard to use it (others heard: 1); all servers need the same", ""},
		{"one of version 2", 0, surveys{seen4(old)}, "101: nobody on eth0 was heard to use it (others heard: 1); all servers need the same", ""},
		{"strangers in each family", 0, surveys{seen4(stranger), seen6(heard(101, "fe80::1", "2001:db8::200"))}, "102: nobody on eth0 was heard to use it (others heard: 2); all servers need the same", ""},
		{"a group", 0, surveys{seen4(stranger, group4)}, "51: 198.51.100.11 advertises the addresses with it: this server joins", ""},
		{"a group that was asked for", 51, surveys{seen4(group4)}, "51: 198.51.100.11 advertises the addresses with it: this server joins", ""},
		{"a group with another", 52, surveys{seen4(group4)}, "198.51.100.11 advertises the addresses with VRID 51: leave --vrid out to join it, or take another address", ""},
		{"a group in both families", 0, surveys{seen4(group4), seen6(group6)}, "51: 198.51.100.11 advertises the addresses with it: this server joins", ""},
		{"a group in one", 0, surveys{seen4(), seen6(group6)}, "51: fe80::11 advertises the addresses with it: this server joins", ""},
		{"a group with two VRIDs", 0, surveys{seen4(group4), seen6(heard(52, "fe80::11", "2001:db8::100"))},
			"198.51.100.11 advertises 198.51.100.100 with VRID 51, and fe80::11 2001:db8::100 with VRID 52: each needs a [[vip]] of its own, from a vipd init for each; one address with two VRIDs is an error of those servers", ""},
		{"a group whose VRID is a stranger's in the other family", 0, surveys{seen4(group4), seen6(heard(51, "fe80::1", "2001:db8::200"))},
			"198.51.100.11 advertises 198.51.100.100 with VRID 51, but fe80::1 advertises 2001:db8::200 with it on eth0: give 2001:db8::100 a [[vip]] and a VRID of its own", ""},
		{"a group with a stranger among it", 0, surveys{seen4(group4, heard(51, "198.51.100.1", "198.51.100.200"))}, "51: 198.51.100.11 advertises the addresses with it: this server joins",
			"VRID 51 has two users: 198.51.100.1 advertises 198.51.100.200 with it on eth0; choose another on all servers, then: vipd reload (such as 100)"},
		{"a group with more addresses", 0, surveys{seen4(heard(51, "198.51.100.11", "198.51.100.100", "198.51.100.101"))},
			"198.51.100.11 advertises 198.51.100.100, 198.51.100.101 with VRID 51 as one virtual router: to join it give just these as --address, else take others", ""},
		{"asked for and free", 7, surveys{seen4(stranger)}, "7: as asked for; nobody on eth0 was heard to use it (others heard: 1)", ""},
		{"asked for and taken", 100, surveys{seen4(stranger)}, "VRID 100 is in use: 198.51.100.1 advertises 198.51.100.200 with it on eth0; leave --vrid out for a free one (such as 101)", ""},
		{"asked for and taken in IPv6", 100, surveys{seen4(), seen6(heard(100, "fe80::1", "2001:db8::200"))},
			"VRID 100 is in use: fe80::1 advertises 2001:db8::200 with it on eth0; leave --vrid out for a free one (such as 101)", ""},
		{"asked for and taken by version 2", 100, surveys{seen4(old)}, "VRID 100 is in use: 198.51.100.1 advertises it on eth0 in another version of VRRP; leave --vrid out for a free one (such as 101)", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var addrs []netip.Addr
			for _, s := range tt.found {
				addrs = append(addrs, s.addrs...)
			}
			d := newDiscovery(Wish{Addresses: addrs, VRID: tt.wish})
			got := ""
			if err := d.choose(tt.found, tenants{}); err != nil {
				got = err.Error()
			} else {
				got = fmt.Sprintf("%d: %s", d.VRID, d.Why["vip.vrid"])
			}
			if got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			if said := strings.Join(d.Notes, "\n"); said != tt.note {
				t.Errorf("notes are %q, want %q", said, tt.note)
			}
		})
	}
}

// The agent of this server does not hear itself: what it has is asked of it.
func TestStays(t *testing.T) {
	const notes = "what the vipd.toml of this server has besides, such as peers or [auth], is not in this one"
	mine := tenants{routers: []control.Router{{VRID: 51, Addresses: []string{"198.51.100.100"}, AdvertInterval: control.Duration(time.Second), Holding: true}}}
	for name, tt := range map[string]struct {
		wish       uint8
		found      surveys
		want, note string
	}{
		"alone":        {0, surveys{seen4()}, "51, 1s: the agent of this server has the addresses with it", notes},
		"asked for":    {51, surveys{seen4()}, "51, 1s: the agent of this server has the addresses with it", notes},
		"another":      {52, surveys{seen4()}, "52, 0s: as asked for; nobody on eth0 was heard to use it (others heard: 0)", ""},
		"with a rival": {0, surveys{seen4(heard(51, "198.51.100.12", "198.51.100.100"))}, "51, 0s: 198.51.100.12 advertises the addresses with it: this server joins", ""},
		"in both":      {0, surveys{seen4(), seen6()}, "51, 1s: the agent of this server has the addresses with it", notes},
		"of a stranger": {0, surveys{seen4(heard(51, "198.51.100.1", "198.51.100.200"))}, "100, 0s: nobody on eth0 was heard to use it (others heard: 1); all servers need the same",
			"VRID 51, with which the agent of this server has the addresses, is in use: 198.51.100.1 advertises 198.51.100.200 with it on eth0; so this is for another, on all servers"},
	} {
		d := newDiscovery(Wish{Addresses: tt.found[0].addrs, VRID: tt.wish})
		if err := d.choose(tt.found, mine); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := fmt.Sprintf("%d, %v: %s", d.VRID, d.AdvertInterval, d.Why["vip.vrid"]); got != tt.want {
			t.Errorf("%s: got %s, want %s", name, got, tt.want)
		}
		if said := strings.Join(d.Notes, "\n"); said != tt.note {
			t.Errorf("%s: notes are %q", name, said)
		}
	}
}

// A group of unicast peers cannot be joined by what is heard of it.
func TestUnicastGroup(t *testing.T) {
	r := heard(51, "198.51.100.11", "198.51.100.100")
	r.unicast = true
	d := newDiscovery(Wish{Addresses: seen4().addrs})
	if err := d.choose(surveys{seen4(r)}, tenants{}); err == nil || !strings.Contains(err.Error(), "copy its vipd.toml here") {
		t.Errorf("got %v", err)
	}
}

func TestFreeVRID(t *testing.T) {
	all := surveys{seen4(heard(51, "198.51.100.1", "198.51.100.7"), heard(100, "198.51.100.1"), heard(255, "198.51.100.1")), seen6(heard(101, "fe80::1", "2001:db8::7"))}
	for addr, want := range map[string]uint8{
		"198.51.100.7":   7,
		"198.51.100.100": 102,
		"198.51.100.255": 1,
		"198.51.100.0":   1,
		"2001:db8::1:33": 52,
	} {
		if got, ok := all.free(netip.MustParseAddr(addr)); got != want || !ok {
			t.Errorf("%s: %d, %v; want %d", addr, got, ok, want)
		}
	}
	var every []announced
	for v := 1; v <= 255; v++ {
		every = append(every, heard(uint8(v), "198.51.100.1"))
	}
	if v, ok := (surveys{seen4(every...)}).free(own); ok {
		t.Errorf("all in use: %d", v)
	}
}

// The last that a router says counts, and a flood of routers ends somewhere.
func TestNote(t *testing.T) {
	got := routers(heard(7, "198.51.100.2"), heard(7, "198.51.100.1", "198.51.100.7"), heard(7, "198.51.100.2", "198.51.100.8"))
	if len(got) != 2 || len(got[1].addrs) != 1 {
		t.Errorf("%+v", got)
	}
	for i := range 2 * maxHeard {
		got = note(got, announced{vrid: 8, src: netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)})})
	}
	if len(got) != maxHeard {
		t.Errorf("%d are kept, want %d", len(got), maxHeard)
	}
}

// A server that joins takes over what differs from the defaults, unless told otherwise.
func TestJoin(t *testing.T) {
	for _, tt := range []struct {
		name                string
		wished, heard, want time.Duration
	}{
		{"the default", 0, interval, 0},
		{"another", 0, time.Second, time.Second},
		{"told otherwise", interval, time.Second, interval},
		{"one that vipd has not", 0, 0, 0},
	} {
		d := newDiscovery(Wish{AdvertInterval: tt.wished})
		d.join(announced{vrid: 51, src: own, interval: tt.heard})
		if strings.Contains(d.Why["vip.vrid"], "[auth]") {
			t.Errorf("%s: %s", tt.name, d.Why["vip.vrid"])
		}
		if d.VRID != 51 || d.AdvertInterval != tt.want {
			t.Errorf("%s: VRID %d, interval %v, want 51, %v", tt.name, d.VRID, d.AdvertInterval, tt.want)
		}
	}
}

func TestJoinSigned(t *testing.T) {
	d := newDiscovery(Wish{})
	d.join(announced{vrid: 51, src: own, interval: interval, signed: true})
	if !strings.Contains(d.Why["vip.vrid"], "[auth]") {
		t.Error(d.Why["vip.vrid"])
	}
}

func TestCheckClaims(t *testing.T) {
	group := heard(51, "198.51.100.11", "198.51.100.100")
	claim := func(last byte) vip.Heard {
		return vip.Heard{Addr: netip.MustParseAddr("198.51.100.100"), MAC: net.HardwareAddr{2, 0, 0, 0, 0, last}}
	}
	const taken = "198.51.100.100 is taken: 02:00:00:00:00:01 on eth0 answers for it"
	for _, tt := range []struct {
		name       string
		found      survey
		claims     []vip.Heard
		want, note string // how they begin
	}{
		{"free", seen4(), nil, "", ""},
		{"taken", seen4(), []vip.Heard{claim(1)}, taken + "; take a free address", ""},
		{"taken beside a stranger", seen4(heard(7, "198.51.100.1", "198.51.100.7")), []vip.Heard{claim(1)}, taken + "; take a free address", ""},
		{"taken, perhaps by version 2", seen4(heard(7, "198.51.100.1")), []vip.Heard{claim(1)}, taken + ", perhaps 198.51.100.1, which advertises VRID 7 in a version of VRRP that vipd does not join; ", ""},
		{"the Active's", seen4(group), []vip.Heard{claim(1)}, "", ""},
		{"the Active's and another's", seen4(group), []vip.Heard{claim(1), claim(2)}, "", "198.51.100.100 is answered by several stations (02:00:00:00:00:01, 02:00:00:00:00:02)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.found.claims = tt.claims
			d := newDiscovery(Wish{})
			err := d.checkClaims(surveys{tt.found, seen6()})
			if (err != nil) != (tt.want != "") || err != nil && !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
			if said := strings.Join(d.Notes, "\n"); !strings.HasPrefix(said, tt.note) || tt.note == "" && said != "" {
				t.Errorf("notes are %q, want %q", said, tt.note)
			}
		})
	}
}

func TestCheckAgainst(t *testing.T) {
	there := []netip.Prefix{
		netip.MustParsePrefix("198.51.100.11/24"), netip.MustParsePrefix("203.0.113.2/31"), netip.MustParsePrefix("203.0.113.9/32"), netip.MustParsePrefix("2001:db8::11/64"),
	}
	for addr, want := range map[string]string{
		"198.51.100.100":                "",
		"198.51.100.11":                 "198.51.100.11 is this host's own address, on eth0",
		"198.51.100.0":                  "198.51.100.0 is the address of the subnet 198.51.100.0/24 itself, on eth0",
		"198.51.100.255":                "198.51.100.255 is the broadcast address of the subnet 198.51.100.0/24, on eth0",
		"203.0.113.3":                   "",
		"203.0.113.9":                   "203.0.113.9 is on this host already, on eth0",
		"2001:db8::100":                 "",
		"2001:db8::":                    "2001:db8:: is the address of the subnet 2001:db8::/64 itself, on eth0",
		"2001:db8::11":                  "2001:db8::11 is this host's own address, on eth0",
		"2001:db8::ffff:ffff:ffff:ffff": "",
	} {
		err := checkAgainst(netip.MustParseAddr(addr), "eth0", there, tenants{})
		if (err != nil) != (want != "") || err != nil && !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", addr, err, want)
		}
	}
}

func TestFindK3s(t *testing.T) {
	const unit = "[Service]\nExecStart=/usr/local/bin/k3s server "
	const named = " --tls-san 198.51.100.100\n"
	for _, tt := range []struct {
		name  string
		files map[string]string
		want  config.Draft
		notes []string // how they begin
	}{
		{"not installed", nil, config.Draft{}, []string{"no unit here runs k3s server yet", "give K3s --tls-san 198.51.100.100, or"}},
		{"the usual", map[string]string{"etc/systemd/system/k3s.service": unit + "--data-dir /var/lib/rancher/k3s/ --https-listen-port 6443" + named}, config.Draft{}, nil},
		{"without the VIP in its certificate", map[string]string{"etc/systemd/system/k3s.service": unit},
			config.Draft{}, []string{`K3s was not told to name 198.51.100.100 in its certificate (--tls-san); unless that has it already, on each server: mkdir -p /etc/rancher/k3s/config.yaml.d && printf 'tls-san+:\n- "198.51.100.100"\n' > /etc/rancher/k3s/config.yaml.d/vipd.yaml && systemctl stop k3s && k3s certificate rotate && systemctl start k3s`}},
		{"with another VIP in its certificate", map[string]string{"etc/systemd/system/k3s.service": unit, "etc/rancher/k3s/config.yaml.d/vipd.yaml": "tls-san+:\n- 198.51.100.99\n"},
			config.Draft{}, []string{`K3s was not told to name 198.51.100.100 in its certificate (--tls-san); unless that has it already, on each server: mkdir -p /etc/rancher/k3s/config.yaml.d && printf 'tls-san+:\n- "198.51.100.99"\n- "198.51.100.100"\n' > /etc/rancher`}},
		{"another place", map[string]string{
			"usr/lib/systemd/system/k3s-lab.service": unit + "-d /srv/k3s" + named, "etc/rancher/k3s/config.yaml": "https-listen-port: 443\n",
		}, config.Draft{
			URL: "https://127.0.0.1:443", DataDir: "/srv/k3s", Unit: "k3s-lab.service",
			Why: map[string]string{"check.url": "https-listen-port in /etc/rancher/k3s/config.yaml", "check.data_dir": "data-dir in k3s-lab.service", "check.unit": "the unit that runs k3s server"},
		}, []string{"for vipd-handover.service to know of k3s-lab.service"}},
		{"two of them", map[string]string{"etc/systemd/system/k3s-a.service": unit + named, "etc/systemd/system/k3s-b.service": unit},
			config.Draft{Unit: "k3s-a.service", Why: map[string]string{"check.unit": "the unit that runs k3s server"}}, []string{"k3s-b.service runs K3s too", "for vipd-handover"}},
		{"nonsense", map[string]string{"etc/systemd/system/k3s.service": unit + "--data-dir here --https-listen-port none" + named, "etc/rancher/k3s/config.yaml": "{"},
			config.Draft{}, []string{"not all of K3s's configuration could be read"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := make(fstest.MapFS)
			for name, text := range tt.files {
				root[name] = &fstest.MapFile{Data: []byte(text)}
			}
			got := config.Draft{Addresses: addrList("198.51.100.100"), VRID: 100}
			notes := FindK3s(root, &got)
			if _, err := got.Render(); err != nil {
				t.Error(err)
			}
			tt.want.Addresses, tt.want.VRID = got.Addresses, got.VRID
			if tt.want.Why == nil {
				tt.want.Why = map[string]string{}
			}
			if diff := cmp.Diff(tt.want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if len(notes) != len(tt.notes) {
				t.Fatalf("notes are %q, want %q", notes, tt.notes)
			}
			for i, n := range notes {
				if !strings.HasPrefix(n, tt.notes[i]) || strings.Contains(n, "\n") {
					t.Errorf("got  %s\nwant %s", n, tt.notes[i])
				}
			}
		})
	}
}
