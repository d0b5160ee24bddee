package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/vipd/vipd/agent/control"
	"github.com/vipd/vipd/test/lab"
	"github.com/vipd/vipd/test/machine"
	"github.com/vipd/vipd/test/standin/apiserver"
)

// node is a server: a machine and its place on the segment.
type node struct {
	*machine.Machine
	name string
	port *lab.Node
	lab  *lab.Lab
}

func (s *site) newNode(t *testing.T, number int, root string) *node {
	t.Helper()
	n := &node{name: fmt.Sprintf("k3s%d", number), lab: s.lab}
	var err error
	n.Machine, err = machine.New(machine.Options{Name: n.name, Root: root, Dir: s.path(n.name)})
	must(t, err)
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	n.port, err = s.lab.Add(n.name)
	must(t, err)
	must(t, n.WriteFile("/etc/hosts", []byte(hosts), 0o644))
	must(t, n.WriteFile("/etc/systemd/network/10-eth0.network", fmt.Appendf(nil, network, 10+number, 10+number), 0o644))
	return n
}

const hosts = `127.0.0.1 localhost
198.51.100.11 k3s1
198.51.100.12 k3s2
198.51.100.13 k3s3
`

// network is what an operator gives a server with fixed addresses.
const network = `[Match]
Name=eth0

[Network]
Address=198.51.100.%d/24
Address=2001:db8::%d/64
Gateway=198.51.100.1
IPv6AcceptRA=no
`

// powerOn boots the machine on a network that knows nothing of its last boot.
func (n *node) powerOn(ctx context.Context) error {
	if err := n.lab.Renew(n.port); err != nil {
		return err
	}
	return n.Start(ctx, n.port.Netns())
}

// powerOff is a loss of power: the cable is dead, and so is the machine.
func (n *node) powerOff() error {
	if err := n.lab.Unplug(n.port); err != nil {
		return err
	}
	return n.PowerOff()
}

// reboot reboots in good order, and returns when the machine is up again.
func (n *node) reboot(ctx context.Context) error {
	if err := n.Shutdown(ctx, "reboot"); err != nil {
		return err
	}
	return n.powerOn(ctx)
}

// status asks the agent.
func (n *node) status(ctx context.Context) (control.Status, error) {
	if !n.Runs() {
		return control.Status{}, fmt.Errorf("%s is off", n.name)
	}
	st, err := control.NewClient(control.Socket(n.Live("/run/vipd"))).Status(ctx)
	if err != nil {
		return st, fmt.Errorf("%s: %w", n.name, err)
	}
	return st, nil
}

// printedStatus is what vipd status --json prints. It costs more than status.
func (n *node) printedStatus(ctx context.Context) (control.Status, error) {
	var st control.Status
	out, err := n.Run(ctx, "vipd", "status", "--json")
	if err != nil {
		return st, err
	}
	if err := json.Unmarshal([]byte(out), &st); err != nil {
		return st, fmt.Errorf("%s: read its status: %w", n.name, err)
	}
	return st, nil
}

// setAPI puts the node's stand-in for K3s into a mode.
func (n *node) setAPI(ctx context.Context, mode string) error {
	m, err := apiserver.ParseMode(mode)
	if err != nil {
		return err
	}
	_, err = apiserver.Control{Path: n.Live("/run/k3s-standin.sock")}.SetMode(ctx, m)
	return err
}

// admin runs a line in a shell as an administrator who has logged in.
func (n *node) admin(ctx context.Context, line string) (string, error) {
	return n.Run(ctx, "runuser", "--login", "admin", "--command", line)
}

// restore starts whatever is not running of what should be, and ends what was drained.
func (n *node) restore(ctx context.Context) error {
	if !n.Runs() {
		return n.powerOn(ctx)
	}
	if _, err := n.Systemctl(ctx, "start", "k3s.service", "vipd.service"); err != nil {
		return err
	}
	if err := n.setAPI(ctx, "ready"); err != nil {
		return err
	}
	if st, err := n.status(ctx); err != nil || !st.Drained {
		return err
	}
	_, err := n.Run(ctx, "vipd", "resume")
	return err
}

// accounts returns what the units have said since then.
func (n *node) accounts(ctx context.Context, since time.Time) string {
	out, err := n.Journal(ctx, since, "vipd.service", "vipd-handover.service", "k3s.service")
	if err != nil {
		out += err.Error()
	}
	return fmt.Sprintf("--- %s\n%s", n.name, strings.TrimSpace(out))
}
