package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/vipd/vipd/watch"
)

// maxWatch is longer than anybody waits.
const maxWatch = 1000 * time.Hour

func newWatch(p *paths) *cobra.Command {
	var o watch.Options
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "watch",
		Short: "Show live what virtual routers say on the network",
		Long: `Show advertisements, announcements of VIPs, and conflicts, a line each, until Ctrl-C. It
says where the rules of this host's vipd.toml refuse an advertisement, and what to do. It
needs no agent, and no vipd.toml either: then it shows every virtual router on the
interface. It listens, and sends nothing. It needs root (CAP_NET_RAW).

It sees what arrives before this host's firewall does: that nothing is refused does not
mean that the agent hears it. What it shows and "vipd status" does not know of, the
firewall drops.`,
		Example: `  vipd watch
  vipd watch --interface eth0 --vrid 51 --duration 10s
  vipd watch --json | jq 'select(.refused)'
  vipd watch --write /tmp/night.pcap`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Config = p.config
			return watch.Run(cmd.Context(), o, watch.NewPrinter(cmd.OutOrStdout(), asJSON))
		},
	}
	f := cmd.Flags()
	f.Var(filled{&o.Interface}, "interface", "the `interface` (default: those of the VIPs, else that of the default route)")
	f.Var(number[uint8]{&o.VRID, 1, 255}, "vrid", "show this VRID only")
	f.BoolVar(&asJSON, "json", false, "print JSON, as docs/watch.schema.json describes it")
	f.Var(filled{&o.Write}, "write", "record what is heard in a pcap `file`, which must not exist")
	f.Var(number[int]{&o.Count, 1, most}, "count", "end after this `number` of packets")
	f.Var(span{into: &o.Duration, min: time.Millisecond, max: maxWatch}, "duration", "end after this time; with --count, fail if there were fewer")
	return cmd
}
