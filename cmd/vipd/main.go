// Command vipd keeps a virtual IP in front of the Kubernetes API of a K3s cluster.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/vipd/vipd/agent"
)

// version is set by the linker.
var version = "development"

// Exit codes.
const (
	exitFailed = 1
	exitUsage  = 2
	exitConfig = 78 // EX_CONFIG of sysexits(3), by which the unit knows not to try again
)

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	root, out := newRoot(), &stdout{file: os.Stdout}
	root.SetArgs(args)
	root.SetOut(out)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		err = out.err
	}
	if err == nil {
		return 0
	}
	fmt.Fprintf(os.Stderr, "vipd: %v\n", err)
	var usage usageError
	if errors.As(err, &usage) {
		fmt.Fprintf(os.Stderr, "Usage: %s\nSee: %s --help\n", usageOf(cmd), cmd.CommandPath())
		return exitUsage
	}
	var config *agent.ConfigError
	if errors.As(err, &config) {
		return exitConfig
	}
	return exitFailed
}

// paths are the flags that every command takes to find the agent and its files.
type paths struct {
	config     string
	runtimeDir string
}

func newRoot() *cobra.Command {
	p := &paths{config: "/etc/vipd/vipd.toml", runtimeDir: "/run/vipd"}
	root := &cobra.Command{
		Use:   "vipd",
		Short: "A virtual IP in front of the Kubernetes API of a K3s cluster",
		Long: `vipd keeps a virtual IP (VIP) in front of the Kubernetes API of a K3s cluster.
It runs on every server. The servers elect, by VRRPv3, the best one whose own API
server is healthy; that one holds the VIP and announces it to the network.`,
		Example: `  vipd init --address 192.0.2.100        write /etc/vipd/vipd.toml
  systemctl enable --now vipd            start the agent
  vipd status                            who holds the VIP, and why`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          unknownCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.PersistentFlags().Var(filled{&p.config}, "config", "configuration `file`")
	root.PersistentFlags().Var(filled{&p.runtimeDir}, "runtime-dir", "`directory` of the control socket and the saved state")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return flagError(err) })
	root.AddCommand(newRun(p), newInit(p), newCheck(p), newStatus(p), newHistory(p), newDrain(p), newResume(p),
		newReload(p), newRelease(p), newVersion(), newDoctor(p), newWatch(p))
	addCompletion(root)
	addHelp(root)
	return root
}
