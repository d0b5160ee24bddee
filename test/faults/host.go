package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vipd/vipd/test/cluster"
)

func hostFaults() []fault {
	// What the API server and the client do on such a host is not vipd's.
	starved := bound{outage: anything, lost: anything, resets: anything, idle: anything}
	return []fault{
		{name: "CPU starved", alone: true, note: "4 busy loops for each CPU, 10 s", play: burn(10 * time.Second), bound: starved},
		{name: "CPU starved, agents not real-time", alone: true, note: "no promise but to recover", normalTime: true, play: burn(10 * time.Second), stays: true,
			bound: starved.with(func(b *bound) { b.two, b.moves = anything, anything })},
		{name: "disk full under the runtime directory", setUp: smallDisks, play: steps(fill, last(5*time.Second)), heal: unfill, bound: unmoved()},
		{name: "disk full at a restart", ends: 1, setUp: smallDisks, play: steps(fill, restart, last(3*time.Second)), heal: unfill, bound: planned(2)},
		{name: "no file descriptor left", note: "on the holder", play: steps(exhaust, last(8*time.Second)), heal: relieve,
			bound: planned(2).with(func(b *bound) { b.resets, b.idle = anything, anything })},
		{name: "no file descriptor left anywhere", play: steps(everywhere(exhaust), last(8*time.Second)), heal: everywhere(relieve), stays: true,
			bound: planned(2).with(func(b *bound) { b.resets, b.idle = anything, anything })},
		{name: "no memory left", note: "the holder's agent gets no page more than it has, and its status is asked for all the time; at worst it ends", ends: 1,
			play: steps(scant, insist(8*time.Second)), heal: plenty, bound: planned(2).with(func(b *bound) { b.two, b.resets, b.idle = longestLease, anything, anything })},
		{name: "netlink buffer overrun", note: "and the VIP deleted meanwhile", play: overrun,
			bound: unmoved().with(func(b *bound) {
				// While the agent is stopped, 0.2 s, and until the next renewal at most.
				b.outage, b.nobody, b.lost, b.resets = 700*time.Millisecond, 700*time.Millisecond, anything, anything
			})},
	}
}

// burn keeps every CPU busy.
func burn(d time.Duration) func(*trial) error {
	return func(x *trial) error {
		relieve, err := cluster.Starve(4)
		if err != nil {
			return err
		}
		defer relieve()
		x.wait(d)
		return nil
	}
}

// smallDisks gives the servers' runtime directories file systems of their own.
func smallDisks(x *trial) error {
	for _, s := range x.Servers {
		if err := x.smallDisk(s.RuntimeDir()); err != nil {
			return err
		}
	}
	return nil
}

func (x *trial) smallDisk(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=2m,mode=0700"); err != nil {
		return fmt.Errorf("mount a small file system: %w", err)
	}
	x.undo = append(x.undo, func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	return nil
}

func filler(x *trial) string { return filepath.Join(x.first().RuntimeDir(), "filler") }

func fill(x *trial) error {
	x.note("the disk of %s is full", x.first().Name)
	err := os.WriteFile(filler(x), make([]byte, 4<<20), 0o600)
	if !errors.Is(err, syscall.ENOSPC) {
		return fmt.Errorf("the disk took four megabytes: %w", err)
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
	return limit(x, unix.RLIMIT_NOFILE, uint64(len(open)))
}

// relieve lets it open as many as it could before, and more than it ever needs.
func relieve(x *trial) error { return limit(x, unix.RLIMIT_NOFILE, 1024) }

// limit sets the soft limit alone: to raise the other takes a privilege.
func limit(x *trial, resource int, most uint64) error {
	var l unix.Rlimit
	if err := unix.Prlimit(x.first().AgentPID(), resource, nil, &l); err != nil {
		return fmt.Errorf("read the agent's limit: %w", err)
	}
	l.Cur = min(most, l.Max)
	if err := unix.Prlimit(x.first().AgentPID(), resource, &l, nil); err != nil {
		return fmt.Errorf("limit the agent: %w", err)
	}
	return nil
}

// scant leaves the agent the memory that it has mapped, and no more.
func scant(x *trial) error {
	kib, err := x.first().AgentMemory("VmData")
	if err != nil {
		return err
	}
	x.note("%s's agent: %d KiB of data, and no more", x.first().Name, kib)
	return limit(x, unix.RLIMIT_DATA, uint64(kib)<<10)
}

func plenty(x *trial) error {
	if !x.first().AgentRuns() {
		return startAgent(x)
	}
	return limit(x, unix.RLIMIT_DATA, unix.RLIM_INFINITY)
}

// insist asks the first server's agent for its status all the time, four times at once.
// What it answers is of no interest.
func insist(d time.Duration) func(*trial) error {
	return func(x *trial) error {
		until := time.Now().Add(d)
		var asking sync.WaitGroup
		for range 4 {
			asking.Go(func() {
				for time.Now().Before(until) && x.ctx.Err() == nil {
					_, _ = x.status(x.ctx, x.first())
					x.wait(10 * time.Millisecond)
				}
			})
		}
		asking.Wait()
		return nil
	}
}

// overrun lets more happen to addresses than the agent's socket has room for, while it
// does not read, and deletes the VIP in the midst of it.
func overrun(x *trial) error {
	var batch strings.Builder
	for i := range 4000 {
		verb := []string{"add", "del"}[i%2]
		fmt.Fprintf(&batch, "address %s 203.0.113.%d/32 dev lo\n", verb, 1+i/2%250)
		if i == 2000 {
			fmt.Fprintf(&batch, "address del %s dev eth0\n", host(x.vips()[0]))
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
