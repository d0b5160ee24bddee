package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/vipd/vipd/test/cluster"
	"github.com/vipd/vipd/test/lab"
)

// stage is where faults are played.
type stage struct {
	options
	dir      string
	binaries cluster.Binaries
	realTime bool // the agents go before all that is not
	clusters atomic.Int64
}

// times is how often a fault is played in these variants.
func (s *stage) times(f fault, vs []variant) int {
	switch {
	case len(vs) == 0:
		return 0
	case s.runs > 0:
		return s.runs
	case f.runs > 0:
		return max(len(vs), f.runs)
	}
	return max(len(vs), usualRuns)
}

// measure plays a fault in its variants.
func (s *stage) measure(ctx context.Context, f fault, number int) result {
	vs := choose(s.variants, number, f.only)
	r := result{Name: f.name, When: time.Now().UTC().Format("2006-01-02"), Host: thisHost(), RealTime: s.realTime}
	for i := range s.times(f, vs) {
		if ctx.Err() != nil {
			return r
		}
		r.Samples = append(r.Samples, s.once(ctx, f, vs[i%len(vs)], number, i))
	}
	r.judge(f)
	return r
}

// once plays a fault in one variant, on a cluster of its own.
func (s *stage) once(ctx context.Context, f fault, v variant, number, run int) sample {
	began := time.Now()
	within, cancel := context.WithTimeout(ctx, 2*time.Minute+s.flap+s.loss+time.Duration(s.partitions+s.rounds)*10*time.Second)
	defer cancel()
	seed := s.seed + uint64(run)
	got := sample{Variant: v.String(), Seed: seed}
	path := s.logPath(f, v, run)
	log, err := os.Create(path)
	if err == nil {
		err = s.play(within, f, v, &got, rand.New(rand.NewPCG(seed, uint64(number))), log)
	}
	if err != nil {
		got.Error = err.Error()
	}
	got.Took = time.Since(began)
	if ctx.Err() != nil {
		return got // whatever went wrong, it was not the fault
	}
	broken := f.bound.broken(got)
	lines := fmt.Sprintf("  %s: %s\n", f.name, got)
	for _, b := range broken {
		lines += fmt.Sprintf("    RED: %s (seed %d, %s)\n", b, seed, path)
	}
	fmt.Print(lines)
	if len(broken) == 0 && log != nil && !s.keep {
		_ = os.Remove(path) // one that stays is only one more to read
	}
	return got
}

func (s *stage) logPath(f fault, v variant, run int) string {
	return filepath.Join(s.out, strings.Map(plain, f.name)+"-"+v.String()+fmt.Sprintf("-%d.log", run))
}

// plain makes a file name of a fault's.
func plain(r rune) rune {
	if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
		return r
	}
	return '_'
}

func (s *stage) play(ctx context.Context, f fault, v variant, got *sample, rng *rand.Rand, log *os.File) (err error) {
	defer log.Close()
	out := newDiary(log)
	scan := newScanner(out)
	defer func() { got.Alarms = append(got.Alarms, scan.complaints()...) }()
	l, err := lab.New()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	x := &trial{ctx: ctx, options: s.options, variant: v, diary: out, got: got, stays: f.stays, rng: rng}
	if x.Cluster, err = s.cluster(l, v, s.realTime && !f.normalTime, scan); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, x.Cluster.Close()) }()
	return x.run(f)
}

func (s *stage) cluster(l *lab.Lab, v variant, realTime bool, out io.Writer) (*cluster.Cluster, error) {
	dir := filepath.Join(s.dir, fmt.Sprint(s.clusters.Add(1)))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	b := s.binaries
	if realTime {
		var err error
		if b.Vipd, err = wrap(dir, b.Vipd); err != nil {
			return nil, err
		}
	}
	vips := v.vips()
	return cluster.New(l, cluster.Options{Binaries: b, Dir: dir, Servers: 3, Log: out, VIPs: vips[len(vips)-1:],
		Config: func(s *cluster.Server) string { return v.config(s, "250ms") }})
}

// wrap makes a program that runs another one as vipd.service does.
func wrap(dir, path string) (string, error) {
	wrapper := filepath.Join(dir, "vipd")
	return wrapper, os.WriteFile(wrapper, []byte("#!/bin/sh\nexec chrt --rr 1 "+path+" \"$@\"\n"), 0o755)
}
