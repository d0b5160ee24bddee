package machine

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Options say what a machine is.
type Options struct {
	Name string // its host name
	Root string // the directory that Unpack filled; machines share it, and write elsewhere
	Dir  string // the machine's own directory, not on an overlay
}

// Machine is a machine that can be booted, and booted again: its files stay.
type Machine struct {
	// Without is a capability that the machine is to lack from its next start on, as
	// a container may: "CAP_SYS_NICE". "" for none.
	Without string

	opts   Options
	groups []string // its control groups
	boot   *boot    // nil before the first Start
}

// Unpack fills dir with the root file system that mkroot made.
func Unpack(ctx context.Context, archive, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make the machines' root: %w", err)
	}
	cmd := exec.CommandContext(ctx, "tar", "-xpf", archive, "--numeric-owner", "--xattrs", "--xattrs-include=*", "-C", dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("unpack the machines' root: %w: %s", err, out)
	}
	return nil
}

// New makes a machine, which does not run yet.
func New(o Options) (*Machine, error) {
	m := &Machine{opts: o}
	if err := m.mount(); err != nil {
		return nil, err
	}
	id := sha256.Sum256([]byte(o.Name))
	if err := os.WriteFile(m.Path("/etc/machine-id"), fmt.Appendf(nil, "%x\n", id[:16]), 0o444); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: write its machine id: %w", o.Name, err), m.Close())
	}
	groups, err := makeGroups(o.Name)
	m.groups = groups
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

// mount puts a layer of the machine's own on top of the shared root.
func (m *Machine) mount() error {
	upper, work := filepath.Join(m.opts.Dir, "upper"), filepath.Join(m.opts.Dir, "work")
	for _, dir := range []string{upper, work, m.Path("/")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("%s: make its directories: %w", m.opts.Name, err)
		}
	}
	layers := "lowerdir=" + m.opts.Root + ",upperdir=" + upper + ",workdir=" + work
	if err := unix.Mount("overlay", m.Path("/"), "overlay", 0, layers); err != nil {
		return fmt.Errorf("%s: mount its root: %w", m.opts.Name, err)
	}
	return nil
}

// Close ends the machine and removes its control groups.
func (m *Machine) Close() error {
	errs := []error{m.PowerOff()}
	for _, g := range m.groups {
		errs = append(errs, removeGroup(g))
	}
	return errors.Join(append(errs, unix.Unmount(m.Path("/"), unix.MNT_DETACH))...)
}

// Path returns where a file of the machine is seen from outside. What is in /run,
// /tmp and other file systems of a running machine is at Live.
func (m *Machine) Path(path string) string { return filepath.Join(m.opts.Dir, "root", path) }

// Live returns where a file of the running machine is seen from outside. It is good
// until the machine ends.
func (m *Machine) Live(path string) string {
	return filepath.Join("/proc", strconv.Itoa(m.boot.init), "root", path)
}

// WriteFile writes a file of the machine, and the directories that lead to it.
func (m *Machine) WriteFile(path string, data []byte, mode os.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(m.Path(path)), 0o755); err != nil {
		return fmt.Errorf("%s: write %s: %w", m.opts.Name, path, err)
	}
	if err := os.WriteFile(m.Path(path), data, mode); err != nil {
		return fmt.Errorf("%s: %w", m.opts.Name, err)
	}
	return nil
}

// CopyIn copies a file from outside to a path of the machine, with its mode.
func (m *Machine) CopyIn(from, to string) error {
	info, err := os.Stat(from)
	if err != nil {
		return fmt.Errorf("%s: copy: %w", m.opts.Name, err)
	}
	data, err := os.ReadFile(from)
	if err != nil {
		return fmt.Errorf("%s: copy: %w", m.opts.Name, err)
	}
	return m.WriteFile(to, data, info.Mode().Perm())
}

// Run runs a command on the machine, as root, and returns what it printed.
func (m *Machine) Run(ctx context.Context, command ...string) (string, error) {
	if !m.Runs() {
		return "", fmt.Errorf("%s: run %v: the machine is off", m.opts.Name, command)
	}
	cmd := exec.CommandContext(ctx, "nsenter", append([]string{"-t", strconv.Itoa(m.boot.init), "-a", "--"}, command...)...)
	cmd.Env = environment()
	cmd.WaitDelay = time.Second // what the command started may hold on to its output
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("%s: %s: %w: %s", m.opts.Name, strings.Join(command, " "), err, bytes.TrimSpace(out))
	}
	return string(out), nil
}

// Systemctl runs systemctl on the machine.
func (m *Machine) Systemctl(ctx context.Context, args ...string) (string, error) {
	return m.Run(ctx, append([]string{"systemctl"}, args...)...)
}

// Property returns a property of a unit.
func (m *Machine) Property(ctx context.Context, unit, name string) (string, error) {
	out, err := m.Systemctl(ctx, "show", "--property="+name, "--value", unit)
	return strings.TrimSpace(out), err
}

// Journal returns what the units have said since then, in this boot and in earlier
// ones. The machine may be off.
func (m *Machine) Journal(ctx context.Context, since time.Time, units ...string) (string, error) {
	args := []string{"--directory=/var/log/journal", "--output=short-precise", "--no-pager", fmt.Sprintf("--since=@%d", since.Unix())}
	for _, u := range units {
		args = append(args, "--unit="+u)
	}
	cmd := exec.CommandContext(ctx, "/usr/bin/journalctl", args...)
	cmd.SysProcAttr = &unix.SysProcAttr{Chroot: m.Path("/")}
	cmd.Dir, cmd.Env = "/", environment()
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("%s: read its journal: %w: %s", m.opts.Name, err, out)
	}
	return string(out), nil
}

// Console returns what the machine has printed on its console, in all boots.
func (m *Machine) Console() (string, error) {
	f, err := os.Open(m.console())
	if err != nil {
		return "", fmt.Errorf("%s: read its console: %w", m.opts.Name, err)
	}
	defer f.Close()
	out, err := io.ReadAll(f)
	return string(out), err
}

func (m *Machine) console() string { return filepath.Join(m.opts.Dir, "console") }

// environment is that of an operator who has logged in, and nothing of ours.
func environment() []string {
	return []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8"}
}
