package vrrp

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// readyMachine returns a machine that may claim, in Backup at instant 0.
func readyMachine(c Config) *Machine {
	c.HasBeenReady, c.Preempt, c.Linger = true, true, true
	if !c.Addr.IsValid() {
		c.Addr = netip.MustParseAddr("198.51.100.11")
	}
	m := New(c)
	m.Step(0, Verdict(Ready, 0))
	m.Step(0, Startup())
	return m
}

// TestC26DownTimer wants the timers exact to the nanosecond: Active_Down_Interval
// is 3 x A + Skew_Time, and Skew_Time alone after priority 0.
func TestC26DownTimer(t *testing.T) {
	for _, tt := range []struct {
		priority uint8
		interval time.Duration
		skew     time.Duration
	}{
		{150, time.Second, 414062500},
		{100, time.Second, 609375000},
		{254, time.Second, 7812500},
		{PriorityOwner - 1, MinInterval, 78125},
		{200, 250 * time.Millisecond, 54687500},
		{101, MaxInterval, 24793945312}, // 24 793 945 312.5, rounded down
		{254, MaxInterval, 319921875},
	} {
		m := readyMachine(Config{Priority: tt.priority, AdvertInterval: tt.interval})
		if got, want := m.Deadline().Sub(0), 3*tt.interval+tt.skew; got != want {
			t.Errorf("priority %d, %v: Active_Down_Interval = %v, want %v", tt.priority, tt.interval, got, want)
		}
		m.Step(0, Received(Advert{Src: netip.MustParseAddr("198.51.100.12"), Priority: PriorityLeave, Interval: tt.interval}))
		if got := m.Deadline().Sub(0); got != tt.skew {
			t.Errorf("priority %d, %v: Skew_Time = %v, want %v", tt.priority, tt.interval, got, tt.skew)
		}
	}
}

// TestInstantsHaveNoOrigin lets a machine live an hour before zero: nothing that it
// has never done lies in its future.
func TestInstantsHaveNoOrigin(t *testing.T) {
	live := func(begin Instant) (all []Effect) {
		const a = 250 * time.Millisecond
		m := New(Config{Priority: 200, Addr: netip.MustParseAddr("198.51.100.11"), AdvertInterval: a, Preempt: true, Linger: true, HasBeenReady: true})
		for i, e := range []Event{Verdict(Ready, 0), Startup(), Received(Advert{Src: netip.MustParseAddr("198.51.100.12"), Priority: 1, Interval: a, At: begin}), Observed(Ready, begin.Add(1))} {
			all = append(all, m.Step(begin.Add(time.Duration(i)), e)...)
		}
		for range 5 {
			all = append(all, m.Step(m.Deadline(), Tick())...)
			all = append(all, Effect{Transition: Transition{Priority: uint8(m.Deadline().Sub(begin) / (10 * time.Millisecond))}})
			all = append(all, m.Step(m.Deadline()-1, Received(Advert{Src: netip.MustParseAddr("198.51.100.12"), Priority: 1, Interval: a, At: m.Deadline() - 1}))...)
		}
		return all
	}
	if diff := cmp.Diff(live(0), live(Instant(-time.Hour)), cmp.Comparer(func(a, b Effect) bool { return a == b })); diff != "" {
		t.Errorf("an hour before zero (-want +got):\n%s", diff)
	}
}

// TestC29NoDrift sends a thousand advertisements, each tick a little late, and
// wants the last one due to the nanosecond.
func TestC29NoDrift(t *testing.T) {
	const a = 250 * time.Millisecond
	m := readyMachine(Config{Priority: 200, AdvertInterval: a})
	begin := m.Deadline()
	m.Step(begin, Tick())
	due := begin
	for i := 0; i < 1000; {
		late := time.Duration(i*7919%1000) * 10 * time.Microsecond
		now := m.Deadline().Add(late)
		for _, e := range m.Step(now, Tick()) {
			if e.Kind != Send {
				continue
			}
			i++
			due = begin.Add(time.Duration(i) * a)
			if now < due || now.Sub(due) > 10*time.Millisecond {
				t.Fatalf("advertisement %d at %v, due at %v", i, now, due)
			}
		}
	}
	if m.adverAt != due.Add(a) {
		t.Errorf("next advertisement due at %v, want %v", m.adverAt, due.Add(a))
	}
}

// TestStepDoesNotAllocate lets a router live through what a long day brings.
func TestStepDoesNotAllocate(t *testing.T) {
	const a = 250 * time.Millisecond
	m, now := readyMachine(Config{Priority: 200, AdvertInterval: a, Spread: true}), Instant(0)
	advert := Advert{Src: netip.MustParseAddr("198.51.100.12"), Interval: a}
	receive := func(p uint8) {
		advert.Priority, advert.At = p, now
		m.Step(now, Received(advert))
	}
	day := func() {
		receive(210)
		receive(PriorityLeave)
		m.Step(now, Observed(Ready, now))
		for range 20 {
			now = max(now, m.Deadline())
			m.Step(now, Tick())
		}
		receive(150)
		m.Step(now, Verdict(Degraded, time.Second))
		m.Step(now, SendFailed())
		m.Step(now, Sent())
		m.Step(now, AddressLost())
		m.Step(now, Contested())
		m.Step(now, Verdict(Ready, time.Second))
		receive(250)
		m.Step(now, SuccessorAnnounced())
		receive(1)
	}
	if n := testing.AllocsPerRun(20, day); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkStepBackup(b *testing.B) {
	const a = 250 * time.Millisecond
	m, now := readyMachine(Config{Priority: 150, AdvertInterval: a}), Instant(0)
	advert := Advert{Src: netip.MustParseAddr("198.51.100.12"), Priority: 200, Interval: a}
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(a)
		advert.At = now
		m.Step(now, Received(advert))
	}
	if m.State() != Backup {
		b.Fatal("not Backup any more")
	}
}

func BenchmarkStepActive(b *testing.B) {
	m := readyMachine(Config{Priority: 200, AdvertInterval: 250 * time.Millisecond})
	b.ReportAllocs()
	for b.Loop() {
		m.Step(m.Deadline(), Tick())
	}
	if m.State() != Active {
		b.Fatal("not Active any more")
	}
}

func BenchmarkStepDefend(b *testing.B) {
	const a = 250 * time.Millisecond
	m, now := readyMachine(Config{Priority: 200, AdvertInterval: a}), Instant(time.Second)
	m.Step(now, Tick())
	advert := Advert{Src: netip.MustParseAddr("198.51.100.12"), Priority: 150, Interval: a}
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(a / 2)
		m.Step(now, Received(advert))
	}
	if m.State() != Active {
		b.Fatal("not Active any more")
	}
}

// Whether an advertisement went out is asked while none does, and after that for as long
// as this router refrains from challenging another.
func TestWantsSent(t *testing.T) {
	m := readyMachine(Config{Priority: 200, AdvertInterval: time.Second})
	rose := m.Deadline()
	wants := func(when string, now Instant, want bool) {
		t.Helper()
		if m.WantsSent(now) != want {
			t.Errorf("%s, %v: wants %t", when, m.State(), !want)
		}
	}
	m.Step(rose, Tick())
	wants("sound", rose, false)
	m.Step(rose, SendFailed())
	wants("mute", rose, true)
	m.Step(rose, Sent())
	wants("sound again", rose, false)
	m.Step(rose, SendFailed())
	m.Step(rose, Received(Advert{Src: netip.MustParseAddr("198.51.100.12"), Priority: 100, At: rose, Interval: time.Second}))
	wants("refraining", rose.Add(muteBackoff-1), true)
	wants("after that", rose.Add(muteBackoff), false)
}
