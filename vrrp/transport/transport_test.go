package transport

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/vipd/vipd/test/lab"
	"github.com/vipd/vipd/vrrp"
)

func TestDelivery(t *testing.T) {
	_, a, b := pair(t)
	for _, f := range families {
		hops := option{unix.SOL_IP, unix.IP_MULTICAST_TTL, 7, ""}
		if f == vrrp.IPv6 {
			hops = option{unix.SOL_IPV6, unix.IPV6_MULTICAST_HOPS, 7, ""}
		}
		for _, tt := range []struct {
			name    string
			dst     netip.Addr
			options []option
			ttl     int
			payload []byte
		}{
			{name: "multicast", dst: f.Group(), ttl: 255, payload: advert(51, 12)},
			{name: "unicast", dst: b.addrs[f], ttl: 255, payload: advert(51, 12)},
			{name: "wrong TTL", dst: f.Group(), options: []option{hops}, ttl: 7, payload: advert(51, 12)},
			{name: "shorter than a header", dst: f.Group(), ttl: 255, payload: advert(51, 9)[:9]},
			{name: "largest, in fragments", dst: f.Group(), ttl: 255, payload: advert(51, maxPayload)},
			{name: "version 2", dst: f.Group(), ttl: 255, payload: append([]byte{0x21}, advert(51, 20)[1:]...)},
			{name: "type 15", dst: f.Group(), ttl: 255, payload: append([]byte{0x3f}, advert(51, 12)[1:]...)},
		} {
			t.Run(f.String()+" "+tt.name, func(t *testing.T) {
				r, s := b.receiver(t, f), a.sender(t, f)
				in := open(t, r, 51)
				start(t, r)
				for _, o := range tt.options {
					if err := unix.SetsockoptInt(s.fd, o.level, o.name, o.value); err != nil {
						t.Fatal(err)
					}
				}
				send(t, s, a.addrs[f], tt.dst, tt.payload)
				got := in.wait(t)
				if f == vrrp.IPv6 {
					got.Payload = unsummed(got.Payload)
				}
				want := Datagram{Src: a.addrs[f], Dst: tt.dst, TTL: tt.ttl, Payload: tt.payload}
				if diff := cmp.Diff(want, got, compare...); diff != "" {
					t.Errorf("(-want +got)\n%s", diff)
				}
			})
		}
	}
}

func TestC07IPOptions(t *testing.T) {
	_, a, b := pair(t)
	r, s := b.receiver(t, vrrp.IPv4), a.sender(t, vrrp.IPv4)
	in := open(t, r, 51)
	start(t, r)
	const routerAlert = "\x94\x04\x00\x00"
	if err := unix.SetsockoptString(s.fd, unix.SOL_IP, unix.IP_OPTIONS, routerAlert); err != nil {
		t.Fatal(err)
	}
	send(t, s, a.addrs[vrrp.IPv4], vrrp.IPv4.Group(), advert(51, 12))
	want := Datagram{Src: a.addrs[vrrp.IPv4], Dst: vrrp.IPv4.Group(), TTL: 255, Payload: advert(51, 12)}
	if diff := cmp.Diff(want, in.wait(t), compare...); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestTrafficClass(t *testing.T) {
	_, a, b := pair(t)
	s, r := a.sender(t, vrrp.IPv4), b.receiver(t, vrrp.IPv4)
	open(t, r, 51)
	queue(t, r, 1, func() { send(t, s, a.addrs[vrrp.IPv4], vrrp.IPv4.Group(), advert(51, 12)) })
	r.Drain()
	if tos := r.batch.data[0][1]; tos != vrrp.TrafficClass {
		t.Errorf("TOS %#x, want %#x", tos, vrrp.TrafficClass)
	}
	if p, err := unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_PRIORITY); p != 6 || err != nil {
		t.Errorf("SO_PRIORITY %d, %v; want 6", p, err)
	}
}

func TestOwnPacketsAreNotHeard(t *testing.T) {
	_, a, b := pair(t)
	for _, f := range families {
		t.Run(f.String(), func(t *testing.T) {
			own, other, s := a.receiver(t, f), b.receiver(t, f), a.sender(t, f)
			back := open(t, own, 51)
			in := open(t, other, 51)
			start(t, other)
			send(t, s, a.addrs[f], f.Group(), advert(51, 12))
			in.wait(t) // by then it would have come back too
			own.Drain()
			if len(back) != 0 || memory(t, s.fd) != 0 {
				t.Errorf("%d came back, %d bytes wait in the sender", len(back), memory(t, s.fd))
			}
		})
	}
}

func TestHandle(t *testing.T) {
	_, a, b := pair(t)
	for _, f := range families {
		t.Run(f.String(), func(t *testing.T) {
			r, s := b.receiver(t, f), a.sender(t, f)
			sendAll := func() {
				for vrid := 1; vrid <= 255; vrid++ {
					send(t, s, a.addrs[f], f.Group(), advert(uint8(vrid), 12))
				}
			}
			in := open(t, r, 200)
			start(t, r)
			sendAll()
			in.wait(t)
			if got := r.Stats().Received; got != 1 {
				t.Errorf("with one VRID %d were received", got)
			}

			heard := make(chan uint8, 1024)
			for vrid := 1; vrid <= 255; vrid++ {
				err := r.Handle(uint8(vrid), func(d *Datagram) {
					if d.Payload[offsetVRID] != uint8(vrid) {
						t.Errorf("handler of %d got %d", vrid, d.Payload[offsetVRID])
					}
					heard <- uint8(vrid)
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			sendAll()
			for want := 1; want <= 255; want++ {
				select {
				case got := <-heard:
					if got != uint8(want) {
						t.Fatalf("got VRID %d, want %d", got, want)
					}
				case <-time.After(patience):
					t.Fatalf("VRID %d not heard", want)
				}
			}

			for vrid := 1; vrid < 255; vrid++ {
				if err := r.Handle(uint8(vrid), nil); err != nil {
					t.Fatal(err)
				}
			}
			sendAll()
			if got := <-heard; got != 255 {
				t.Errorf("got VRID %d whose handler was removed", got)
			}
		})
	}
}

func TestWrongIPv6ChecksumIsDropped(t *testing.T) {
	_, a, b := pair(t)
	r, s := b.receiver(t, vrrp.IPv6), a.sender(t, vrrp.IPv6)
	in := open(t, r, 51)
	start(t, r)
	if err := unix.SetsockoptInt(s.fd, unix.SOL_IPV6, unix.IPV6_CHECKSUM, -1); err != nil {
		t.Fatal(err)
	}
	send(t, s, a.addrs[vrrp.IPv6], vrrp.IPv6.Group(), advert(51, 12))
	until(t, "the drop is counted", func() bool { return r.Stats().Dropped == 1 })
	if len(in) != 0 {
		t.Error("delivered all the same")
	}
}

func TestTruncated(t *testing.T) {
	_, a, b := pair(t)
	for _, f := range families {
		t.Run(f.String(), func(t *testing.T) {
			r, s := b.receiver(t, f), a.sender(t, f)
			in := open(t, r, 51)
			start(t, r)
			send(t, s, a.addrs[f], f.Group(), advert(51, maxFiltered+1))
			send(t, s, a.addrs[f], f.Group(), advert(51, maxDatagram+1))
			send(t, s, a.addrs[f], f.Group(), advert(51, 12))
			if d := in.wait(t); len(d.Payload) != 12 {
				t.Errorf("got %d bytes", len(d.Payload))
			}
			if diff := cmp.Diff(Stats{Received: 1, Truncated: 1}, r.Stats()); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestC57MTU(t *testing.T) {
	_, a, b := pair(t, "ip")
	r, s := b.receiver(t, vrrp.IPv6), a.sender(t, vrrp.IPv6)
	in := open(t, r, 51)
	start(t, r)
	if !b.joined(t, r) {
		t.Fatal("not joined at first")
	}
	b.run(t, "ip", "link", "set", lab.Interface, "mtu", "1200")
	if b.joined(t, r) {
		t.Fatal("still joined with an MTU of 1200")
	}
	if err := r.Rejoin(); err == nil || !strings.Contains(err.Error(), "MTU below 1280") {
		t.Errorf("Rejoin with an MTU of 1200: %v", err)
	}
	b.run(t, "ip", "link", "set", lab.Interface, "mtu", "1500")
	if b.joined(t, r) {
		t.Log("this kernel restores the membership by itself")
	}
	if err := r.Rejoin(); err != nil {
		t.Fatal(err)
	}
	if !b.joined(t, r) {
		t.Fatal("not joined after Rejoin")
	}
	send(t, s, a.addrs[vrrp.IPv6], vrrp.IPv6.Group(), advert(51, 12))
	in.wait(t)
}

func TestC40LinkFlap(t *testing.T) {
	_, a, b := pair(t, "ip")
	for _, f := range families {
		t.Run(f.String(), func(t *testing.T) {
			r, s := b.receiver(t, f), a.sender(t, f)
			in := open(t, r, 51)
			start(t, r)
			b.run(t, "ip", "link", "set", lab.Interface, "down")
			b.run(t, "ip", "link", "set", lab.Interface, "up")
			if err := r.Rejoin(); err != nil {
				t.Fatal(err)
			}
			if !b.joined(t, r) {
				t.Fatal("not joined after Rejoin")
			}
			until(t, "a packet comes through", func() bool {
				send(t, s, a.addrs[f], f.Group(), advert(51, 12))
				return len(in) > 0
			})
		})
	}
}

func TestSendWithLinkDown(t *testing.T) {
	_, a, _ := pair(t, "ip")
	for _, f := range families {
		t.Run(f.String(), func(t *testing.T) {
			s := a.sender(t, f)
			a.run(t, "ip", "link", "set", lab.Interface, "down")
			err := s.Send(a.addrs[f], f.Group(), advert(51, 12))
			if !errors.Is(err, unix.ENETUNREACH) && !errors.Is(err, unix.EINVAL) {
				t.Errorf("Send: %v", err)
			}
			a.run(t, "ip", "link", "set", lab.Interface, "up")
		})
	}
}

func TestC40InterfaceDeleted(t *testing.T) {
	for _, f := range families {
		t.Run(f.String(), func(t *testing.T) {
			_, _, b := pair(t, "ip")
			r := b.receiver(t, f)
			done := make(chan error, 1)
			go func() { done <- r.Run(context.Background()) }()
			b.run(t, "ip", "link", "del", lab.Interface)
			select {
			case err := <-done:
				if !errors.Is(err, unix.ENODEV) || !strings.Contains(err.Error(), "is gone") {
					t.Errorf("Run: %v", err)
				}
			case <-time.After(patience):
				t.Error("Run did not return")
			}
		})
	}
}

func TestClose(t *testing.T) {
	_, a, b := pair(t)
	r, s := b.receiver(t, vrrp.IPv4), a.sender(t, vrrp.IPv4)
	done := make(chan error, 1)
	go func() { done <- r.Run(context.Background()) }()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err == nil {
		t.Error("Run returned no error")
	}
	r.Drain() // harmless
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Send(a.addrs[vrrp.IPv4], vrrp.IPv4.Group(), advert(51, 12)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Send: %v", err)
	}
}

func TestC58FirewallDropsOutput(t *testing.T) {
	_, a, b := pair(t, "nft")
	a.run(t, "nft", `add table inet f; add chain inet f out { type filter hook output priority 0; }; add rule inet f out meta l4proto vrrp drop`)
	for _, f := range families {
		for name, dst := range map[string]netip.Addr{"multicast": f.Group(), "unicast": b.addrs[f]} {
			t.Run(f.String()+" "+name, func(t *testing.T) {
				err := a.sender(t, f).Send(a.addrs[f], dst, advert(51, 12))
				if !errors.Is(err, unix.EPERM) {
					t.Errorf("Send: %v, want EPERM", err)
				}
			})
		}
	}
}

func TestC58FullQueue(t *testing.T) {
	_, a, _ := pair(t, "tc")
	a.run(t, "tc", "qdisc", "add", "dev", lab.Interface, "root", "tbf", "rate", "8kbit", "burst", "1600", "limit", "1600")
	for _, f := range families {
		t.Run(f.String(), func(t *testing.T) {
			s := a.sender(t, f)
			until(t, "the queue is full", func() bool {
				err := s.Send(a.addrs[f], f.Group(), advert(51, 1000))
				if err != nil && !errors.Is(err, unix.ENOBUFS) {
					t.Fatalf("Send: %v, want ENOBUFS", err)
				}
				return err != nil
			})
		})
	}
}

// A peer without VRRP answers with an ICMP error, which must not spoil what is
// sent to others.
func TestICMPErrorOfOnePeer(t *testing.T) {
	_, a, b := pair(t)
	for _, f := range families {
		t.Run(f.String(), func(t *testing.T) {
			s := a.sender(t, f)
			until(t, "an ICMP error has come", func() bool {
				send(t, s, a.addrs[f], b.addrs[f], advert(51, 12))
				e, err := unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_ERROR) // also clears it
				return err == nil && e != 0
			})
			for range 100 {
				send(t, s, a.addrs[f], b.addrs[f], advert(51, 12))
				send(t, s, a.addrs[f], f.Group(), advert(51, 12))
			}
		})
	}
}

func TestSendRefuses(t *testing.T) {
	_, a, b := pair(t)
	v4, v6 := a.addrs[vrrp.IPv4], a.addrs[vrrp.IPv6]
	for _, tt := range []struct {
		name     string
		f        vrrp.Family
		src, dst netip.Addr
	}{
		{"IPv6 destination over IPv4", vrrp.IPv4, v4, vrrp.IPv6.Group()},
		{"IPv4 source over IPv6", vrrp.IPv6, v4, vrrp.IPv6.Group()},
		{"no address", vrrp.IPv4, netip.Addr{}, vrrp.IPv4.Group()},
		{"no IPv6 address", vrrp.IPv6, v6, netip.Addr{}},
		{"foreign IPv4 source", vrrp.IPv4, b.addrs[vrrp.IPv4], vrrp.IPv4.Group()},
		{"foreign IPv6 source", vrrp.IPv6, b.addrs[vrrp.IPv6], vrrp.IPv6.Group()},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := a.sender(t, tt.f).Send(tt.src, tt.dst, advert(51, 12))
			if err == nil {
				t.Error("sent")
			}
		})
	}
}

// queue has n packets of equal size wait in r's socket, which must be empty.
func queue(t testing.TB, r *Receiver, n int, send func()) {
	t.Helper()
	used := func() (bytes uint32) {
		if err := r.control(func(fd int) error { bytes = memory(t, fd); return nil }); err != nil {
			t.Fatal(err)
		}
		return bytes
	}
	send()
	until(t, "a packet is queued", func() bool { return used() > 0 })
	each := used()
	for range n - 1 {
		send()
	}
	until(t, "the packets are queued", func() bool { return used() == each*uint32(n) })
}

// memory returns how much memory a socket's receive queue takes.
func memory(t testing.TB, fd int) uint32 {
	t.Helper()
	info, err := meminfo(fd)
	if err != nil {
		t.Fatal(err)
	}
	return info[unix.SK_MEMINFO_RMEM_ALLOC]
}

func TestC31DrainAfterStall(t *testing.T) {
	_, a, b := pair(t)
	for _, f := range families {
		t.Run(f.String(), func(t *testing.T) {
			r, s := b.receiver(t, f), a.sender(t, f)
			in := open(t, r, 51)
			one := func() { send(t, s, a.addrs[f], f.Group(), advert(51, 12)) }
			until(t, "the kernel stamps, which it begins with some delay", func() bool {
				queue(t, r, 1, one)
				read := r.clock()
				r.Drain()
				return (<-in).Arrival < read
			})

			const n = 3*batchSize + 1
			before := r.clock()
			queue(t, r, n, one)
			sent := r.clock()
			time.Sleep(300 * time.Millisecond) // the stall
			r.Drain()
			if len(in) != n {
				t.Fatalf("%d of %d delivered when Drain returned", len(in), n)
			}
			for range n {
				const slack = vrrp.Instant(100 * time.Millisecond)
				if d := <-in; d.Arrival < before-slack || d.Arrival > sent+slack {
					t.Errorf("arrived at %v, but sent between %v and %v", d.Arrival, before, sent)
				}
			}
		})
	}
}

// Drain called beside Run, from several goroutines, loses and doubles nothing.
func TestDrainBesideRun(t *testing.T) {
	_, a, b := pair(t)
	r, s := b.receiver(t, vrrp.IPv4), a.sender(t, vrrp.IPv4)
	in := open(t, r, 51)
	start(t, r)
	const n = 500
	var drains sync.WaitGroup
	defer drains.Wait()
	done := make(chan struct{})
	defer close(done)
	for range 2 {
		drains.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					r.Drain()
					runtime.Gosched()
				}
			}
		})
	}
	for i := range n {
		p := advert(51, 12)
		p[8], p[9] = byte(i>>8), byte(i)
		send(t, s, a.addrs[vrrp.IPv4], vrrp.IPv4.Group(), p)
	}
	for i := range n {
		if got := in.wait(t).Payload[8:10]; !bytes.Equal(got, []byte{byte(i >> 8), byte(i)}) {
			t.Fatalf("packet %d: got number %v", i, got)
		}
	}
}

func TestC55Flood(t *testing.T) {
	_, a, b := pair(t)
	r, s := b.receiver(t, vrrp.IPv4), a.sender(t, vrrp.IPv4)
	src, group := a.addrs[vrrp.IPv4], vrrp.IPv4.Group()
	var flooded int
	if err := r.Handle(66, func(*Datagram) { flooded++ }); err != nil {
		t.Fatal(err)
	}
	in := open(t, r, 51)
	start(t, r)

	const perSecond = 50_000
	sent := 0
	began := time.Now()
	for time.Since(began) < time.Second {
		for due := int(time.Since(began) * perSecond / time.Second); sent < due; sent++ {
			send(t, s, src, group, advert(66, 12))
		}
		time.Sleep(time.Millisecond)
	}
	until(t, "a packet is heard after the flood", func() bool {
		send(t, s, src, group, advert(51, 12))
		return len(in) > 0
	})
	took := time.Since(began)

	r.reading.Lock() // orders the handler's count before this look at it
	got := flooded
	r.reading.Unlock()
	most := readBurst + batchSize + int(took*readRate/time.Second)
	stats := r.Stats()
	t.Logf("sent %d, read %d of at most %d in %v, %+v", sent, got, most, took, stats)
	if got > most {
		t.Errorf("read %d, the budget is %d", got, most)
	}
	// Each pause is of some 2 ms, or longer where the machine is busy.
	if pauses := uint64(took / wakeEvery); stats.Deferred == 0 || stats.Deferred > pauses+wakeBurst {
		t.Errorf("%d pauses, want at most %d: %+v", stats.Deferred, pauses+wakeBurst, stats)
	}
}

// A bridge that snoops forwards ff02::12 only to ports that have asked for it.
func TestC51SnoopingBridge(t *testing.T) {
	l, a, b := pair(t, "ip", "bridge")
	// Without a querier a bridge floods; this one is its own at once.
	_, err := l.Switch().Run("ip", "link", "set", "br0", "type", "bridge", "mcast_query_response_interval", "10",
		"mcast_snooping", "1", "mcast_querier", "1")
	if err != nil {
		t.Fatal(err)
	}
	r, s := b.receiver(t, vrrp.IPv6), a.sender(t, vrrp.IPv6)
	in := open(t, r, 51)
	start(t, r)
	member := func() bool {
		out, err := l.Switch().Run("bridge", "mdb", "show")
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(out) {
			if strings.Contains(line, "port b ") && strings.Contains(line, "ff02::12 ") {
				return true
			}
		}
		return false
	}
	until(t, "the bridge knows the membership", member)
	send(t, s, a.addrs[vrrp.IPv6], vrrp.IPv6.Group(), advert(51, 12))
	in.wait(t)
}

func TestNoAllocations(t *testing.T) {
	_, a, b := pair(t)
	for _, f := range families {
		for name, run := range map[string]bool{"Run": true, "Drain": false} {
			t.Run(f.String()+" "+name, func(t *testing.T) {
				once := roundTrip(t, a, b, f, run)
				if n := testing.AllocsPerRun(200, once); n != 0 {
					t.Errorf("%v allocations to send and receive a datagram", n)
				}
			})
		}
	}
}

func BenchmarkSend(b *testing.B) {
	_, x, _ := pair(b)
	for _, f := range families {
		b.Run(f.String(), func(b *testing.B) {
			s, p := x.sender(b, f), advert(51, 12)
			b.ReportAllocs()
			for b.Loop() {
				send(b, s, x.addrs[f], f.Group(), p)
			}
		})
	}
}

func BenchmarkReceive(b *testing.B) {
	_, x, y := pair(b)
	for _, f := range families {
		b.Run(f.String(), func(b *testing.B) {
			r, s := y.receiver(b, f), x.sender(b, f)
			if err := r.Handle(51, func(*Datagram) {}); err != nil {
				b.Fatal(err)
			}
			p := advert(51, 12)
			b.ReportAllocs()
			b.StopTimer()
			for left := b.N; left > 0; {
				n := min(left, 256)
				queue(b, r, n, func() { send(b, s, x.addrs[f], f.Group(), p) })
				b.StartTimer()
				r.Drain()
				b.StopTimer()
				left -= n
			}
		})
	}
}

// roundTrip returns a function that sends a datagram and waits until a handler
// has had it, called by Run or by Drain.
func roundTrip(t testing.TB, a, b *host, f vrrp.Family, run bool) func() {
	r, s, p := b.receiver(t, f), a.sender(t, f), advert(51, 12)
	got := make(chan struct{}, 1)
	if err := r.Handle(51, func(*Datagram) { got <- struct{}{} }); err != nil {
		t.Fatal(err)
	}
	late := time.After(patience)
	wait := func() {
		select {
		case <-got:
		case <-late:
			t.Fatal("nothing received")
		}
	}
	if run {
		start(t, r)
		return func() {
			send(t, s, a.addrs[f], f.Group(), p)
			wait()
		}
	}
	return func() {
		send(t, s, a.addrs[f], f.Group(), p)
		until(t, "Drain delivers", func() bool { r.Drain(); return len(got) > 0 })
		wait()
	}
}

// Opening without CAP_NET_RAW must say what is missing.
func TestWithoutPrivilege(t *testing.T) {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends here, with what it gave up
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var none [2]unix.CapUserData
		if err := unix.Capset(&header, &none[0]); err != nil {
			done <- err
			return
		}
		_, err := NewSender(&net.Interface{Index: 1, Name: "lo"}, vrrp.IPv4)
		done <- err
	}()
	err := <-done
	if !errors.Is(err, unix.EPERM) || !strings.HasSuffix(err.Error(), "run as root or with CAP_NET_RAW") {
		t.Errorf("NewSender: %v", err)
	}
}
