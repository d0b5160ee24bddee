package machine

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// boot is one run of a machine, from its start to its end.
type boot struct {
	cmd  *exec.Cmd     // the supervisor, systemd-nspawn
	init int           // process id of the machine's systemd
	done chan struct{} // closed when both have ended
}

// Start boots the machine on a network namespace, and waits until systemd has
// started all that it should.
func (m *Machine) Start(ctx context.Context, netns string) error {
	if m.Runs() {
		return fmt.Errorf("%s: start: the machine runs", m.opts.Name)
	}
	notify, err := m.listen()
	if err != nil {
		return err
	}
	defer notify.Close()
	b, err := m.supervise(netns, notify.LocalAddr().String())
	if err != nil {
		return err
	}
	m.boot = b
	defer context.AfterFunc(ctx, func() { notify.Close() })()
	go func() { <-b.done; notify.Close() }()
	if err := b.awaitReady(notify); err != nil {
		console, _ := m.Console()
		return errors.Join(fmt.Errorf("%s: boot: %w: its console:\n%s", m.opts.Name, err, console), m.PowerOff())
	}
	// It fails where a unit has failed, which is for the tests to judge.
	state, err := m.Systemctl(ctx, "is-system-running", "--wait")
	if s := strings.TrimSpace(state); s != "running" && s != "degraded" {
		return fmt.Errorf("%s: boot: systemd is %q: %w", m.opts.Name, s, err)
	}
	return nil
}

// listen opens the socket on which the supervisor tells how far the machine is.
func (m *Machine) listen() (*net.UnixConn, error) {
	path := filepath.Join(m.opts.Dir, "notify")
	_ = os.Remove(path)
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return nil, fmt.Errorf("%s: listen for its start: %w", m.opts.Name, err)
	}
	return c, nil
}

// enter moves the shell into the control groups up to "--" and runs what follows.
const enter = `while [ "$1" != -- ]; do echo $$ >"$1/cgroup.procs"; shift; done; shift; exec "$@"`

func (m *Machine) supervise(netns, notify string) (*boot, error) {
	console, err := os.OpenFile(m.console(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("%s: open its console: %w", m.opts.Name, err)
	}
	defer console.Close()
	args := append([]string{"-euc", enter, "enter"}, m.groups...)
	cmd := exec.Command("sh", append(args, "--",
		// Its sysfs shows the interfaces of the namespace that it is started in.
		"nsenter", "--net="+netns,
		"systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--notify-ready=yes", "--console=read-only",
		"--directory="+m.Path("/"), "--machine="+m.opts.Name, "--hostname="+m.opts.Name, "--network-namespace-path="+netns,
		// Of root on a real machine, what vipd and its tests use.
		"--capability=CAP_NET_ADMIN,CAP_SYS_NICE", "--drop-capability="+m.Without, "--boot")...)
	cmd.Stdout, cmd.Stderr = console, console
	cmd.Env = append(environment(), "NOTIFY_SOCKET="+notify)
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s: start: %w", m.opts.Name, err)
	}
	b := &boot{cmd: cmd, done: make(chan struct{})}
	go func() {
		defer close(b.done)
		_ = cmd.Wait() // how it ended is the machine's affair, and on its console
	}()
	return b, nil
}

// awaitReady reads what the supervisor tells until the machine is up.
func (b *boot) awaitReady(notify net.Conn) error {
	buf := make([]byte, 4096)
	for {
		n, err := notify.Read(buf)
		if err != nil {
			return errors.New("it did not come up")
		}
		for line := range strings.SplitSeq(string(buf[:n]), "\n") {
			if pid, ok := strings.CutPrefix(line, "X_NSPAWN_LEADER_PID="); ok {
				b.init, _ = strconv.Atoi(pid)
			}
			if line == "READY=1" && b.init != 0 {
				return nil
			}
		}
	}
}

// Runs reports whether the machine was started and has not ended.
func (m *Machine) Runs() bool {
	if m.boot == nil {
		return false
	}
	select {
	case <-m.boot.done:
		return false
	default:
		return true
	}
}

// Shutdown ends the machine in good order: how is "poweroff", or "reboot", after
// which Start has to follow. What the network has to be without in between is the
// caller's business.
func (m *Machine) Shutdown(ctx context.Context, how string) error {
	if _, err := m.Systemctl(ctx, how); err != nil && m.Runs() {
		return err
	}
	select {
	case <-m.boot.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%s: wait for its %s: %w", m.opts.Name, how, ctx.Err())
	}
}

// PowerOff ends the machine at once, without a word to anything on it.
func (m *Machine) PowerOff() error {
	if !m.Runs() {
		return nil
	}
	// The supervisor's end alone would leave the machine running.
	pid := m.boot.init
	if pid == 0 {
		pid = m.boot.cmd.Process.Pid
	}
	if err := unix.Kill(pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("%s: power off: %w", m.opts.Name, err)
	}
	<-m.boot.done
	return nil
}
