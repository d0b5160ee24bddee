package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/vipd/vipd/test/standin/apiserver"
)

func ctlCommand() *cobra.Command {
	var control apiserver.Control
	cmd := &cobra.Command{
		Use:   "ctl",
		Short: "Talk to a running stand-in",
	}
	cmd.PersistentFlags().StringVar(&control.Path, "control", "", "control socket of the stand-in")
	_ = cmd.MarkPersistentFlagRequired("control")
	cmd.AddCommand(&cobra.Command{
		Use:   "mode [MODE [ARGUMENT]]",
		Short: "Show or set what the stand-in does",
		Long: `Sets what the stand-in does, and shows what it does now.

  ready               all is well
  etcd-lost           health answers are 500 after 2 s, unless etcd is excluded
  etcd-lost-fast      the same at once, with the checks of newer Kubernetes
  unready             health answers are 500 at once
  status CODE         whatever needs a certificate is answered with CODE
  hang                accepts connections and answers nothing
  slow DELAY          answers late
  flapping PERIOD     unready and ready in turns
  refused             nothing listens
  starting, missing, booting
                      the phases of a start, for good
  start               a whole start, from refused to ready
  stop                hangs for a moment, resets all connections, then refused`,
		Args: cobra.MaximumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			now, err := setMode(cmd, control, args)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), now)
			return err
		},
	})
	return cmd
}

func setMode(cmd *cobra.Command, control apiserver.Control, args []string) (apiserver.Mode, error) {
	if len(args) == 0 {
		return control.Mode(cmd.Context())
	}
	m, err := apiserver.ParseMode(strings.Join(args, " "))
	if err != nil {
		return apiserver.Mode{}, err
	}
	return control.SetMode(cmd.Context(), m)
}
