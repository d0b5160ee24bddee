package control

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Filter chooses events of a history.
type Filter struct {
	VIP   string    // what concerns it, or the whole node; "": all
	Since time.Time // not before
	Last  int       // at most so many, the last ones; 0: all
}

// Apply returns the events that f lets through. It is an error if the history knows
// other VIPs and not that one.
func (f Filter) Apply(events []Event) ([]Event, error) {
	out := []Event{}
	var others []string
	known := f.VIP == ""
	for _, e := range events {
		if e.VIP != "" && f.VIP != "" && e.VIP != f.VIP {
			others = append(others, e.VIP)
			continue
		}
		known = known || e.VIP == f.VIP
		if !e.Time.Before(f.Since) {
			out = append(out, e)
		}
	}
	if !known && len(others) > 0 {
		slices.Sort(others)
		return nil, fmt.Errorf("the history knows nothing of a VIP %q, but of %s", f.VIP, strings.Join(slices.Compact(others), ", "))
	}
	if f.Last > 0 {
		out = out[max(0, len(out)-f.Last):]
	}
	return out, nil
}

// times are the forms in which a time can be written; without a date, it is the last
// that there was.
var times = []string{time.RFC3339, "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02"}

// ParseSince reads a time, or how long ago it was: "2h", "3d", "15:04",
// "2006-01-02 15:04".
func ParseSince(s string, now time.Time) (time.Time, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			return now.AddDate(0, 0, -int(n)), nil
		}
	}
	if d, err := time.ParseDuration(strings.TrimPrefix(s, "-")); err == nil {
		return now.Add(-d.Abs()), nil
	}
	for _, form := range times {
		if t, err := time.ParseInLocation(form, s, now.Location()); err == nil {
			return t, nil
		}
	}
	for _, form := range []string{"15:04:05", "15:04"} {
		if t, err := time.ParseInLocation(form, s, now.Location()); err == nil {
			return lastAt(t, now), nil
		}
	}
	return time.Time{}, errors.New("write how long ago, as in 2h or 3d, or a time, as in 03:15 or \"2026-03-01 03:15\"")
}

// lastAt returns when it was that time of day the last time.
func lastAt(t, now time.Time) time.Time {
	at := time.Date(now.Year(), now.Month(), now.Day(), t.Hour(), t.Minute(), t.Second(), 0, now.Location())
	if at.After(now) {
		return at.AddDate(0, 0, -1)
	}
	return at
}
