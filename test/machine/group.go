package machine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// cgroupfs is where the host has its control groups.
const cgroupfs = "/sys/fs/cgroup"

// groupPrefix begins the names of machines' control groups.
const groupPrefix = "vipd-machine-"

// makeGroups makes a control group for a machine in each hierarchy by which systemd
// knows its processes, of the same name in all. Two machines in one would stop each
// other's services.
func makeGroups(machine string) ([]string, error) {
	sweep()
	var groups []string
	for _, h := range hierarchies() {
		dir, err := makeGroup(h, machine, groups)
		if err != nil {
			return groups, fmt.Errorf("%s: make its control group: %w", machine, err)
		}
		groups = append(groups, dir)
	}
	return groups, nil
}

func makeGroup(hierarchy, machine string, before []string) (string, error) {
	if len(before) == 0 {
		return os.MkdirTemp(hierarchy, groupPrefix+machine+"-")
	}
	dir := filepath.Join(hierarchy, filepath.Base(before[0]))
	return dir, os.Mkdir(dir, 0o755)
}

// hierarchies are one where the host has control groups of version 2 alone, and both
// versions' where it has both.
func hierarchies() []string {
	var out []string
	for _, dir := range []string{cgroupfs, cgroupfs + "/unified", cgroupfs + "/systemd"} {
		if _, err := os.Stat(dir + "/cgroup.procs"); err == nil {
			out = append(out, dir)
		}
	}
	return out
}

// removeGroup removes a control group and those below it, when the last process in
// them has gone, which takes a moment.
func removeGroup(dir string) error {
	for deadline := time.Now().Add(5 * time.Second); ; {
		err := removeGroups(dir)
		if err == nil || time.Now().After(deadline) {
			return err
		}
		<-time.After(5 * time.Millisecond)
	}
}

func removeGroups(dir string) error {
	all, err := below(dir)
	if err != nil {
		return err
	}
	for _, d := range slices.Backward(all) {
		if err := unix.Rmdir(d); err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("remove control group %s: %w", d, err)
		}
	}
	return nil
}

// below returns a directory and all below it, parents first.
func below(dir string) ([]string, error) {
	var all []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && d.IsDir() {
			all = append(all, path)
		}
		return err
	})
	return all, err
}

// sweep removes what machines left whose test was killed: not what is in use, nor the
// young, which may be about to be.
func sweep() {
	for _, h := range hierarchies() {
		entries, _ := os.ReadDir(h)
		for _, e := range entries {
			info, err := e.Info()
			if err != nil || !strings.HasPrefix(e.Name(), groupPrefix) || time.Since(info.ModTime()) < time.Minute {
				continue
			}
			if !inUse(e.Name()) {
				_ = removeGroups(filepath.Join(h, e.Name()))
			}
		}
	}
}

// inUse reports whether a control group, or one below it, has processes in any
// hierarchy. Version 1 shows none of another pid namespace.
func inUse(name string) bool {
	return slices.ContainsFunc(hierarchies(), func(h string) bool {
		all, err := below(filepath.Join(h, name))
		return err != nil || slices.ContainsFunc(all, func(dir string) bool {
			procs, err := os.ReadFile(dir + "/cgroup.procs")
			return err != nil || len(procs) > 0
		})
	})
}
