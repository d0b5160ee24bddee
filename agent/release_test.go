package agent

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mdlayher/packet"
	"golang.org/x/sys/unix"

	"github.com/vipd/vipd/config"
	"github.com/vipd/vipd/vip"
	"github.com/vipd/vipd/vrrp"
)

// died makes what an agent leaves that died while it was Active for so many VIPs, from
// 198.51.100.101 and VRID 1 on.
func died(t *testing.T, vips int, change func(*state)) (configPath, dir string) {
	t.Helper()
	boot, err := bootID()
	must(t, err)
	s := state{BootID: boot, HasBeenReady: true, Routers: make(map[string]savedState)}
	for n := 1; n <= vips; n++ {
		addr := fmt.Sprintf("198.51.100.%d", 100+n)
		put(t, addr+"/32")
		s.Routers[fmt.Sprintf("v%d/IPv4", n)] = savedState{
			State: "Active", Interface: testInterface, VRID: uint8(n), Addresses: []string{addr}, Source: "198.51.100.1", Interval: 350 * time.Millisecond,
		}
	}
	change(&s)
	dir = t.TempDir()
	must(t, s.save(dir))
	configPath = filepath.Join(dir, "vipd.toml")
	must(t, os.WriteFile(configPath, []byte(oneVIP), 0o600))
	return configPath, dir
}

// far is the wire as seen from the other end.
func far(t *testing.T) *packet.Conn {
	t.Helper()
	ifi, err := net.InterfaceByName(farEnd)
	must(t, err)
	c, err := packet.Listen(ifi, packet.Raw, unix.ETH_P_IP, nil)
	must(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

// leaves waits for an advertisement of priority 0 on the wire, and returns the payload.
func leaves(t *testing.T, c *packet.Conn, vrid uint8) []byte {
	t.Helper()
	must(t, c.SetReadDeadline(time.Now().Add(3*time.Second)))
	for frame := make([]byte, 1500); ; {
		n, _, err := c.ReadFrom(frame)
		if err != nil {
			t.Errorf("no farewell of VRID %d: %v", vrid, err)
			return nil
		}
		if p := frame[:n]; n >= 42 && p[23] == vrrp.Protocol && p[35] == vrid && p[36] == vrrp.PriorityLeave {
			return slices.Clone(p[34:])
		}
	}
}

// advertise has a successor advertise from the other end.
func advertise(t *testing.T, c *packet.Conn, vrid uint8, addr string) {
	t.Helper()
	p := vrrp.Packet{Version: 3, VRID: vrid, Priority: 100, Interval: 250 * time.Millisecond, Addrs: []netip.Addr{netip.MustParseAddr(addr)}}
	body := p.Append(nil, peer, group4, vrrp.ChecksumPseudoHeader)
	ip := []byte{0x45, 0xc0, 0, 0, 0, 0, 0, 0, vrrp.TTL, vrrp.Protocol, 0, 0, 198, 51, 100, 2, 224, 0, 0, 18}
	binary.BigEndian.PutUint16(ip[2:], uint16(len(ip)+len(body)))
	var sum uint32
	for i := 0; i < len(ip); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(ip[i:]))
	}
	binary.BigEndian.PutUint16(ip[10:], ^uint16(sum+sum>>16))
	group := net.HardwareAddr{1, 0, 0x5e, 0, 0, 18}
	frame := slices.Concat(group, net.HardwareAddr{2, 0, 0, 0, 0, 2}, []byte{8, 0}, ip, body)
	_, err := c.WriteTo(frame, &packet.Addr{HardwareAddr: group})
	must(t, err)
}

// release runs Release beside the test, and returns what awaits its end.
func release(t *testing.T, configPath, dir string) (await func() ([]string, error)) {
	t.Helper()
	type result struct {
		did []string
		err error
	}
	ended := make(chan result, 1)
	go func() {
		did, err := Release(t.Context(), configPath, dir)
		ended <- result{did, err}
	}()
	return func() ([]string, error) {
		r := <-ended
		return r.did, r.err
	}
}

// A file that is bad by now keeps nobody from telling the Backups, with a signature if
// there was one, and from waiting for a successor.
func TestReleaseWithBadFile(t *testing.T) {
	for name, signed := range map[string]bool{"plain": false, "signed": true} {
		t.Run(name, func(t *testing.T) {
			wired(t)
			wire := far(t)
			key := filepath.Join(t.TempDir(), "key")
			must(t, os.WriteFile(key, []byte(strings.Repeat("k", 32)), 0o600))
			configPath, dir := died(t, 1, func(s *state) {
				if signed {
					s.Auth = &config.Auth{Mode: config.Enforce, ActiveKey: 1, Keys: []config.Key{{ID: 1, File: key}}, AntiReplay: config.ByTime}
				}
			})
			must(t, os.WriteFile(configPath, []byte("nonsense"), 0o600))
			await := release(t, configPath, dir)
			said := leaves(t, wire, 1)
			if !assigned("198.51.100.101") {
				t.Error("the address went before there was a successor")
			}
			if has := len(said) >= 12+vrrp.TrailerLen && said[12] == 1; has != signed {
				t.Errorf("signed: %v, want %v: %x", has, signed, said)
			}
			advertise(t, wire, 1, "198.51.100.101")
			did, err := await()
			if bad := (config.Errors)(nil); !errors.As(err, &bad) {
				t.Errorf("nothing is said of the file: %v", err)
			}
			if len(did) != 2 || assigned("198.51.100.101") {
				t.Errorf("did %q; the address is there: %v", did, assigned("198.51.100.101"))
			}
		})
	}
}

// What it signs comes after all that the dead agent said, by the time that the agent went
// by, or nobody would believe that it left.
func TestReleaseSignsAfterTheAgent(t *testing.T) {
	const hour = time.Hour
	c, err := newClock()
	must(t, err)
	for name, tt := range map[string]struct {
		replay config.AntiReplay
		change func(*state)
	}{
		"the clock was set back": {config.ByMonotonic, func(s *state) {
			s.Sequences = map[string]uint64{"v1/IPv4": uint64(time.Now().Add(hour).Unix()) << 32}
		}},
		"the clock was wrong": {config.ByTime, func(s *state) {
			s.ClockAhead = time.Duration(time.Now().Add(hour).UnixNano()) - time.Duration(s.Saved)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			wired(t)
			wire := far(t)
			key := filepath.Join(t.TempDir(), "key")
			must(t, os.WriteFile(key, []byte(strings.Repeat("k", 32)), 0o600))
			configPath, dir := died(t, 1, func(s *state) {
				s.Saved = c.now()
				s.Auth = &config.Auth{Mode: config.Enforce, ActiveKey: 1, Keys: []config.Key{{ID: 1, File: key}}, AntiReplay: tt.replay}
				tt.change(s)
			})
			await := release(t, configPath, dir)
			said := leaves(t, wire, 1)
			if len(said) < 12+vrrp.TrailerLen {
				t.Fatalf("it is not signed: %x", said)
			}
			if got := time.Unix(int64(binary.BigEndian.Uint32(said[16:])), 0); time.Until(got) < hour-time.Minute {
				t.Errorf("signed at %v, which is refused", got)
			}
			_, err := await()
			must(t, err)
		})
	}
}

// An address goes when its own successor is there, whatever becomes of the others.
func TestReleaseEachByItself(t *testing.T) {
	wired(t)
	wire := far(t)
	configPath, dir := died(t, 3, func(*state) {})
	await := release(t, configPath, dir)
	for vrid := range 3 {
		leaves(t, wire, uint8(vrid+1))
	}
	within(t, time.Second, "that with a successor is off", func() bool {
		advertise(t, wire, 2, "198.51.100.102") // the kernel drops what comes before it has seen the carrier
		return !assigned("198.51.100.102")
	})
	if !assigned("198.51.100.101") || !assigned("198.51.100.103") {
		t.Error("those without a successor are off too")
	}
	if did, err := await(); err != nil || len(did) != 6 {
		t.Errorf("did %q, %v", did, err)
	}
	if assigned("198.51.100.101") || assigned("198.51.100.103") {
		t.Error("addresses are left")
	}
}

// An address goes once its successor has announced it, and need not wait then. Who only
// announces it is no successor.
func TestReleaseOnceAnnounced(t *testing.T) {
	wired(t)
	const vips = 6
	wire := far(t)
	configPath, dir := died(t, vips, func(*state) {})
	await := release(t, configPath, dir)
	leaves(t, wire, vips)
	within(t, time.Second, "the carrier is seen", func() bool { // what comes before it is dropped
		advertise(t, wire, 5, "198.51.100.105")
		return !assigned("198.51.100.105")
	})
	announce(t, wire, "198.51.100.106")
	soonest := time.Hour // the host may be busy once
	for n := 1; n <= 4; n++ {
		addr, began := fmt.Sprintf("198.51.100.%d", 100+n), time.Now()
		advertise(t, wire, uint8(n), addr)
		announce(t, wire, addr)
		within(t, time.Second, "what was announced is off", func() bool { return !assigned(addr) })
		soonest = min(soonest, time.Since(began))
	}
	if soonest > partingExtra/2 {
		t.Errorf("what was announced was off after %v", soonest)
	}
	if !assigned("198.51.100.106") {
		t.Error("what nobody has taken over is off")
	}
	if did, err := await(); err != nil || len(did) != 2*vips {
		t.Errorf("did %q, %v", did, err)
	}
}

// A router's addresses stay together until all of them were announced.
func TestPartingHearsOf(t *testing.T) {
	c, err := newClock()
	must(t, err)
	p, err := newParting(c, "k3s/IPv4", savedState{Addresses: []string{"198.51.100.101", "198.51.100.102"}, Source: "198.51.100.1", Interval: time.Second}, nil, 0)
	must(t, err)
	l := &line{lingers: []*parting{p}}
	for _, tt := range []struct {
		addr  string
		asked bool // an answer tells only who asked
		done  bool
	}{
		{addr: "198.51.100.101"},
		{addr: "198.51.100.101"},
		{addr: "198.51.100.9"},
		{addr: "198.51.100.102", asked: true},
		{addr: "198.51.100.102", done: true},
		{addr: "198.51.100.102", done: true},
	} {
		l.heard(vip.Heard{Addr: netip.MustParseAddr(tt.addr), Gratuitous: !tt.asked})
		select {
		case <-p.announced:
			if !tt.done {
				t.Errorf("done with %+v", tt)
			}
		default:
			if tt.done {
				t.Errorf("not done with %+v", tt)
			}
		}
	}
}

// announce sends a gratuitous ARP from the other end.
func announce(t *testing.T, c *packet.Conn, addr string) {
	t.Helper()
	mac, ip := net.HardwareAddr{2, 0, 0, 0, 0, 2}, netip.MustParseAddr(addr).AsSlice()
	everybody := net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	frame := slices.Concat(everybody, mac, []byte{8, 6, 0, 1, 8, 0, 6, 4, 0, 1}, mac, ip, make([]byte, 6), ip)
	_, err := c.WriteTo(frame, &packet.Addr{HardwareAddr: everybody})
	must(t, err)
}

// Who may not take an address off is told so at once, in a line, and nothing is done.
func TestReleaseMayNot(t *testing.T) {
	wired(t)
	configPath, dir := died(t, 1, func(*state) {})
	before, err := os.ReadFile(statePath(dir))
	must(t, err)
	said := make(chan error)
	go func() {
		runtime.LockOSThread() // and with it ends the thread
		hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var none [2]unix.CapUserData
		if err := unix.Capset(&hdr, &none[0]); err != nil {
			said <- err
			return
		}
		_, err := Release(t.Context(), configPath, dir)
		said <- err
	}()
	if err := <-said; err == nil || err.Error() != "no permission: CAP_NET_ADMIN missing: run vipd as root, or with these capabilities" {
		t.Errorf("%v", err)
	}
	after, err := os.ReadFile(statePath(dir))
	must(t, err)
	if string(after) != string(before) || !assigned("198.51.100.101") {
		t.Error("something was done")
	}
}

// Where no agent ever ran there is no state to forget.
func TestReleaseWithoutDirectory(t *testing.T) {
	wired(t)
	configPath, dir := died(t, 1, func(*state) {})
	did, err := Release(t.Context(), configPath, filepath.Join(dir, "none"))
	if err != nil {
		t.Errorf("%q, %v", did, err)
	}
}

// However many routers there were, each interface and family has one socket to hear
// with, one to say it with, and one for announcements.
func TestReleaseFewSockets(t *testing.T) {
	wired(t)
	wire := far(t)
	configPath, dir := died(t, 8, func(*state) {})
	await := release(t, configPath, dir)
	leaves(t, wire, 8)
	table, err := os.ReadFile("/proc/thread-self/net/raw")
	must(t, err)
	if sockets := strings.Count(string(table), "\n") - 1; sockets != 2 {
		t.Errorf("%d raw sockets, want 2", sockets)
	}
	near, err := net.InterfaceByName(testInterface)
	must(t, err)
	table, err = os.ReadFile("/proc/thread-self/net/packet")
	must(t, err)
	ears := 0
	for line := range strings.Lines(string(table)) {
		if f := strings.Fields(line); len(f) > 4 && f[4] == strconv.Itoa(near.Index) {
			ears++
		}
	}
	if ears != 1 {
		t.Errorf("%d packet sockets, want 1:\n%s", ears, table)
	}
	if did, err := await(); err != nil || len(did) != 16 {
		t.Errorf("did %q, %v", did, err)
	}
}

// Whatever is wrong with the saved state is said, and no reason to keep an address.
func TestReleaseOddState(t *testing.T) {
	wired(t)
	configPath, dir := died(t, 4, func(s *state) {
		for name, change := range map[string]func(*savedState){
			"v1/IPv4": func(s *savedState) { s.Interface = "gone0" },
			"v2/IPv4": func(s *savedState) { s.Source = "" },
			"v3/IPv4": func(s *savedState) { s.Interval = 0 },
			"v4/IPv4": func(s *savedState) { s.State = "Backup" },
		} {
			r := s.Routers[name]
			change(&r)
			s.Routers[name] = r
		}
	})
	did, err := Release(t.Context(), configPath, dir)
	for _, want := range []string{"v1/IPv4: find interface gone0", "v2/IPv4: read its source", "v3/IPv4: the saved state does not say"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q in it", err, want)
		}
	}
	for n := range 4 {
		if a := fmt.Sprintf("198.51.100.%d", 101+n); assigned(a) || !slices.Contains(did, a+"/32 on "+testInterface) {
			t.Errorf("%s is there: %v; did %q", a, assigned(a), did)
		}
	}
}
