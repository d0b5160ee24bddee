package agent

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vipd/vipd/agent/control"
	"github.com/vipd/vipd/config"
	"github.com/vipd/vipd/health"
	"github.com/vipd/vipd/test/lab"
	"github.com/vipd/vipd/vrrp"
)

// pages is a log that is read while it is written.
type pages struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (p *pages) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.b.Write(b)
}

func (p *pages) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.b.String()
}

// stage has hooks and what they wrote, into the file "out" of dir and into the log.
type stage struct {
	*hooks
	t   *testing.T
	dir string
	log *pages
}

// newStage runs a script for each of these happenings, in a directory of its own.
func newStage(t *testing.T, script string, timeout time.Duration, on ...config.Happening) *stage {
	t.Helper()
	s := &stage{t: t, dir: t.TempDir(), log: &pages{}}
	s.hooks = newHooks(slog.New(slog.NewTextHandler(s.log, nil)))
	s.configure([]config.Hook{s.hook(script, timeout, on...)})
	t.Cleanup(func() { s.end(0) })
	return s
}

func (s *stage) hook(script string, timeout time.Duration, on ...config.Happening) config.Hook {
	return config.Hook{On: on, Command: []string{"/bin/sh", "-euc", "cd " + s.dir + "; " + script}, Timeout: timeout}
}

// file returns what is in a file of the directory; "" if there is none.
func (s *stage) file(name string) string {
	b, _ := os.ReadFile(filepath.Join(s.dir, name))
	return string(b)
}

// make makes an empty file.
func (s *stage) make(name string) {
	s.t.Helper()
	must(s.t, os.WriteFile(filepath.Join(s.dir, name), nil, 0o600))
}

func (s *stage) logs(text string) {
	s.t.Helper()
	within(s.t, 10*time.Second, fmt.Sprintf("%q in the log", text), func() bool { return strings.Contains(s.log.String(), text) })
}

// became is what hooks are told of a VIP's router.
func became(state vrrp.State, vip, cause string) occasion {
	e := control.Event{
		Time: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), Kind: control.KindTransition, VIP: vip, Family: "IPv4", VRID: 51,
		From: "Backup", To: state.String(), Code: "silence", Cause: cause, Peer: "198.51.100.2", Gap: control.Duration(812 * time.Millisecond),
	}
	return occasionOf(e, factsOf(happeningOf(state), id{vip, vrrp.IPv4}, vipConfig(), "eth0", 200))
}

func TestHookFacts(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "/nowhere")
	s := newStage(t, "env | grep -e ^VIPD_ -e ^NOTIFY_ | grep -v ^VIPD_CONTAINED | sort >out.new; mv out.new out", time.Minute, config.OnActive)
	s.tell(became(vrrp.Active, "k3s", "198.51.100.2 fell\x00 silent\n"))
	s.logs("the hook has run")
	want := `VIPD_ADDRESSES=198.51.100.100
VIPD_CAUSE=198.51.100.2 fell  silent 
VIPD_CODE=silence
VIPD_EVENT=active
VIPD_FAMILY=IPv4
VIPD_FROM=Backup
VIPD_GAP=812ms
VIPD_GRADE=
VIPD_INTERFACE=eth0
VIPD_PEER=198.51.100.2
VIPD_PRIORITY=200
VIPD_SKIPPED=0
VIPD_STATE=Active
VIPD_TIME=2026-03-01T12:00:00Z
VIPD_VIP=k3s
VIPD_VRID=51
`
	if diff := cmp.Diff(want, s.file("out")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Each hook runs on what it is for, on one thing after the other.
func TestHookOrder(t *testing.T) {
	s := newStage(t, `echo $VIPD_EVENT $VIPD_CAUSE >>out; echo "cause $VIPD_CAUSE"`, time.Minute, config.OnActive, config.OnDown)
	for n := range 8 {
		s.tell(became(vrrp.Active, "k3s", strconv.Itoa(n)))
		s.tell(became(vrrp.Backup, "k3s", "not for this one"))
	}
	s.tell(occasionOf(control.Event{Kind: control.KindHealth, From: "ready", To: "down", Cause: "8"}, facts{event: config.OnDown}))
	s.logs(`msg="cause 8"`)
	want := "active 0\nactive 1\nactive 2\nactive 3\nactive 4\nactive 5\nactive 6\nactive 7\ndown 8\n"
	if diff := cmp.Diff(want, s.file("out")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Of what piles up the last word about each VIP is told, and how much was left out.
func TestHookCoalesces(t *testing.T) {
	s := newStage(t, "until [ -e go ]; do sleep 0.01; done; echo $VIPD_VIP $VIPD_CAUSE $VIPD_SKIPPED >>out", time.Minute, config.OnActive, config.OnBackup)
	s.tell(became(vrrp.Active, "first", "0"))
	within(t, 10*time.Second, "the first run", func() bool {
		s.running[0].mu.Lock()
		defer s.running[0].mu.Unlock()
		return len(s.running[0].waiting) == 0
	})
	s.tell(became(vrrp.Active, "quiet", "0"))
	for n := range 100 {
		s.tell(became([]vrrp.State{vrrp.Active, vrrp.Backup}[n%2], "k3s", strconv.Itoa(n)))
	}
	s.make("go")
	s.end(time.Minute)
	got := strings.Split(strings.TrimSpace(s.file("out")), "\n")
	want := []string{"first 0 0", "quiet 0 0", "k3s 85 85"}
	for n := 86; n < 100; n++ {
		want = append(want, fmt.Sprintf("k3s %d 0", n))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if text := s.log.String(); !strings.Contains(text, "some of it was left out") || !strings.Contains(text, "count=85") {
		t.Errorf("the log does not say so:\n%s", text)
	}
}

// However many VIPs there are, what waits is bounded.
func TestHookBounded(t *testing.T) {
	h := newHook(config.Hook{On: []config.Happening{config.OnActive}, Command: []string{"/bin/true"}}, slog.New(slog.DiscardHandler))
	for n := range 2 * overcrowded {
		h.put(became(vrrp.Active, strconv.Itoa(n), ""))
	}
	if len(h.waiting) != overcrowded || h.waiting[0].skipped != overcrowded {
		t.Errorf("%d wait, the first after %d that were left out", len(h.waiting), h.waiting[0].skipped)
	}
}

// alive reports whether a process is there, and no zombie.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(stat), ") Z ") && syscall.Kill(pid, 0) == nil
}

// child returns the pid that the script wrote.
func (s *stage) child() int {
	s.t.Helper()
	within(s.t, 10*time.Second, "the child's pid", func() bool { return strings.HasSuffix(s.file("pid"), "\n") })
	pid, err := strconv.Atoi(strings.TrimSpace(s.file("pid")))
	must(s.t, err)
	return pid
}

const parent = "sleep 600 & echo $! >pid; wait"

func TestHookTimeoutKillsChildren(t *testing.T) {
	s := newStage(t, parent, 500*time.Millisecond, config.OnActive)
	s.tell(became(vrrp.Active, "k3s", ""))
	pid := s.child()
	s.logs("killed after 500ms")
	within(t, 10*time.Second, "the end of the child", func() bool { return !alive(pid) })
	if got := s.problems(); len(got) != 1 || !strings.HasSuffix(got[0], "failed last: killed after 500ms") {
		t.Errorf("problems %q", got)
	}
}

func TestHooksEndWithAgent(t *testing.T) {
	s := newStage(t, parent, time.Hour, config.OnActive)
	s.tell(became(vrrp.Active, "k3s", ""))
	s.tell(became(vrrp.Active, "other", ""))
	pid := s.child()
	s.end(50 * time.Millisecond)
	within(t, 10*time.Second, "the end of the child", func() bool { return !alive(pid) })
	for _, want := range []string{"killed, for the agent ended", "the agent ended before the hook could run"} {
		if !strings.Contains(s.log.String(), want) {
			t.Errorf("%q is not in the log:\n%s", want, s.log)
		}
	}
}

// The agent ends although a hook cannot be killed.
func TestHooksEndWithoutWhatHangs(t *testing.T) {
	s := newStage(t, "echo $$ >new; mv new pid; exec sleep 600", time.Hour, config.OnActive)
	s.tell(became(vrrp.Active, "k3s", ""))
	lab.Hold(t, s.child())
	ended := make(chan struct{})
	go func() { defer close(ended); s.end(0) }()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Fatal("the end waits for the hook")
	}
	s.logs(health.ErrStuck.Error())
}

// A hook that cannot be killed is not run beside itself, and what comes meanwhile is told later.
func TestHookThatHangs(t *testing.T) {
	s := newStage(t, "echo $VIPD_CAUSE >>out; echo $$ >new; mv new pid; exec sleep 600", 2*time.Second, config.OnActive)
	s.tell(became(vrrp.Active, "k3s", "first"))
	lab.Hold(t, s.child())
	s.logs(health.ErrStuck.Error())
	s.tell(became(vrrp.Active, "k3s", "second"))
	k := s.running[0]
	k.mu.Lock()
	defer k.mu.Unlock()
	if got := s.file("out"); got != "first\n" || len(k.waiting) != 1 {
		t.Errorf("run on %q, %d wait", got, len(k.waiting))
	}
}

func TestHookFails(t *testing.T) {
	s := newStage(t, "echo no such route >&2; exit 3", time.Minute, config.OnActive)
	s.tell(became(vrrp.Active, "k3s", ""))
	s.logs("exit status 3")
	s.logs(`msg="no such route" hook=/bin/sh event=active`)
	s.configure([]config.Hook{{On: []config.Happening{config.OnActive}, Command: []string{"/nonexistent"}, Timeout: time.Minute}})
	if got := s.problems(); len(got) != 0 {
		t.Errorf("problems of a hook that is gone: %q", got)
	}
	s.tell(became(vrrp.Active, "k3s", ""))
	s.logs("cannot run /nonexistent: fork/exec /nonexistent: no such file or directory")
}

// A reload leaves hooks alone that stay, and lets one that goes end its run.
func TestHooksReload(t *testing.T) {
	s := newStage(t, "until [ -e go ]; do sleep 0.01; done; echo old $VIPD_CAUSE >>out", time.Minute, config.OnActive)
	s.tell(became(vrrp.Active, "k3s", "1"))
	stays := s.running[0]
	within(t, 10*time.Second, "the first run", func() bool {
		stays.mu.Lock()
		defer stays.mu.Unlock()
		return len(stays.waiting) == 0
	})
	added := s.hook("echo new $VIPD_CAUSE >>out2", time.Minute, config.OnActive)
	s.configure([]config.Hook{added, stays.cfg})
	if s.running[1] != stays {
		t.Error("the hook that stays was made anew")
	}
	s.tell(became(vrrp.Active, "k3s", "2"))
	s.configure([]config.Hook{added})
	s.make("go")
	s.end(time.Minute)
	if got := []string{s.file("out"), s.file("out2")}; !slices.Equal(got, []string{"old 1\n", "new 2\n"}) {
		t.Errorf("%q", got)
	}
}

func TestLineLog(t *testing.T) {
	var got []string
	l := &lineLog{log: slog.New(slog.NewTextHandler(writerFunc(func(b []byte) (int, error) {
		_, text, _ := strings.Cut(string(b), "msg=")
		got = append(got, strings.TrimSpace(text))
		return len(b), nil
	}), nil))}
	for _, part := range []string{"a", "b\n\n", "c\x1b[2J\r\n", strings.Repeat("d", maxLine+1), "\ne"} {
		if n, err := l.Write([]byte(part)); n != len(part) || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
	}
	l.end()
	want := []string{"ab", `"c [2J"`, strings.Repeat("d", maxLine), "d", "e"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	got = nil
	for range 1000 {
		if n, err := l.Write([]byte(strings.Repeat("f\n", 500))); n != 1000 || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
	}
	if last := got[len(got)-1]; len(got) > maxLines || !strings.Contains(last, "left out") {
		t.Errorf("%d lines, the last %s", len(got), last)
	}
}

// The recorder does not wait for a hook.
func TestRecorderTellsHooks(t *testing.T) {
	s := newStage(t, "echo $VIPD_EVENT $VIPD_PRIORITY $VIPD_GRADE >>out; sleep 600", time.Hour,
		config.OnBackup, config.OnDegraded, config.OnConflict)
	r := newRecorder(slog.New(slog.DiscardHandler))
	r.tell = s.tell
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); r.run(ctx) }()
	i := id{"k3s", vrrp.IPv4}
	r.transition(i, vipConfig(), "eth0", move{Transition: vrrp.Transition{From: vrrp.Active, To: vrrp.Backup}, priority: 1})
	r.health(vrrp.Ready, vrrp.Degraded, "etcd has no leader")
	r.conflict(i, vipConfig(), "eth0", "also claimed")
	r.muted(i, vipConfig(), true)
	within(t, 10*time.Second, "the history", func() bool { return len(r.events()) == 4 })
	cancel()
	<-ended
	within(t, 10*time.Second, "the first run", func() bool { return s.file("out") == "backup 1\n" })
	k := s.running[0]
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.waiting) != 2 {
		t.Errorf("%d wait, want 2", len(k.waiting))
	}
}
