package interop

import (
	"bytes"
	"fmt"
	"net/netip"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vipd/vipd/test/lab"
)

// capture records the advertisements that pass an interface.
type capture struct {
	t    *testing.T
	file string
	cmd  *exec.Cmd
	said saying
}

// saying is what a program has said so far.
type saying struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (s *saying) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.Write(b)
}

func (s *saying) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.String()
}

// record begins a capture and returns once it runs.
func record(t *testing.T, n *lab.Node, iface string) *capture {
	t.Helper()
	c := &capture{t: t, file: filepath.Join(t.TempDir(), "wire.pcap")}
	c.cmd = exec.Command("tcpdump", "-i", iface, "-w", c.file, "--immediate-mode", "-U", "-Z", "root", "ip proto 112 or ip6 proto 112")
	c.cmd.Stderr = &c.said
	if err := n.Start(c.cmd); err != nil {
		t.Fatalf("start tcpdump: %v", err)
	}
	t.Cleanup(func() {
		if c.cmd.ProcessState == nil {
			_ = c.cmd.Process.Kill()
			_ = c.cmd.Wait()
		}
	})
	until(t, "the capture", func() error {
		if !strings.Contains(c.said.String(), "listening on") {
			return fmt.Errorf("tcpdump said %q", c.said.String())
		}
		return nil
	})
	return c
}

// advert is an advertisement as tshark reads it.
type advert struct {
	At       time.Time
	MAC      string // of the sender
	ToMAC    string
	Src, Dst netip.Addr
	TTL      string
	Class    string // type of service, traffic class
	Version  string
	VRID     string
	Priority int
	Interval string // centiseconds
	Addrs    string
	Checksum string // good, bad, unverified
	Expert   string // what tshark finds wrong
}

// fields are what tshark is asked for; the order is that of readAdvert.
var fields = []string{
	"frame.time_epoch", "eth.src", "eth.dst", "ip.src", "ipv6.src", "ip.dst", "ipv6.dst", "ip.ttl", "ipv6.hlim",
	"ip.dsfield", "ipv6.tclass", "vrrp.version", "vrrp.virt_rtr_id", "vrrp.prio", "vrrp.short_adver_int",
	"vrrp.ip_addr", "vrrp.ipv6_addr", "vrrp.checksum.status", "_ws.expert.message", "_ws.malformed",
}

// stop ends the capture and returns what tshark, with the given preferences,
// reads in it.
func (c *capture) stop(prefs ...string) []advert {
	c.t.Helper()
	if err := c.cmd.Process.Signal(syscall.SIGINT); err != nil {
		c.t.Fatalf("stop tcpdump: %v", err)
	}
	if err := c.cmd.Wait(); err != nil {
		c.t.Fatalf("tcpdump: %v: %s", err, c.said.String())
	}
	args := []string{"-r", c.file, "-T", "fields"}
	for _, f := range fields {
		args = append(args, "-e", f)
	}
	for _, p := range prefs {
		args = append(args, "-o", p)
	}
	cmd := exec.Command("tshark", args...)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		c.t.Fatalf("tshark: %v: %s", err, &said)
	}
	var all []advert
	for line := range strings.Lines(string(out)) {
		a, err := readAdvert(strings.Split(strings.TrimSuffix(line, "\n"), "\t"))
		if err != nil {
			c.t.Fatalf("tshark printed %q: %v", line, err)
		}
		all = append(all, a)
	}
	return all
}

func readAdvert(f []string) (advert, error) {
	if len(f) != len(fields) {
		return advert{}, fmt.Errorf("%d fields instead of %d", len(f), len(fields))
	}
	sec, err := strconv.ParseFloat(f[0], 64)
	if err != nil {
		return advert{}, err
	}
	src, err := netip.ParseAddr(f[3] + f[4])
	if err != nil {
		return advert{}, err
	}
	dst, err := netip.ParseAddr(f[5] + f[6])
	if err != nil {
		return advert{}, err
	}
	priority, err := strconv.Atoi(f[13])
	if err != nil {
		return advert{}, err
	}
	return advert{
		At: time.UnixMicro(int64(sec * 1e6)), MAC: f[1], ToMAC: f[2], Src: src, Dst: dst, TTL: f[7] + f[8],
		Class: strings.Replace(f[9]+f[10], "0x000000", "0x", 1), Version: f[11], VRID: f[12], Priority: priority,
		Interval: f[14], Addrs: f[15] + f[16], Checksum: checksumStatus(f[17]), Expert: f[18] + f[19],
	}, nil
}

func checksumStatus(s string) string {
	switch s {
	case "0":
		return "bad"
	case "1":
		return "good"
	}
	return "unverified"
}

// first returns the first advertisement with the priority at or after the instant.
func first(t *testing.T, all []advert, priority int, from time.Time) advert {
	t.Helper()
	for _, a := range all {
		if a.Priority == priority && !a.At.Before(from) {
			return a
		}
	}
	t.Fatalf("no advertisement of priority %d after %v", priority, from)
	return advert{}
}

// last returns the last advertisement with the priority before the instant.
func last(t *testing.T, all []advert, priority int, before time.Time) advert {
	t.Helper()
	var found advert
	for _, a := range all {
		if a.Priority == priority && a.At.Before(before) {
			found = a
		}
	}
	if found.At.IsZero() {
		t.Fatalf("no advertisement of priority %d before %v", priority, before)
	}
	return found
}
