package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/vipd/vipd/doctor"
)

// maxListen is longer than three of the longest advert intervals.
const maxListen = 3 * time.Minute

// maxPatience is for how long doctor listens at most where --listen does not say.
const maxPatience = 30 * time.Second

func newDoctor(p *paths) *cobra.Command {
	var asJSON, all bool
	listen := 4 * time.Second
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Look for what breaks clusters",
		Long: `Look for what breaks clusters: on this host, on its network, in its K3s. Each
finding is a line with what was seen and what to do. Nothing is changed; it may be
run at any time, with the agent or without. Exits 1 if an error was found.`,
		Example: `  vipd doctor
  vipd doctor --all --listen 10s
  vipd doctor --json | jq -r '.findings[] | select(.severity == "error") | .id'`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o := doctor.Options{Listen: listen, Patience: maxPatience}
			if cmd.Flags().Changed("listen") {
				o.Patience = listen
			}
			r, err := diagnose(cmd, p, o)
			if err != nil {
				return err
			}
			if asJSON {
				err = json.NewEncoder(cmd.OutOrStdout()).Encode(r)
			} else {
				err = r.WriteText(cmd.OutOrStdout(), all)
			}
			if err == nil && r.Failed() {
				err = errors.New("what is marked as error has to be mended")
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, as docs/doctor.schema.json describes it")
	cmd.Flags().BoolVar(&all, "all", false, "name the checks that found nothing, too")
	cmd.Flags().Var(span{into: &listen, max: maxListen}, "listen", "how long to listen to the network; 0s: not at all; without it longer if advert_interval wants that, up to 30s")
	return cmd
}

func diagnose(cmd *cobra.Command, p *paths, o doctor.Options) (doctor.Report, error) {
	node, err := os.Hostname()
	if err != nil {
		return doctor.Report{}, fmt.Errorf("find the name of this host: %w", err)
	}
	o.Version, o.Node, o.ConfigPath, o.Root = version, node, p.config, os.Geteuid() == 0
	if terminal(os.Stderr) {
		o.Progress = func(what string) { fmt.Fprintf(cmd.ErrOrStderr(), "%s ...\n", what) }
	}
	return doctor.Run(cmd.Context(), o, doctor.Here(p.runtimeDir)), nil
}

func terminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
