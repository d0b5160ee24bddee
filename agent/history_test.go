package agent

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vipd/vipd/agent/control"
)

// remembering returns a recorder whose history is in dir.
func remembering(dir string) *recorder {
	r := newRecorder(slog.New(slog.DiscardHandler))
	r.keep(dir)
	return r
}

func happened(n int) entry {
	return entry{event: control.Event{Time: time.Unix(int64(n), 0).UTC(), Kind: control.KindDrain, Cause: fmt.Sprint(n)}}
}

func TestHistorySurvives(t *testing.T) {
	dir := t.TempDir()
	first := remembering(dir)
	for n := range 3 {
		first.write(happened(n))
	}
	second := remembering(dir) // as after a kill: nothing was closed
	second.write(happened(3))
	third := remembering(dir)
	if diff := cmp.Diff(second.events(), third.events()); diff != "" || len(third.events()) != 4 {
		t.Errorf("(-before +after):\n%s", diff)
	}
	info, err := os.Stat(historyPath(dir))
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
}

func TestHistoryFileBounded(t *testing.T) {
	dir := t.TempDir()
	r := remembering(dir)
	for n := range 5*historySize + 10 {
		r.write(happened(n))
	}
	text, err := os.ReadFile(historyPath(dir))
	must(t, err)
	if n := strings.Count(string(text), "\n"); n > 2*historySize {
		t.Errorf("%d lines", n)
	}
	got := remembering(dir).events()
	if diff := cmp.Diff(r.events(), got); diff != "" || len(got) != historySize {
		t.Errorf("%d events (-before +after):\n%s", len(got), diff)
	}
}

// What a crash, a full disk or somebody else made of the file costs no more than that.
func TestHistoryDamaged(t *testing.T) {
	dir := t.TempDir()
	for name, damage := range map[string]func(good string) string{
		"half a line":  func(good string) string { return good + `{"time":"2026-03-01T12:00` },
		"garbage":      func(good string) string { return "\x00\xff\n" + good + "[]\nnull\n{}\n" },
		"a long line":  func(good string) string { return strings.Repeat("x", 1<<20) + "\n" + good },
		"another kind": func(good string) string { return good + `{"kind":7}` },
	} {
		t.Run(name, func(t *testing.T) {
			must(t, os.RemoveAll(historyPath(dir)))
			r := remembering(dir)
			r.write(happened(1))
			good, err := os.ReadFile(historyPath(dir))
			must(t, err)
			must(t, os.WriteFile(historyPath(dir), []byte(damage(string(good))), 0o600))
			r = remembering(dir)
			if len(r.entries) != 1 {
				t.Error("nothing is logged")
			}
			r.write(happened(2))
			r = remembering(dir)
			if got := r.events(); len(got) != 2 || got[0].Cause != "1" || got[1].Cause != "2" || len(r.entries) != 0 {
				t.Errorf("%+v, %d entries for the log", got, len(r.entries))
			}
		})
	}
}

// Where the file cannot be written the history goes on in memory, and comes back, but not
// with each event: all of it has to be written then.
func TestHistoryUnwritable(t *testing.T) {
	dir := t.TempDir() + "/run"
	r := remembering(dir)
	r.write(happened(1))
	if len(r.entries) == 0 || len(r.events()) != 1 {
		t.Errorf("%d entries for the log, %d events", len(r.entries), len(r.events()))
	}
	must(t, os.Mkdir(dir, 0o700))
	r.write(happened(2))
	if _, err := os.Stat(historyPath(dir)); err == nil {
		t.Error("written with the next event")
	}
	r.write(happened(11))
	if got := remembering(dir).events(); len(got) != 3 {
		t.Errorf("%+v", got)
	}
}

// What is left of an attempt that failed takes no space on a disk that is full.
func TestFailedWritesLeaveNothing(t *testing.T) {
	for name, write := range map[string]func(dir string) error{
		"history.jsonl": func(dir string) error { return (&chronicle{path: historyPath(dir)}).rewrite(nil, time.Time{}) },
		"state.json":    func(dir string) error { return state{}.save(dir) },
	} {
		dir := t.TempDir()
		must(t, os.MkdirAll(filepath.Join(dir, name, "in the way"), 0o700))
		if write(dir) == nil {
			t.Errorf("%s: written over a directory", name)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
			t.Errorf("%s: %v, %v", name, left, err)
		}
	}
}

func TestMoves(t *testing.T) {
	r := newRecorder(slog.New(slog.DiscardHandler))
	for n := range 8 {
		r.write(happened(n))
		r.write(entry{event: control.Event{Kind: control.KindTransition, Cause: fmt.Sprint(n)}})
	}
	var got string
	for _, e := range r.moves(3) {
		got += e.Cause
	}
	if got != "567" {
		t.Errorf("moves %s, want the last three", got)
	}
}
