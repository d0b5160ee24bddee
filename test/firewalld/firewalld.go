// Package firewalld runs the real firewalld on a node of a lab, with files and a
// D-Bus of its own, so that what the doctor and the pages say of it can be held to it.
package firewalld

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/vipd/vipd/test/cluster"
	"github.com/vipd/vipd/test/lab"
)

// Tools are the programs that it needs.
func Tools() []string { return []string{"dbus-daemon", "firewalld", "firewall-cmd"} }

// Firewalld is one that runs. Stop ends it, and takes its rules off the node.
type Firewalld struct {
	node        *lab.Node
	dir         string
	bus, daemon *exec.Cmd
}

// busConfig lets everybody speak: nobody else knows of this bus.
const busConfig = `<busconfig>
  <type>system</type>
  <listen>%s</listen>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_destination="*"/>
    <allow eavesdrop="true"/>
  </policy>
</busconfig>`

// Start starts firewalld on a node as its package leaves it, with these files as
// services of its own besides. Dir is where its files are; it logs to log.
func Start(ctx context.Context, node *lab.Node, dir string, log io.Writer, services ...string) (*Firewalld, error) {
	f := &Firewalld{node: node, dir: dir}
	if err := f.files(services); err != nil {
		return nil, fmt.Errorf("write the files of firewalld: %w", err)
	}
	f.bus = exec.Command("dbus-daemon", "--nofork", "--nopidfile", "--nosyslog", "--config-file="+filepath.Join(dir, "bus.conf"))
	f.daemon = exec.Command("firewalld", "--nofork", "--nopid", "--log-target", "console", "--system-config", f.config())
	for _, cmd := range []*exec.Cmd{f.bus, f.daemon} {
		cmd.Stdout, cmd.Stderr = log, log
		cmd.Env = append(os.Environ(), f.environment())
	}
	if err := f.begin(ctx); err != nil {
		return nil, errors.Join(err, f.Stop())
	}
	return f, nil
}

// Run runs shell on the node, whose firewall-cmd speaks to this firewalld.
func (f *Firewalld) Run(script string) (string, error) {
	return f.node.Run("env", f.environment(), "sh", "-euc", script)
}

// Stop ends it.
func (f *Firewalld) Stop() error {
	return errors.Join(end(f.daemon), end(f.bus))
}

func (f *Firewalld) files(services []string) error {
	if err := os.WriteFile(filepath.Join(f.dir, "bus.conf"), fmt.Appendf(nil, busConfig, f.address()), 0o644); err != nil {
		return err
	}
	own := filepath.Join(f.config(), "services")
	if err := os.MkdirAll(own, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(f.config(), "firewalld.conf"), []byte("DefaultZone=public\n"), 0o644); err != nil { // the rest at its default
		return err
	}
	for _, path := range services {
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(own, filepath.Base(path)), b, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func (f *Firewalld) begin(ctx context.Context) error {
	if err := f.node.Start(f.bus); err != nil {
		return fmt.Errorf("start a D-Bus: %w", err)
	}
	err := cluster.Until(ctx, "the D-Bus to listen", func() error {
		_, err := os.Stat(f.socket())
		return err
	})
	if err != nil {
		return err
	}
	if err := f.node.Start(f.daemon); err != nil {
		return fmt.Errorf("start firewalld: %w", err)
	}
	return cluster.UntilEvery(ctx, 50*time.Millisecond, "firewalld to run", func() error {
		_, err := f.Run("firewall-cmd --state")
		return err
	})
}

func (f *Firewalld) config() string      { return filepath.Join(f.dir, "firewalld") }
func (f *Firewalld) socket() string      { return filepath.Join(f.dir, "bus") }
func (f *Firewalld) address() string     { return "unix:path=" + f.socket() }
func (f *Firewalld) environment() string { return "DBUS_SYSTEM_BUS_ADDRESS=" + f.address() }

// end asks a process to end, and waits for it.
func end(cmd *exec.Cmd) error {
	if cmd.Process == nil {
		return nil
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	_ = cmd.Wait() // how it ended does not matter: it was told to
	return nil
}
