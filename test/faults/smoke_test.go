package main

import (
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/vipd/vipd/test/client/probe"
	"github.com/vipd/vipd/test/cluster"
	"github.com/vipd/vipd/test/lab"
)

// Three faults of the table, each in a variant of its own, keep to their bounds: what
// make test has time for. One may be beyond its bound once.
func TestSmoke(t *testing.T) {
	lab.Require(t)
	dir := t.TempDir()
	b, err := cluster.Build(filepath.Join(dir, "bin"))
	if err != nil {
		t.Fatal(err)
	}
	s := &stage{dir: dir, binaries: b, realTime: cluster.RealTime() != nil}
	flags := flag.NewFlagSet("", flag.ContinueOnError)
	s.flags(flags)
	if err := flags.Parse([]string{"-rounds=1", "-keep", "-out=" + dir}); err != nil {
		t.Fatal(err)
	}
	all := faults(s.options)
	for name, v := range map[string]variant{
		"API killed":                {auth: true},
		"node death":                {ipv6: true, unicast: true},
		"drain and resume, 1 times": {ipv6: true, auth: true},
	} {
		t.Run(name, func(t *testing.T) {
			i := slices.IndexFunc(all, func(f fault) bool { return f.name == name })
			if i < 0 {
				t.Fatal("there is no such fault")
			}
			for run := range 2 {
				got := s.once(t.Context(), all[i], v, i, run)
				t.Log(got)
				red := all[i].bound.broken(excused(got))
				if len(red) == 0 {
					return
				}
				t.Logf("beyond the bound: %v\n%s", red, s.logOf(all[i], v, run))
			}
			t.Error("it was beyond its bound twice")
		})
	}
}

// excused is what a run on a busy host says. Where the client stood still for long, so did
// those who note what the kernels tell, and many handshakes are in flight at any instant.
// The table excuses none of that.
func excused(s sample) sample {
	const busy = 20 * time.Millisecond
	if s.Noise < busy {
		return s
	}
	s.Outcomes = maps.Clone(s.Outcomes)
	delete(s.Outcomes, probe.Reset)
	s.Two, s.Nobody = s.Two-s.Noise, s.Nobody-s.Noise
	return s
}

// logOf returns what a run has left.
func (s *stage) logOf(f fault, v variant, run int) string {
	text, err := os.ReadFile(s.logPath(f, v, run))
	if err != nil {
		return err.Error()
	}
	return string(text)
}
