package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/vipd/vipd/agent/control"
)

func newDrain(p *paths) *cobra.Command {
	var o control.DrainOptions
	cmd := &cobra.Command{
		Use:   "drain",
		Short: "Have another node take over, before maintenance",
		Long: `Rank this node as down until "vipd resume" or a reboot. It goes on holding what it
holds until a better node takes over, so nothing is lost if there is none.

With --until-ready it ends by itself, once K3s was stopped and is ready again:
vipd-handover.service does that whenever systemd stops or restarts K3s.`,
		Example: `  vipd drain --wait && reboot
  vipd drain && vipd status --watch`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), patience(o))
			defer cancel()
			res, err := control.NewClient(control.Socket(p.runtimeDir)).Drain(ctx, o)
			if errors.Is(err, control.ErrInterrupted) {
				return fmt.Errorf("%w: the drain may be in force; end it with: vipd resume", err)
			}
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), res.Message)
			return err
		},
	}
	cmd.Flags().BoolVar(&o.UntilReady, "until-ready", false, "end the drain once K3s was stopped and is ready again")
	cmd.Flags().BoolVar(&o.Wait, "wait", false, "return when another node holds the VIP, or when it is clear that none will")
	return cmd
}

// longestDrain is beyond what a drain takes that is waited for: four of the longest
// advert intervals and the routes' delay.
const longestDrain = 4 * time.Minute

// patience is how long an agent may take to answer.
func patience(o control.DrainOptions) time.Duration {
	if o.Wait {
		return longestDrain
	}
	return control.Timeout
}

func newResume(p *paths) *cobra.Command {
	var o control.ResumeOptions
	cmd := &cobra.Command{
		Use:     "resume",
		Short:   "Undo drain",
		Example: "  vipd resume",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), control.Timeout)
			defer cancel()
			res, err := control.NewClient(control.Socket(p.runtimeDir)).Resume(ctx, o)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), res.Message)
			return err
		},
	}
	cmd.Flags().BoolVar(&o.UntilReady, "until-ready", false, "undo a drain --until-ready alone, not the operator's")
	return cmd
}
