package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/vipd/vipd/test/cluster"
)

// shell is what the visitor gets; each node is a command in it.
const shell = "bash"

// explore leaves the cluster to the visitor's own commands until the shell ends.
func (d *demo) explore(ctx context.Context) error {
	bin := filepath.Join(d.dir, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		return fmt.Errorf("make the commands to look around with: %w", err)
	}
	for _, s := range d.cluster.Servers {
		if err := os.WriteFile(filepath.Join(bin, s.Name), []byte(d.script(s)), 0o755); err != nil {
			return fmt.Errorf("make the commands to look around with: %w", err)
		}
	}
	// What the kernels tell would come between the visitor's lines.
	d.watch.close()
	d.out.text(`
All of it still runs. In this shell, node1, node2 and node3 run a command on a node:
  node1 vipd status       node2 vipd history      node1 vipd drain --wait
  node1 ip address        exit ends the demo`)
	cmd := exec.CommandContext(ctx, shell, "--norc", "--noprofile")
	cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), `PS1=demo\$ `)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	err := cmd.Run()
	// That the visitor's last command failed is no failure of the demo.
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return fmt.Errorf("start a shell: %w", err)
	}
	return nil
}

// script runs its arguments on a server; vipd finds the server's agent.
func (d *demo) script(s *cluster.Server) string {
	return fmt.Sprintf(`#!/bin/sh
if [ "${1:-}" = vipd ]; then
	shift
	set -- %q "$@" --config %q --runtime-dir %q
fi
exec nsenter --net=%s "$@"
`, d.bin.Vipd, s.ConfigPath(), filepath.Join(d.dir, s.Name, "run"), s.Node.Netns())
}
