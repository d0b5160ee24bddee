package doctor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Unreadable opens the file in the view that the process has of the file system, as its user,
// with its groups and, of its capabilities, those that matter for reading. Another program
// does it, since credentials are a process's own.
func (hostKernel) Unreadable(ctx context.Context, pid int, path string) (why string, err error) {
	who, err := credentialsOf(pid)
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, "cat", "--", path)
	cmd.Dir, cmd.Env, cmd.WaitDelay = "/", []string{"LC_ALL=C"}, time.Second
	var stderr bytes.Buffer
	cmd.Stderr = &stderr // what it reads goes nowhere
	cmd.SysProcAttr = who
	err = cmd.Run()
	var failed *exec.ExitError
	switch {
	case err == nil:
		return "", nil
	case errors.As(err, &failed) && failed.ExitCode() == 1:
		words := strings.TrimSpace(stderr.String())
		return strings.TrimPrefix(strings.TrimPrefix(words, "cat: "), path+": "), nil
	}
	return "", fmt.Errorf("read %s as process %d may: %w", path, pid, err)
}

// credentialsOf has a program run in the root directory of a process, as it does.
func credentialsOf(pid int) (*syscall.SysProcAttr, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return nil, fmt.Errorf("ask for the user of process %d: %w", pid, err)
	}
	facts := make(map[string][]string)
	for line := range strings.Lines(string(text)) {
		name, rest, _ := strings.Cut(line, ":")
		facts[name] = strings.Fields(rest)
	}
	const effective = 1 // of the four that Uid and Gid have
	if len(facts["Uid"]) <= effective || len(facts["Gid"]) <= effective || len(facts["CapEff"]) == 0 {
		return nil, fmt.Errorf("ask for the user of process %d: the kernel does not tell", pid)
	}
	c := &syscall.Credential{Uid: id(facts["Uid"][effective]), Gid: id(facts["Gid"][effective])}
	for _, g := range facts["Groups"] {
		c.Groups = append(c.Groups, id(g))
	}
	attr := &syscall.SysProcAttr{Chroot: fmt.Sprintf("/proc/%d/root", pid)}
	if int(c.Uid) == os.Geteuid() {
		return attr, nil // where there is but one user others cannot be set
	}
	attr.Credential = c
	capabilities, err := strconv.ParseUint(facts["CapEff"][0], 16, 64)
	if err != nil {
		return nil, fmt.Errorf("ask for the capabilities of process %d: %w", pid, err)
	}
	for _, one := range []uintptr{unix.CAP_DAC_OVERRIDE, unix.CAP_DAC_READ_SEARCH} {
		if capabilities&(1<<one) != 0 {
			attr.AmbientCaps = append(attr.AmbientCaps, one)
		}
	}
	return attr, nil
}

func id(s string) uint32 {
	n, _ := strconv.ParseUint(s, 10, 32) // the kernel's own numbers
	return uint32(n)
}
