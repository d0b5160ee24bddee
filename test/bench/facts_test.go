package main

import (
	"flag"
	"testing"
)

func TestCommandLine(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "make bench"},
		{[]string{"-record", "-runs=3", "-only", "node death,cost", "-log", "/tmp/log"}, `make bench BENCHFLAGS='-only "node death,cost" -record -runs 3'`},
		{[]string{"-quick", "-agents", "vipd;keepalived"}, `make bench BENCHFLAGS='-agents "vipd;keepalived" -quick'`},
	} {
		fs := flag.NewFlagSet("bench", flag.ContinueOnError)
		var o options
		o.flags(fs)
		if err := fs.Parse(c.args); err != nil {
			t.Fatal(err)
		}
		if got := commandLine(fs); got != c.want {
			t.Errorf("%q: %s, want %s", c.args, got, c.want)
		}
	}
}
