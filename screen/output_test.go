package screen

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/vipd/vipd/test/lab"
)

const often = time.Millisecond

// terminal is a pseudo terminal: what was shown on it.
type terminal struct {
	t      *testing.T
	master *os.File
	slave  *os.File
	mu     sync.Mutex
	shown  bytes.Buffer
}

func newTerminal(t *testing.T, columns, rows uint16) *terminal {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		lab.Miss(t, "a pseudo terminal: "+err.Error())
	}
	fd := int(master.Fd())
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		lab.Miss(t, "a pseudo terminal: "+err.Error())
	}
	x := &terminal{t: t, master: master, slave: slave}
	x.resize(columns, rows)
	ended := make(chan struct{})
	go func() { defer close(ended); x.read() }()
	t.Cleanup(func() { slave.Close(); <-ended; master.Close() })
	return x
}

func (x *terminal) read() {
	b := make([]byte, 4096)
	for {
		n, err := x.master.Read(b)
		x.mu.Lock()
		x.shown.Write(b[:n])
		x.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (x *terminal) resize(columns, rows uint16) {
	x.t.Helper()
	if err := unix.IoctlSetWinsize(int(x.master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Col: columns, Row: rows}); err != nil {
		x.t.Fatal(err)
	}
}

// text is what was shown, sequences of the terminal in words.
func (x *terminal) text() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return strings.NewReplacer(clearAll, "<clear>", home, "<home>", clearLine, "", clearBelow, "<below>", "\r", "").Replace(x.shown.String())
}

func (x *terminal) shows(text string) {
	x.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !strings.Contains(x.text(), text); time.Sleep(often) {
		if time.Now().After(deadline) {
			x.t.Fatalf("%q was not shown in %q", text, x.text())
		}
	}
}

// frames returns what frame calls give, the last one again and again.
func frames(list ...any) func(context.Context) (string, error) {
	return func(context.Context) (string, error) {
		next := list[0]
		if len(list) > 1 {
			list = list[1:]
		}
		if err, ok := next.(error); ok {
			return "", err
		}
		return next.(string), nil
	}
}

func TestWatchTerminal(t *testing.T) {
	t.Setenv("TERM", "xterm")
	x := newTerminal(t, 10, 4)
	o := For(x.slave)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	const wide = "0123456789abcdef\n"
	go func() { ended <- o.Watch(ctx, often, frames("first\n", errors.New("gone"), wide)) }()
	x.shows("<clear><home>first\n<below><home>vipd: gone\n<below><home>012345678" + plain + "…\n<below>")
	x.resize(12, 4)
	if err := syscall.Kill(os.Getpid(), syscall.SIGWINCH); err != nil {
		t.Fatal(err)
	}
	x.shows("<clear><home>0123456789a" + plain + "…\n<below>")
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("after Ctrl-C: %v", err)
	}
	x.shows("<below>\n")
}

func TestWatchFirstError(t *testing.T) {
	t.Setenv("TERM", "xterm")
	x := newTerminal(t, 80, 24)
	want := errors.New("no agent")
	for _, o := range []*Output{For(x.slave), For(&bytes.Buffer{})} {
		if err := o.Watch(t.Context(), often, frames(want)); err != want {
			t.Errorf("%v", err)
		}
	}
	if got := x.text(); got != "" {
		t.Errorf("shown: %q", got)
	}
}

func TestWatchPipe(t *testing.T) {
	want := errors.New("gone")
	for between, output := range map[string]func(*bytes.Buffer) *Output{
		"\n": func(b *bytes.Buffer) *Output { return For(b) },
		"":   func(b *bytes.Buffer) *Output { return Pipe(b) },
	} {
		var b bytes.Buffer
		if err := output(&b).Watch(t.Context(), often, frames("1\n", "2\n", want)); err != want {
			t.Errorf("%v", err)
		}
		if diff := cmp.Diff("1\n"+between+"2\n", b.String()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

func TestColor(t *testing.T) {
	x := newTerminal(t, 80, 24)
	tests := map[string]struct {
		output        func() *Output
		term, noColor string
		want          bool
	}{
		"terminal":          {func() *Output { return For(x.slave) }, "xterm", "", true},
		"NO_COLOR":          {func() *Output { return For(x.slave) }, "xterm", "1", false},
		"dumb":              {func() *Output { return For(x.slave) }, "dumb", "", false},
		"a pipe":            {func() *Output { return For(&bytes.Buffer{}) }, "xterm", "", false},
		"JSON":              {func() *Output { return Pipe(x.slave) }, "xterm", "", false},
		"a file, no device": {func() *Output { return For(os.NewFile(uintptr(1<<20), "closed")) }, "xterm", "", false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Setenv("TERM", tt.term)
			t.Setenv("NO_COLOR", tt.noColor)
			if got := tt.output().Color(); got != tt.want {
				t.Errorf("%v, want %v", got, tt.want)
			}
		})
	}
}
