// Package firewall_test tries the firewall rules on clusters that drop all else.
package firewall_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vipd/vipd/test/cluster"
	"github.com/vipd/vipd/test/lab"
)

const (
	multicast = "multicast"
	unicast   = "unicast"
)

// TestNftables runs two servers with both families. Without the lines they do not
// hear each other, and with them one of them holds the VIPs, which answer.
func TestNftables(t *testing.T) {
	lab.Require(t, "nft")
	programs, err := cluster.Build(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, how := range []string{multicast, unicast} {
		t.Run(how, func(t *testing.T) {
			c := newCluster(t, programs, how)
			if how == multicast { // unicast advertisements pass as answers to the server's own
				load(t, c, "")
				begin(t, c)
				until(t, "every server to be Active", func() error { return allActive(c) })
				if dial(c, cluster.VIP4) == nil {
					t.Error("the API is reached although nothing lets it through")
				}
				load(t, c, lines(t, how))
			} else {
				load(t, c, lines(t, how))
				begin(t, c)
			}
			if err := c.Settled(deadline(t)); err != nil {
				t.Fatal(err)
			}
			for _, vip := range []netip.Addr{cluster.VIP4, cluster.VIP6} {
				until(t, "an answer of "+vip.String(), func() error { return dial(c, vip) })
			}
		})
	}
}

func newCluster(t *testing.T, programs cluster.Binaries, how string) *cluster.Cluster {
	t.Helper()
	config := func(s *cluster.Server) string {
		text := s.CheckConfig() + fmt.Sprintf("[[vip]]\naddresses = [%q, %q]\nvrid = 51\npriority = %d\n", cluster.VIP4, cluster.VIP6, s.Priority())
		if how == unicast {
			text += `peers = ["198.51.100.11", "198.51.100.12", "2001:db8::11", "2001:db8::12"]`
		}
		return text
	}
	c, err := cluster.New(lab.NewTest(t), cluster.Options{Binaries: programs, Dir: t.TempDir(), Servers: 2, Config: config, Log: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// begin starts all servers.
func begin(t *testing.T, c *cluster.Cluster) {
	t.Helper()
	for _, s := range c.Servers {
		if err := errors.Join(s.StartAPI("ready"), s.StartAgent()); err != nil {
			t.Fatal(err)
		}
	}
}

// lines returns vipd.nft with the addresses of the cluster.
func lines(t *testing.T, how string) string {
	t.Helper()
	b, err := os.ReadFile("vipd.nft")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(b), "192.0.2.", "198.51.100.")
	if how == unicast {
		text = strings.ReplaceAll(text, "fe80::/10", "{ 2001:db8::11, 2001:db8::12 }")
	}
	return text
}

// load has the servers drop what the lines do not let through: what comes in, and
// if there are lines what goes out as well.
func load(t *testing.T, c *cluster.Cluster, lines string) {
	t.Helper()
	outgoing := "accept"
	if lines != "" {
		outgoing = "drop"
	}
	dir := t.TempDir()
	ruleset := fmt.Sprintf(`flush ruleset
table inet filter {
	chain input {
		type filter hook input priority filter; policy drop;
		iif lo accept
		ct state established,related accept
		include %[1]q
	}
	chain output {
		type filter hook output priority filter; policy %[2]s;
		oif lo accept
		ct state established,related accept
		include %[1]q
	}
}
`, filepath.Join(dir, "vipd.nft"), outgoing)
	for name, text := range map[string]string{"vipd.nft": lines, "nftables.conf": ruleset} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range c.Servers {
		if out, err := s.Node.Run("nft", "-f", filepath.Join(dir, "nftables.conf")); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
}

func allActive(c *cluster.Cluster) error {
	for _, s := range c.Servers {
		st, err := s.Status(context.Background())
		if err != nil {
			return err
		}
		for _, r := range st.Routers {
			if r.State != "Active" {
				return fmt.Errorf("%s: %s %s is %s", s.Name, r.VIP, r.Family, r.State)
			}
		}
	}
	return nil
}

// dial connects to the API as a client outside.
func dial(c *cluster.Cluster, vip netip.Addr) error {
	return c.Client.Do(func() error {
		conn, err := net.DialTimeout("tcp", netip.AddrPortFrom(vip, 6443).String(), time.Second)
		if err != nil {
			return err
		}
		return conn.Close()
	})
}

func until(t *testing.T, what string, check func() error) {
	t.Helper()
	if err := cluster.Until(deadline(t), what, check); err != nil {
		t.Fatal(err)
	}
}

func deadline(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}
