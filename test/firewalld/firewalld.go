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

// Options say what differs from what its package leaves.
type Options struct {
	Dir      string // for its files
	Log      io.Writer
	Backend  string   // nftables or iptables; "" for its default
	Services []string // files with services, besides its own
}

// Start starts firewalld on a node.
func Start(ctx context.Context, node *lab.Node, o Options) (*Firewalld, error) {
	f := &Firewalld{node: node, dir: o.Dir}
	if err := f.files(o); err != nil {
		return nil, fmt.Errorf("write the files of firewalld: %w", err)
	}
	f.bus = exec.Command("dbus-daemon", "--nofork", "--nopidfile", "--nosyslog", "--config-file="+filepath.Join(o.Dir, "bus.conf"))
	f.daemon = exec.Command("firewalld", "--nofork", "--nopid", "--log-target", "console", "--system-config", f.config())
	for _, cmd := range []*exec.Cmd{f.bus, f.daemon} {
		cmd.Stdout, cmd.Stderr = o.Log, o.Log
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

func (f *Firewalld) files(o Options) error {
	if err := os.WriteFile(filepath.Join(f.dir, "bus.conf"), fmt.Appendf(nil, busConfig, f.address()), 0o644); err != nil {
		return err
	}
	own := filepath.Join(f.config(), "services")
	if err := os.MkdirAll(own, 0o755); err != nil {
		return err
	}
	settings := "DefaultZone=public\n"
	if o.Backend != "" {
		settings += "FirewallBackend=" + o.Backend + "\n"
	}
	if err := os.WriteFile(filepath.Join(f.config(), "firewalld.conf"), []byte(settings), 0o644); err != nil {
		return err
	}
	for _, path := range o.Services {
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
