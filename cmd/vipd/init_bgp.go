package main

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/vipd/vipd/config"
)

// checkMode refuses flags that do not belong together.
func (in *initFlags) checkMode(cmd *cobra.Command) error {
	foreign := []string{"local-as", "peer"}
	switch in.mode {
	case "", "vrrp":
	case "bgp":
		foreign = []string{"vrid", "priority", "advert-interval", "from-keepalived", "from-kube-vip"}
	default:
		return usageError{fmt.Errorf("--mode %s is not known: choose vrrp or bgp", in.mode)}
	}
	for _, name := range foreign {
		if cmd.Flags().Changed(name) {
			return usageError{fmt.Errorf("--%s does not go with --mode %s", name, cmp.Or(in.mode, "vrrp"))}
		}
	}
	if in.mode == "bgp" && (in.localAS == 0 || len(in.peers) == 0) {
		return usageError{errors.New("--mode bgp needs --local-as, and a --peer for each router, as in 198.51.100.1@64600")}
	}
	return nil
}

// renderBGP makes the text of a configuration for BGP, of which K3s alone can be found out.
func (in *initFlags) renderBGP(cmd *cobra.Command) ([]byte, error) {
	d := config.Draft{Addresses: in.wish.Addresses, Interface: in.wish.Interface, LocalAS: in.localAS}
	for _, s := range in.peers {
		address, number, _ := strings.Cut(s, "@")
		a, err := netip.ParseAddr(address)
		as, notNumber := strconv.ParseUint(number, 10, 32)
		if err != nil || notNumber != nil {
			return nil, usageError{fmt.Errorf("--peer %s is not an address and an AS number: write them as in 198.51.100.1@64600", s)}
		}
		d.Routers = append(d.Routers, config.DraftRouter{Address: a, AS: uint32(as)})
	}
	return in.renderDraft(cmd, d, nil)
}
