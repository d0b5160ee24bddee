package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

// options are the flags.
type options struct {
	files   string
	match   string
	seeds   int
	first   uint64
	only    int
	workers int
	limit   time.Duration
	verbose bool
}

func main() {
	var o options
	flag.StringVar(&o.files, "files", "", "only these files of vrrp, separated by commas")
	flag.StringVar(&o.match, "match", "", "only mutants with this in their name, such as Machine.startup")
	flag.IntVar(&o.seeds, "seeds", 300, "how many clusters the simulator runs against each survivor of the unit tests")
	flag.Uint64Var(&o.first, "first", 1, "the first of their seeds")
	flag.IntVar(&o.only, "only", 0, "only the mutant of this number; shows what its tests say")
	flag.IntVar(&o.workers, "workers", runtime.GOMAXPROCS(0), "how many mutants to try at a time")
	flag.DurationVar(&o.limit, "limit", 20*time.Second, "a mutant that takes more of the CPU in the simulator, or a quarter in the tests beside the code, has been noticed")
	flag.BoolVar(&o.verbose, "v", false, "name each mutant that is noticed, and by what")
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "mutation:", err)
		os.Exit(1)
	}
}

func run(o options) error {
	dir, err := os.MkdirTemp("", "mutation-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	mutants, err := build(dir)
	if err != nil {
		return err
	}
	why, err := explanations(filepath.Join("test", "mutation", "explained.txt"))
	if err != nil {
		return err
	}
	for name := range why {
		if !slices.ContainsFunc(mutants, func(m Mutant) bool { return m.Name == name }) {
			return fmt.Errorf("explained.txt explains what there is not: %s", name)
		}
	}
	t := trial{options: o, dir: dir}
	if what, err := t.notices(0); err != nil || what != "" {
		return errors.Join(fmt.Errorf("without a mutant the tests fail already: %s", what), err)
	}
	if o.only != 0 {
		what, err := t.notices(o.only)
		fmt.Printf("%s\n%s\n", mutants[o.only-1].Name, what)
		return err
	}
	chosen := slices.DeleteFunc(slices.Clone(mutants), func(m Mutant) bool {
		return o.files != "" && !slices.Contains(strings.Split(o.files, ","), m.File) || !strings.Contains(m.Name, o.match)
	})
	survivors, err := t.all(chosen)
	if err != nil {
		return err
	}
	return report(chosen, survivors, why)
}

// report holds the survivors against the explained ones.
func report(tried, survivors []Mutant, why map[string]string) error {
	unexplained, idle := 0, 0
	for _, m := range tried {
		lives := slices.Contains(survivors, m)
		switch {
		case lives && why[m.Name] == "":
			unexplained++
			fmt.Printf("SURVIVES  %d vrrp/%s:%d\n%s\n", m.Number, m.File, m.Line, m.Name)
		case !lives && why[m.Name] != "":
			idle++
			fmt.Printf("EXPLAINED, but noticed: %s\n", m.Name)
		}
	}
	fmt.Printf("%d mutants, %d noticed, %d explained, %d survive\n", len(tried), len(tried)-len(survivors), len(survivors)-unexplained, unexplained)
	if unexplained+idle > 0 {
		return fmt.Errorf("%d survivors without an explanation, %d explanations without a survivor", unexplained, idle)
	}
	return nil
}

// all tries every mutant and returns the survivors.
func (t *trial) all(mutants []Mutant) ([]Mutant, error) {
	var (
		mu        sync.Mutex
		workers   sync.WaitGroup
		survivors []Mutant
		failures  []error
	)
	todo := make(chan Mutant)
	for range t.workers {
		workers.Go(func() {
			for m := range todo {
				what, err := t.notices(m.Number)
				mu.Lock()
				switch {
				case err != nil:
					failures = append(failures, err)
				case what == "":
					survivors = append(survivors, m)
				case t.verbose:
					first, _, _ := strings.Cut(what, "\n")
					fmt.Printf("%d %s | %s\n", m.Number, m.Name, first)
				}
				mu.Unlock()
			}
		})
	}
	for _, m := range mutants {
		todo <- m
	}
	close(todo)
	workers.Wait()
	slices.SortFunc(survivors, func(a, b Mutant) int { return a.Number - b.Number })
	return survivors, errors.Join(failures...)
}
