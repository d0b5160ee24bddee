package doctor_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vipd/vipd/test/cluster"
	"github.com/vipd/vipd/test/lab"
)

// variety is a way to set a sound cluster up.
type variety struct {
	name   string
	tools  []string
	synced bool        // needs a clock that is kept right, which machines of tests need not have
	set    func(*ward) // gives the servers their vipd.toml
	ready  func(*ward) // waits for all to be well
	faults []fault     // that such a cluster alone can have
}

func varieties() []variety {
	return []variety{
		{name: "signed", synced: true, set: signed, ready: (*ward).acquainted, faults: []fault{{"keys that differ", otherKeys}, {"a server without auth", authTaken}}},
		{name: "unicast peers", set: with(`peers = ["198.51.100.11", "198.51.100.12", "2001:db8::11", "2001:db8::12"]`), ready: strangersAtFirst},
		{name: "virtual MAC", set: with("virtual_mac = true"), ready: (*ward).acquainted},
		{name: "checksum of the RFC", set: with(`checksum = "rfc9568"`), ready: (*ward).acquainted},
		{name: "BGP", tools: []string{"bird"}, set: routed, ready: heardByRouter, faults: []fault{{"a router without IPv6", oneFamily}}},
	}
}

// with adds a line to what the servers have.
func with(line string) func(*ward) {
	return func(w *ward) {
		w.config = func(s *cluster.Server) string { return wardConfig(s) + line + "\n" }
	}
}

// TestSoundSetups wants nothing found on the servers of sound clusters, on the Active and on
// its Backup, after each has heard the other; and makes the faults that such clusters can have.
func TestSoundSetups(t *testing.T) {
	for _, v := range varieties() {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			lab.Require(t, append(v.tools, "ip", "nft")...)
			bin := programs(t)
			if v.synced {
				var err error
				if bin.Vipd, err = cluster.BuildOne(t.TempDir(), "test/hostile/synced"); err != nil {
					t.Fatal(err)
				}
			}
			w := newWard(t, bin)
			v.set(w)
			w.api()
			for _, s := range w.cluster.Servers {
				w.must(s.StartAgent())
			}
			v.ready(w)
			t.Run("sound", w.sound)
			w.play(v.faults)
		})
	}
}

// play makes faults, each in a test of its own, and returns how many.
func (w *ward) play(faults []fault) (played int) {
	for _, f := range faults {
		w.t.Run(f.name, func(t *testing.T) {
			was := w.t
			w.t = t
			defer func() { w.t = was }()
			f.make(w)
			played++
		})
	}
	return played
}

// acquainted has each server hear the other: the first gives the VIPs up, and takes them back.
func (w *ward) acquainted() {
	w.t.Helper()
	w.active(w.first())
	w.tell(w.first(), "drain")
	w.active(w.second())
	w.tell(w.first(), "resume")
	w.active(w.first())
	w.settled()
	w.content()
}

// strangersAtFirst looks at an Active that knows its peers and may not have heard one yet.
func strangersAtFirst(w *ward) {
	w.active(w.first())
	w.settled()
	w.lacks("agent-reports", w.examine(w.first()))
	w.acquainted()
}

// tell has a server's agent do what a command of vipd says.
func (w *ward) tell(s *cluster.Server, command string) {
	w.t.Helper()
	w.run(s, fmt.Sprintf("%s %s --config %s --runtime-dir %s", w.vipd, command, s.ConfigPath(), s.RuntimeDir()))
}

// active waits until a server is Active for both families, and holds the addresses.
func (w *ward) active(s *cluster.Server) {
	w.t.Helper()
	w.until(s.Name+" to be Active", func() error {
		st, err := s.Status(w.t.Context())
		if err != nil {
			return err
		}
		for _, r := range st.Routers {
			if r.State != "Active" || !r.Holding {
				return fmt.Errorf("%s: %s", r.Family, r.State)
			}
		}
		if len(st.Routers) != 2 {
			return fmt.Errorf("%d routers", len(st.Routers))
		}
		return nil
	})
}

// content waits until no agent complains.
func (w *ward) content() {
	w.t.Helper()
	w.until("the agents to be content", func() error {
		for _, s := range w.cluster.Servers {
			st, err := s.Status(w.t.Context())
			if err != nil {
				return err
			}
			problems := st.Problems
			for _, r := range st.Routers {
				problems = append(problems, r.Problems...)
			}
			if len(problems) > 0 {
				return fmt.Errorf("%s: %v", s.Name, problems)
			}
		}
		return nil
	})
}

// key writes a key into dir, and returns its line of [auth].
func (w *ward) key(id int, letter string) string {
	w.t.Helper()
	file := filepath.Join(w.t.TempDir(), "key")
	w.must(os.WriteFile(file, []byte(strings.Repeat(letter, 32)), 0o600))
	return fmt.Sprintf("{ id = %d, file = %q }", id, file)
}

func signedBy(active int, keys ...string) string {
	return fmt.Sprintf("[auth]\nmode = \"enforce\"\nactive_key = %d\nanti_replay = \"time\"\nkeys = [%s]\n", active, strings.Join(keys, ", "))
}

// signed has both servers sign, by clocks that agree.
func signed(w *ward) {
	key := w.key(1, "k")
	w.config = func(s *cluster.Server) string { return wardConfig(s) + signedBy(1, key) }
}

// otherKeys has the second server expect other keys than that of the Active.
func otherKeys(w *ward) {
	s := w.second()
	for _, tt := range []struct{ name, auth, evidence, remedy string }{
		{"another id", signedBy(2, w.key(2, "k")), "signs with a key that is not in auth.keys here", "use the same keys on all servers, under the same ids"},
		{"other bytes", signedBy(1, w.key(1, "o")), "signs with a key of the right id and the wrong bytes", "compare the key's file on both: sha256sum"},
		{"none", "", "signs its advertisements and this node has no [auth]", "give this node the keys, first with mode = \"receive-only\""},
	} {
		r := w.examineWith(s, wardConfig(s)+tt.auth)
		w.says(r, "peer-auth-differs", tt.evidence, tt.remedy)
		w.lacks("clock-offset", r)
		w.lacks("vip-elsewhere", r)
	}
	// In a rotation of keys all have both.
	w.lacks("peer-auth-differs", w.examineWith(s, wardConfig(s)+signedBy(2, w.key(1, "k"), w.key(2, "n"))))
}

// authTaken has the second server's agent go on without its [auth].
func authTaken(w *ward) {
	s := w.second()
	was, err := os.ReadFile(s.ConfigPath())
	w.must(err)
	w.must(s.Reconfigure(wardConfig(s)))
	w.tell(s, "reload")
	w.says(w.examine(s), "peer-auth-differs", "signs its advertisements and this node has no [auth]", "receive-only")
	w.must(s.Reconfigure(string(was)))
	w.tell(s, "reload")
	w.settled()
	w.lacks("peer-auth-differs", w.examine(s))
}

// routed has the servers announce both families to a router, which is the client.
func routed(w *ward) {
	w.config = func(*cluster.Server) string {
		return "[[check]]\ntype = \"none\"\n[[vip]]\nname = \"routed\"\nmode = \"bgp\"\naddresses = [\"203.0.113.100\", \"2001:db8:a::100\"]\n" +
			"[bgp]\nlocal_as = 64512\n[[bgp.peer]]\naddress = \"198.51.100.1\"\nas = 64600\nconnect_retry = \"200ms\"\nfamilies = [\"ipv4\", \"ipv6\"]\n"
	}
	for _, s := range w.cluster.Servers {
		w.run(s, "ip route add default via 198.51.100.1")
	}
}

// bird runs BIRD on the client, in the place of one that ran before. It takes routes of
// the given kinds.
func (w *ward) bird(channels ...string) {
	w.t.Helper()
	if w.router != nil {
		w.router()
	}
	dir := w.t.TempDir()
	text := "router id 198.51.100.1;\nlog stderr all;\nprotocol device {}\n"
	for _, s := range w.cluster.Servers {
		text += fmt.Sprintf("protocol bgp %s {\n local 198.51.100.1 as 64600;\n neighbor %s as 64512;\n passive;\n direct;\n error wait time 1, 2;\n", s.Name, s.Addr)
		for _, c := range channels {
			text += " " + c + " { import all; export none; };\n"
		}
		text += "}\n"
	}
	file := filepath.Join(dir, "bird.conf")
	w.must(os.WriteFile(file, []byte(text), 0o644))
	w.router = w.beside("bird", "-f", "-c", file, "-s", filepath.Join(dir, "ctl"), "-P", filepath.Join(dir, "pid"))
	w.until("the sessions", func() error {
		for _, s := range w.cluster.Servers {
			st, err := s.Status(w.t.Context())
			if err != nil {
				return err
			}
			if len(st.Sessions) != 1 || st.Sessions[0].State != "Established" || st.Sessions[0].Routes != len(channels) {
				return fmt.Errorf("%s: %+v", s.Name, st.Sessions)
			}
		}
		return nil
	})
}

// heardByRouter waits until a router has all routes of all servers.
func heardByRouter(w *ward) {
	w.bird("ipv4", "ipv6")
	for _, s := range w.cluster.Servers {
		w.active(s)
	}
	w.content()
}

// oneFamily has the router take IPv4 alone.
func oneFamily(w *ward) {
	w.bird("ipv4")
	for _, s := range w.cluster.Servers {
		w.says(w.examine(s), "bgp-family-missing", "carries no IPv6 routes", "ipv6")
	}
}
