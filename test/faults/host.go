package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

func hostFaults() []fault {
	// What the API server and the client do on such a host is not vipd's.
	starved := bound{outage: anything, lost: anything, resets: anything, idle: anything}
	return []fault{
		{name: "CPU starved", note: "4 busy loops for each CPU, 10 s", play: burn(10 * time.Second), bound: starved},
		{name: "CPU starved, agents not real-time", note: "no promise but to recover", normalTime: true, play: burn(10 * time.Second), stays: true,
			bound: starved.with(func(b *bound) { b.two, b.moves = anything, anything })},
		{name: "disk full under the runtime directory", setUp: smallDisk, play: steps(fill, last(5*time.Second)), heal: unfill, bound: unmoved()},
		{name: "disk full at a restart", setUp: smallDisk, play: steps(fill, restart, last(3*time.Second)), heal: unfill,
			bound: planned(2).with(func(b *bound) { b.two, b.idle = longestLease, anything })},
		{name: "no file descriptor left", note: "on the holder", play: steps(exhaust, last(8*time.Second)), heal: relieve,
			bound: planned(2).with(func(b *bound) { b.resets, b.idle = anything, anything })},
		{name: "no file descriptor left anywhere", play: steps(everywhere(exhaust), last(8*time.Second)), heal: everywhere(relieve), stays: true,
			bound: planned(2).with(func(b *bound) { b.resets, b.idle = anything, anything })},
		{name: "netlink buffer overrun", note: "and the VIP deleted meanwhile", play: overrun,
			bound: unmoved().with(func(b *bound) {
				b.outage, b.nobody, b.lost, b.resets = 2500*time.Millisecond, 1200*time.Millisecond, anything, anything
			})},
	}
}

// burn keeps every CPU busy.
func burn(d time.Duration) func(*trial) error {
	return func(x *trial) error {
		var loops []*exec.Cmd
		defer func() {
			for _, l := range loops {
				_ = l.Process.Kill()
				_ = l.Wait()
			}
		}()
		for range 4 * runtime.NumCPU() {
			l := exec.Command("sh", "-c", "while :; do :; done")
			if err := l.Start(); err != nil {
				return err
			}
			loops = append(loops, l)
		}
		x.wait(d)
		return nil
	}
}

// smallDisk gives the first server's runtime directory a file system of its own.
func smallDisk(x *trial) error {
	dir := x.first().RuntimeDir()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64k,mode=0700"); err != nil {
		return fmt.Errorf("mount a small file system: %w", err)
	}
	x.undo = append(x.undo, func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	return nil
}

func filler(x *trial) string { return filepath.Join(x.first().RuntimeDir(), "filler") }

func fill(x *trial) error {
	x.note("the disk of %s is full", x.first().Name)
	err := os.WriteFile(filler(x), make([]byte, 1<<20), 0o600)
	if !errors.Is(err, syscall.ENOSPC) {
		return fmt.Errorf("the disk took a megabyte: %w", err)
	}
	return nil
}

func unfill(x *trial) error { return os.Remove(filler(x)) }

// exhaust leaves the agent no descriptor but those that it has open.
func exhaust(x *trial) error {
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", x.first().AgentPID()))
	if err != nil {
		return err
	}
	x.note("%s's agent: %d descriptors, and no more", x.first().Name, len(open))
	return limit(x, uint64(len(open)))
}

// relieve lets it open as many as it could before, and more than it ever needs.
func relieve(x *trial) error { return limit(x, 1024) }

// limit sets the soft limit alone: to raise the other takes a privilege.
func limit(x *trial, descriptors uint64) error {
	var l unix.Rlimit
	if err := unix.Prlimit(x.first().AgentPID(), unix.RLIMIT_NOFILE, nil, &l); err != nil {
		return fmt.Errorf("read the agent's limit: %w", err)
	}
	l.Cur = min(descriptors, l.Max)
	if err := unix.Prlimit(x.first().AgentPID(), unix.RLIMIT_NOFILE, &l, nil); err != nil {
		return fmt.Errorf("limit the agent's descriptors: %w", err)
	}
	return nil
}

// overrun lets more happen to addresses than the agent's socket has room for, while it
// does not read, and deletes the VIP in the midst of it.
func overrun(x *trial) error {
	var batch strings.Builder
	for i := range 4000 {
		verb := []string{"add", "del"}[i%2]
		fmt.Fprintf(&batch, "address %s 203.0.113.%d/32 dev lo\n", verb, 1+i/2%250)
		if i == 2000 {
			fmt.Fprintf(&batch, "address del %s dev eth0\n", hostPrefix(x.vips()[0].String(), x.ipv6))
		}
	}
	s := x.first()
	if err := s.SignalAgent(syscall.SIGSTOP); err != nil {
		return err
	}
	began := time.Now()
	cmd := exec.Command("ip", "-batch", "-")
	cmd.Stdin = strings.NewReader(batch.String())
	var out []byte
	err := s.Node.Do(func() (err error) {
		out, err = cmd.CombinedOutput()
		return err
	})
	x.note("4000 changes in %v: %s", time.Since(began), out)
	return errors.Join(err, s.SignalAgent(syscall.SIGCONT))
}
