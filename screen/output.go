package screen

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Output is where a command writes. On a terminal, what is shown again and again is drawn
// over what was there; elsewhere it follows it.
type Output struct {
	w       io.Writer
	between string     // two frames that follow each other
	term    descriptor // nil: not a terminal
}

// descriptor is a file, or what stands before it.
type descriptor interface{ Fd() uintptr }

// For returns the output for people on w.
func For(w io.Writer) *Output {
	o := &Output{w: w, between: "\n"}
	if f, ok := w.(descriptor); ok && isTerminal(f) && os.Getenv("TERM") != "dumb" {
		o.term = f
	}
	return o
}

// Pipe returns the output for programs on w, even if it is a terminal.
func Pipe(w io.Writer) *Output { return &Output{w: w} }

// Color tells whether the output may be coloured (see no-color.org).
func (o *Output) Color() bool { return o.term != nil && os.Getenv("NO_COLOR") == "" }

// Watch shows what frame returns, at once and then every so often, until ctx ends. The
// first error of frame is its own. Later ones are too, unless somebody looks on: he is
// shown it, and what comes after.
func (o *Output) Watch(ctx context.Context, every time.Duration, frame func(context.Context) (string, error)) error {
	text, err := frame(ctx)
	if err != nil {
		return err
	}
	if o.term == nil {
		return o.follow(ctx, every, text, frame)
	}
	return o.redraw(ctx, every, text, frame)
}

// follow writes one frame behind the other.
func (o *Output) follow(ctx context.Context, every time.Duration, text string, frame func(context.Context) (string, error)) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for between := ""; ; between = o.between {
		if _, err := io.WriteString(o.w, between+text); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		var err error
		if text, err = frame(ctx); err != nil {
			return unlessOver(ctx, err)
		}
	}
}

// redraw writes each frame over the last one, also when the terminal has another size.
func (o *Output) redraw(ctx context.Context, every time.Duration, text string, frame func(context.Context) (string, error)) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	resized := make(chan os.Signal, 1)
	signal.Notify(resized, syscall.SIGWINCH)
	defer signal.Stop(resized)
	defer io.WriteString(o.w, "\n") // what the shell writes next begins a line
	for clear := clearAll; ; {
		if _, err := io.WriteString(o.w, clear+home+fit(text, o.size())+clearBelow); err != nil {
			return err
		}
		select {
		case <-tick.C:
			clear = ""
		case <-resized:
			clear = clearAll
		case <-ctx.Done():
			return nil
		}
		if next, err := frame(ctx); err == nil {
			text = next
		} else if ctx.Err() == nil {
			text = "vipd: " + err.Error() + "\n"
		}
	}
}

// unlessOver is err, unless ctx has ended and so made it.
func unlessOver(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func isTerminal(f descriptor) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// size returns the terminal's; one that does not tell is an ordinary one.
func (o *Output) size() size {
	s, err := unix.IoctlGetWinsize(int(o.term.Fd()), unix.TIOCGWINSZ)
	if err != nil || s.Col == 0 || s.Row == 0 {
		return size{80, 24}
	}
	return size{int(s.Col), int(s.Row)}
}
