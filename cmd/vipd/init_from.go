package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/vipd/vipd/agent"
	"github.com/vipd/vipd/config"
	"github.com/vipd/vipd/migrate"
)

// translates tells whether an existing setup is to be translated.
func (in *initFlags) translates() bool { return in.fromKeepalived != "" || in.fromKubeVip != "" }

// oneSource refuses flags that say the same twice.
func (in *initFlags) oneSource(cmd *cobra.Command) error {
	if !in.translates() {
		return nil
	}
	if in.fromKeepalived != "" && in.fromKubeVip != "" {
		return usageError{errors.New("--from-keepalived and --from-kube-vip exclude each other")}
	}
	if cmd.Flags().Changed("address") {
		return usageError{errors.New("--address is for a new setup: the translated file has the addresses")}
	}
	for _, name := range []string{"mode", "local-as", "peer"} {
		if cmd.Flags().Changed(name) {
			return usageError{fmt.Errorf("--%s is for a new setup: the translated file says whether it is BGP, and with whom", name)}
		}
	}
	for _, name := range []string{"interface", "vrid", "priority", "advert-interval"} {
		if in.fromKeepalived != "" && cmd.Flags().Changed(name) {
			return usageError{fmt.Errorf("--%s is not for --from-keepalived: change the file that it writes", name)}
		}
	}
	return nil
}

// translate makes the configuration from another program's, and prints what was lost.
func (in *initFlags) translate(cmd *cobra.Command) ([]byte, error) {
	plan, err := in.plan(cmd)
	if err != nil {
		return nil, err
	}
	found, err := chooseVRIDs(cmd.Context(), plan)
	if err != nil {
		return nil, err
	}
	var here config.Draft
	agent.FindK3s(os.DirFS("/"), &here) // its notes are for a cluster that has no VIP yet
	plan.UseK3s(here.URL, here.DataDir, here.Unit)
	text, err := plan.Render()
	if err != nil {
		return nil, err
	}
	for _, n := range plan.Notes {
		fmt.Fprintln(cmd.ErrOrStderr(), n)
	}
	for _, n := range found {
		fmt.Fprintln(cmd.ErrOrStderr(), "note: "+n)
	}
	return text, nil
}

func (in *initFlags) plan(cmd *cobra.Command) (*migrate.Plan, error) {
	if in.fromKeepalived != "" {
		host, err := os.Hostname()
		if err != nil {
			return nil, fmt.Errorf("ask for the host name: %w", err)
		}
		return migrate.FromKeepalived(in.fromKeepalived, host)
	}
	plan, err := migrate.FromKubeVip(in.fromKubeVip)
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"vrid", "priority", "advert-interval"} {
		if plan.BGP != nil && cmd.Flags().Changed(name) {
			return nil, usageError{fmt.Errorf("--%s is for VRRP, and %s has BGP: leave it out", name, in.fromKubeVip)}
		}
	}
	plan.VIPs[0].Override(in.wish.Interface, in.wish.VRID, in.wish.Priority, in.wish.AdvertInterval)
	return plan, nil
}

// chooseVRIDs finds a VRID where the source has none, as for a new setup, and returns what
// there is to be said of it.
func chooseVRIDs(ctx context.Context, plan *migrate.Plan) (found []string, err error) {
	for i := range plan.VIPs {
		v := &plan.VIPs[i]
		if !v.NeedsVRID() {
			continue
		}
		draft, err := agent.DiscoverVRID(ctx, agent.Wish{Addresses: v.Addresses, Interface: v.Interface})
		if err != nil {
			return nil, err
		}
		v.Choose(draft.VRID, draft.AdvertInterval, draft.Why["vip.vrid"])
		found = append(found, draft.Notes...)
	}
	return found, nil
}
