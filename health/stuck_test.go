package health

import (
	"context"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vipd/vipd/test/lab"
)

// diary is a file into which a program writes its pid at each start.
type diary struct {
	t    *testing.T
	file string
}

func newDiary(t *testing.T) diary { return diary{t, filepath.Join(t.TempDir(), "pids")} }

// check is of a program that writes its pid and does not end by itself.
func (d diary) check() Check { return shell("echo $$ >>" + d.file + "; exec sleep 600") }

func (d diary) pids() []string {
	text, _ := os.ReadFile(d.file)
	return strings.Fields(string(text))
}

// hold waits for the first start, and keeps that program from ending before release.
func (d diary) hold() (release func()) {
	d.t.Helper()
	return lab.Hold(d.t, await(d.t, "the program's start", func() (int, bool) {
		pids := d.pids()
		if len(pids) == 0 {
			return 0, false
		}
		pid, err := strconv.Atoi(pids[0])
		return pid, err == nil
	}))
}

// A program that cannot be killed fails at each round, and is not started beside itself.
func TestExecThatCannotBeKilled(t *testing.T) {
	d := newDiary(t)
	p := &execProbe{check: d.check()}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	failed := make(chan error, 1)
	go func() { failed <- p.ask(ctx) }()
	release := d.hold()
	cancel()
	for range 3 {
		select {
		case err := <-failed:
			if !errors.Is(err, ErrStuck) {
				t.Fatalf("failure %v, want %v", err, ErrStuck)
			}
		case <-time.After(patience):
			t.Fatal("no answer although the time is up")
		}
		go func() { failed <- p.ask(t.Context()) }()
	}
	<-failed
	if n := len(d.pids()); n != 1 {
		t.Errorf("started %d times while the first one was there", n)
	}
	release()
	await(t, "the program's end", func() (int, bool) { return 0, !p.held() })
}

// A monitor ends, for a reload or with the agent, whatever its programs do.
func TestRunLeavesWhatCannotBeKilled(t *testing.T) {
	d := newDiary(t)
	m, err := New([]Check{d.check()}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	d.hold()
	cancel()
	select {
	case <-done:
	case <-time.After(patience):
		t.Error("Run waits for the program")
	}
}

// The files are read once at a time: where the disk hangs each reading keeps a thread.
func TestFilesThatCannotBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hung := make(chan struct{})
		var began atomic.Int32
		read := func(string) (*credentials, error) {
			began.Add(1)
			<-hung
			return nil, &fault{words: "ca.crt is missing"}
		}
		p := newHTTPProbe(t.Context(), &url.URL{Scheme: "https", Host: "127.0.0.1:1", Path: "/readyz"}, time.Second, read, func() {})
		ask := func() string {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			return p.ask(ctx).Error()
		}
		for range 100 {
			if got := ask(); got != filesHang {
				t.Fatalf("failure %q, want %q", got, filesHang)
			}
		}
		if n := began.Load(); n != 1 {
			t.Errorf("read %d times at once", n)
		}
		close(hung)
		synctest.Wait()
		if got := ask(); got != "ca.crt is missing" {
			t.Errorf("when the disk answers again: %q", got)
		}
	})
}
