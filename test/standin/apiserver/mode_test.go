package apiserver

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParseMode(t *testing.T) {
	tests := []struct {
		text string
		want Mode
		bad  bool
	}{
		{text: "ready", want: Mode{Kind: Ready}},
		{text: " etcd-lost\n", want: Mode{Kind: EtcdLost}},
		{text: "slow 300ms", want: Mode{Kind: Slow, Period: 300 * time.Millisecond}},
		{text: "flapping 2s", want: Mode{Kind: Flapping, Period: 2 * time.Second}},
		{text: "status 403", want: Mode{Kind: Status, Status: 403}},
		{text: "", bad: true},
		{text: "rady", bad: true},
		{text: "ready now", bad: true},
		{text: "slow", bad: true},
		{text: "slow -1s", bad: true},
		{text: "status teapot", bad: true},
		{text: "status 99", bad: true},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			got, err := ParseMode(tt.text)
			if (err != nil) != tt.bad {
				t.Fatalf("error %v", err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func FuzzParseMode(f *testing.F) {
	for kind := range arguments() {
		f.Add(string(kind))
		f.Add(string(kind) + " 250ms")
		f.Add(string(kind) + " 503")
	}
	f.Fuzz(func(t *testing.T, text string) {
		m, err := ParseMode(text)
		if err != nil {
			return
		}
		again, err := ParseMode(m.String())
		if err != nil || again != m {
			t.Errorf("%q: %q reads as %v, %v", text, m, again, err)
		}
	})
}

func TestSequences(t *testing.T) {
	tests := []struct {
		kind  Kind
		scale float64
		want  []Kind
		total [2]time.Duration // least and most
	}{
		{Ready, 1, []Kind{Ready}, [2]time.Duration{}},
		{Start, 1, []Kind{Refused, Starting, Missing, Booting, Ready}, [2]time.Duration{4500 * time.Millisecond, 4500 * time.Millisecond}},
		{Start, 0.1, []Kind{Refused, Starting, Missing, Booting, Ready}, [2]time.Duration{450 * time.Millisecond, 450 * time.Millisecond}},
		{Stop, 0.1, []Kind{Hang, Refused}, [2]time.Duration{60 * time.Millisecond, 250 * time.Millisecond}},
	}
	for _, tt := range tests {
		t.Run(string(tt.kind), func(t *testing.T) {
			var kinds []Kind
			var total time.Duration
			for _, st := range sequence(Mode{Kind: tt.kind}, tt.scale) {
				kinds = append(kinds, st.mode.Kind)
				total += st.lasts
			}
			if diff := cmp.Diff(tt.want, kinds); diff != "" {
				t.Errorf("kinds (-want +got):\n%s", diff)
			}
			if total < tt.total[0] || total > tt.total[1] {
				t.Errorf("takes %v, want %v to %v", total, tt.total[0], tt.total[1])
			}
		})
	}
}

func TestFlappingTakesTurns(t *testing.T) {
	began := time.Now()
	st := &state{mode: Mode{Kind: Flapping, Period: 2 * time.Second}, since: began}
	for at, want := range map[time.Duration]Kind{
		0: Unready, 999 * time.Millisecond: Unready, time.Second: Ready, 1999 * time.Millisecond: Ready, 2 * time.Second: Unready,
	} {
		if got := st.at(began.Add(at)); got != want {
			t.Errorf("after %v: %s, want %s", at, got, want)
		}
	}
}
