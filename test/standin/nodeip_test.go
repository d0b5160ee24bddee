package main

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vipd/vipd/test/lab"
)

func TestNodeIPIsChosenAsK3sDoes(t *testing.T) {
	l := lab.NewTest(t, "ip")
	n, err := l.Add("node1", netip.MustParsePrefix("198.51.100.11/24"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.Run("ip", "route", "add", "default", "via", "198.51.100.1"); err != nil {
		t.Fatal(err)
	}
	if got := chosen(t, n); got != "198.51.100.11" {
		t.Errorf("chosen: %s", got)
	}
	if got := chosen(t, n, "--flannel-iface", lab.Interface); got != "198.51.100.11" {
		t.Errorf("chosen with --flannel-iface: %s", got)
	}

	// Behind the node's own a virtual address does no harm, but to --flannel-iface.
	if err := n.AddAddr(netip.MustParsePrefix("198.51.100.100/32")); err != nil {
		t.Fatal(err)
	}
	if got := chosen(t, n); got != "198.51.100.11" {
		t.Errorf("chosen of two: %s", got)
	}
	if got := chosen(t, n, "--flannel-iface", lab.Interface); !strings.Contains(got, "eth0 has several global addresses") {
		t.Errorf("chosen of two with --flannel-iface: %s", got)
	}
	if got := chosen(t, n, "--flannel-iface", lab.Interface, "--node-ip", "198.51.100.9"); got != "198.51.100.9" {
		t.Errorf("told: %s", got)
	}
}

// chosen starts a server on a port that it cannot have, and returns the address
// that it wrote down before, or what it said instead.
func chosen(t *testing.T, n *lab.Node, flags ...string) string {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "node-ip")
	cmd := command(t, append([]string{
		"server", "--data-dir", filepath.Join(dir, "k3s"), "--listen", "203.0.113.1:1", "--node-ip-file", file,
	}, flags...)...)
	var said strings.Builder
	cmd.Stderr = &said
	if err := n.Start(cmd); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it cannot listen
	ip, err := os.ReadFile(file)
	if err != nil {
		return said.String()
	}
	return strings.TrimSpace(string(ip))
}
