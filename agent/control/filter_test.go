package control

import (
	"testing"
	"time"
)

func TestFilter(t *testing.T) {
	events := []Event{
		{Time: before(3 * time.Hour), Kind: KindHealth, Cause: "a"},
		{Time: before(2 * time.Hour), Kind: KindTransition, VIP: "k3s", Cause: "b"},
		{Time: before(time.Hour), Kind: KindTransition, VIP: "other", Cause: "c"},
		{Time: before(time.Minute), Kind: KindTransition, VIP: "k3s", Cause: "d"},
	}
	tests := map[string]struct {
		filter Filter
		want   string
		err    string
	}{
		"all":              {Filter{}, "abcd", ""},
		"vip":              {Filter{VIP: "k3s"}, "abd", ""},
		"since":            {Filter{Since: before(time.Hour)}, "cd", ""},
		"last":             {Filter{Last: 2}, "cd", ""},
		"more than all":    {Filter{Last: 20}, "abcd", ""},
		"all of it":        {Filter{VIP: "k3s", Since: before(150 * time.Minute), Last: 1}, "d", ""},
		"nothing":          {Filter{Since: now}, "", ""},
		"unknown":          {Filter{VIP: "k8s"}, "", `the history knows nothing of a VIP "k8s", but of k3s, other`},
		"quiet, and known": {Filter{VIP: "other", Since: before(time.Minute)}, "", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := tt.filter.Apply(events)
			causes := ""
			for _, e := range got {
				causes += e.Cause
			}
			if causes != tt.want || (err == nil) != (tt.err == "") || err != nil && err.Error() != tt.err {
				t.Errorf("%q, %v; want %q, %v", causes, err, tt.want, tt.err)
			}
			if err == nil && got == nil {
				t.Error("nothing is null in JSON")
			}
		})
	}
	if got, err := (Filter{VIP: "k3s"}).Apply(nil); len(got) != 0 || err != nil {
		t.Errorf("of an empty history: %v, %v", got, err)
	}
}

func TestParseSince(t *testing.T) {
	tests := map[string]time.Time{ // now is noon
		"90s": before(90 * time.Second), "1h30m": before(90 * time.Minute), "-2h": before(2 * time.Hour), "3d": before(72 * time.Hour),
		"11:59": before(time.Minute), "12:00": now, "12:00:01": before(24*time.Hour - time.Second), "2026-02-28": before(36 * time.Hour),
		"2026-02-28 12:00": before(24 * time.Hour), "2026-02-28 12:00:30": before(24*time.Hour - 30*time.Second),
		"2026-02-28T12:00:00+01:00": before(25 * time.Hour),
	}
	for text, want := range tests {
		if got, err := ParseSince(text, now); err != nil || !got.Equal(want) {
			t.Errorf("%s: %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "yesterday", "d", "-d", "25:00", "2026-13-01", "99999999999d"} {
		if got, err := ParseSince(text, now); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
}
