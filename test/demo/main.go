// Command demo shows vipd at work: three servers and a client in network
// namespaces, one fault after the other, and what became of each, as the
// kernels, the agents and the client saw it. make demo runs it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/vipd/vipd/test/cluster"
)

// options are the flags.
type options struct {
	log  string
	keep bool
}

func main() {
	var o options
	flag.StringVar(&o.log, "log", "", "write what vipd and the API servers say to `file`")
	flag.BoolVar(&o.keep, "keep", false, "end with a shell in which to look around")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "demo: unexpected %q; see demo -h\n", flag.Args())
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	ok, err := run(ctx, o)
	switch {
	case ctx.Err() != nil:
		fmt.Fprintln(os.Stderr, "\ndemo: interrupted; nothing is left behind")
		os.Exit(130)
	case err != nil:
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	case !ok:
		os.Exit(1)
	}
}

// run reports whether all went as expected.
func run(ctx context.Context, o options) (ok bool, err error) {
	if os.Getenv("VIPD_CONTAINED") == "" {
		return false, errors.New("it stays away from this machine's own network: run make demo, or test/contain bin/demo")
	}
	bin, err := binaries()
	if err != nil {
		return false, err
	}
	log, err := openLog(o.log)
	if err != nil {
		return false, err
	}
	defer log.Close()
	d, err := newDemo(bin, log, newTimeline(os.Stdout, colourful(os.Stdout)))
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	ok, err = d.run(ctx)
	if err != nil || !o.keep {
		return ok, err
	}
	return ok, d.explore(ctx)
}

// binaries finds the programs beside this one.
func binaries() (cluster.Binaries, error) {
	self, err := os.Executable()
	if err != nil {
		return cluster.Binaries{}, fmt.Errorf("find the programs: %w", err)
	}
	beside := func(name string) string { return filepath.Join(filepath.Dir(self), name) }
	b := cluster.Binaries{Vipd: beside("vipd"), Standin: beside("standin"), Client: beside("client")}
	for _, path := range []string{b.Vipd, b.Standin, b.Client} {
		if _, err := exec.LookPath(path); err != nil {
			return b, fmt.Errorf("%s is missing: make demo builds it", path)
		}
	}
	return b, nil
}

func openLog(path string) (io.WriteCloser, error) {
	if path == "" {
		path = os.DevNull
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("open the log: %w", err)
	}
	return f, nil
}

// colourful reports whether f is a terminal whose user has nothing against colour.
func colourful(f *os.File) bool {
	if os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return false
	}
	st, err := f.Stat()
	return err == nil && st.Mode()&os.ModeCharDevice != 0
}
