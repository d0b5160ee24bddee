// Command standin stands in for a K3s server: its API on :6443 with K3s's
// certificates in K3s's places, every phase and failure on command. Tests, the
// demo and benchmarks run it where K3s would be too slow or too well.
package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
)

func main() {
	root := &cobra.Command{
		Use:           "standin",
		Short:         "A stand-in for a K3s server",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(serveCommand(), pkiCommand(), ctlCommand())
	if err := root.Execute(); err != nil {
		fmt.Fprintln(os.Stderr, "standin:", err)
		os.Exit(1)
	}
}
