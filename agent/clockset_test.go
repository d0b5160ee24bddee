package agent

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vipd/vipd/agent/control"
	"github.com/vipd/vipd/systemd"
	"github.com/vipd/vipd/test/lab"
)

// nodeVariable makes this test's program an agent whose clock can be set, in the
// directory that it names.
const nodeVariable = "VIPD_TEST_NODE"

func TestMain(m *testing.M) {
	if dir := os.Getenv(nodeVariable); dir != "" {
		os.Exit(beNode(dir))
	}
	os.Exit(m.Run())
}

// beNode runs an agent until stdin ends. A line there sets its clock: by how much it
// is off, and whether it is said to be right.
func beNode(dir string) int {
	var off atomic.Int64
	var right atomic.Bool
	right.Store(true)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		defer cancel()
		for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
			by, yes, _ := strings.Cut(lines.Text(), " ")
			if d, err := time.ParseDuration(by); err == nil {
				right.Store(yes == "true")
				off.Store(int64(d))
			}
		}
	}()
	err := Run(ctx, Options{
		ConfigPath: filepath.Join(dir, "vipd.toml"), RuntimeDir: filepath.Join(dir, "run"), Version: "test",
		Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)), Notifier: systemd.NewNotifier(),
		Synchronised: func(context.Context) error {
			if right.Load() {
				return nil
			}
			return errUnsynchronised
		},
		WallClock: func() time.Time { return time.Now().Round(0).Add(time.Duration(off.Load())) },
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// clocked is a node with a clock of its own.
type clocked struct {
	*control.Client
	t    *testing.T
	node *lab.Node
	set  io.Writer
}

func (c *clocked) setClock(by time.Duration, right bool) {
	c.t.Helper()
	_, err := fmt.Fprintf(c.set, "%v %t\n", by, right)
	must(c.t, err)
}

// router returns the state of the node's only router; zero: it does not answer.
func (c *clocked) router() control.Router {
	s, err := c.Status(c.t.Context())
	if err != nil || len(s.Routers) == 0 {
		return control.Router{}
	}
	return s.Routers[0]
}

func (c *clocked) problems() []string {
	s, err := c.Status(c.t.Context())
	must(c.t, err)
	return s.Problems
}

// startClocked makes a cluster of three, the first with the highest priority.
func startClocked(t *testing.T, auth string) []*clocked {
	t.Helper()
	l := lab.NewTest(t)
	key := filepath.Join(t.TempDir(), "key")
	must(t, os.WriteFile(key, []byte(strings.Repeat("k", 32)), 0o600))
	var out []*clocked
	for i := range 3 {
		node, err := l.Add(fmt.Sprintf("n%d", i), netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 51, 100, byte(i + 1)}), 24))
		must(t, err)
		text := strings.Replace(oneVIP, "vipd0", lab.Interface, 1)
		text = strings.Replace(text, "50ms", "250ms", 1) + fmt.Sprintf("priority = %d\n", 200-10*i)
		if auth != "" {
			text += fmt.Sprintf("[auth]\nmode = \"enforce\"\nactive_key = 1\nkeys = [{ id = 1, file = %q }]\nanti_replay = %q\n", key, auth)
		}
		out = append(out, startNode(t, node, text))
	}
	return out
}

func startNode(t *testing.T, node *lab.Node, text string) *clocked {
	t.Helper()
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "vipd.toml"), []byte(text), 0o600))
	self, err := os.Executable()
	must(t, err)
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), nodeVariable+"="+dir)
	cmd.Stderr = t.Output()
	in, err := cmd.StdinPipe()
	must(t, err)
	must(t, node.Start(cmd))
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s's agent: %v", node.Name, err)
		}
	})
	return &clocked{control.NewClient(control.Socket(filepath.Join(dir, "run"))), t, node, in}
}

// normal reports whether the first node alone holds, and the others follow it.
func normal(all []*clocked) bool {
	for i, c := range all {
		r := c.router()
		want := "Backup"
		if i == 0 {
			want = "Active"
		}
		if r.State != want || r.Holding != (i == 0) {
			return false
		}
	}
	return true
}

// A clock that is set an hour wrong, on one node or on all, moves nothing, whatever
// guards against replays. Where it is said to be right as well, the nodes refuse each
// other, by design. Either way all is well soon after it was set back.
func TestClockSet(t *testing.T) {
	for _, auth := range []string{"", "time", "monotonic"} {
		t.Run("auth by "+auth, func(t *testing.T) {
			t.Parallel()
			all := startClocked(t, auth)
			within(t, 10*time.Second, "the first one holds", func() bool { return normal(all) })
			set := func(who []*clocked, by time.Duration, right bool) {
				for _, c := range who {
					c.setClock(by, right)
				}
			}
			for _, tt := range []struct {
				name  string
				who   []*clocked
				by    time.Duration
				right bool
			}{
				{"holder, an hour ahead", all[:1], time.Hour, false},
				{"holder, an hour behind", all[:1], -time.Hour, false},
				{"Backup, an hour ahead", all[1:2], time.Hour, false},
				{"Backup, an hour behind", all[1:2], -time.Hour, false},
				{"all, an hour ahead", all, time.Hour, false},
				{"all, an hour behind", all, -time.Hour, false},
				{"all, and right", all, time.Hour, true},
				{"holder, said to be right", all[:1], time.Hour, true},
				{"Backup, said to be right", all[1:2], -time.Hour, true},
			} {
				t.Run(tt.name, func(t *testing.T) {
					apart := auth == "time" && tt.right && len(tt.who) == 1
					since := all[0].router().Since
					set(tt.who, tt.by, tt.right)
					if apart {
						within(t, 5*time.Second, "they refuse each other", func() bool { return all[1].router().State == "Active" })
					} else {
						unmoved(t, all, since)
					}
					if auth == "time" && !tt.right && len(tt.who[0].problems()) == 0 {
						t.Error("nobody is told of the clock")
					}
					if apart {
						set(tt.who, 0, false)
						within(t, 5*time.Second, "set right, it goes by its peers' word", func() bool { return normal(all) })
					}
					set(tt.who, 0, true)
					within(t, 5*time.Second, "all is well again", func() bool { return normal(all) && len(tt.who[0].problems()) == 0 })
				})
			}
		})
	}
}

// unmoved watches for longer than a Backup waits for a silent Active.
func unmoved(t *testing.T, all []*clocked, since time.Time) {
	t.Helper()
	for began := time.Now(); time.Since(began) < 1500*time.Millisecond; time.Sleep(20 * time.Millisecond) {
		if !normal(all) || !all[0].router().Since.Equal(since) {
			for _, c := range all {
				t.Logf("%s: %+v", c.node.Name, c.router())
			}
			t.Fatal("it moved")
		}
	}
}
