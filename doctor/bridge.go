package doctor

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/vipd/vipd/vrrp"
)

// bridgeFacts are what ip -json -details link says of a bridge.
type bridgeFacts struct {
	Info struct {
		Data struct {
			Snooping int    `json:"mcast_snooping"`
			Querier  int    `json:"mcast_querier"`
			Other    string `json:"mcast_querier_ipv6_addr"` // whoever asks
		} `json:"info_data"`
	} `json:"linkinfo"`
}

// checkBridges looks at the bridges of this host alone: those of others do not tell.
func checkBridges(ctx context.Context, p *patient) ([]Finding, error) {
	places, err := p.places()
	if err != nil {
		return nil, err
	}
	var list []Finding
	seen := make(map[string]bool)
	for _, at := range places {
		if at.link == nil || at.link.Bridge == "" || at.family != vrrp.IPv6 || len(at.peers()) > 0 || seen[at.link.Bridge] {
			continue
		}
		name := at.link.Bridge
		seen[name] = true
		out, err := p.Commands.Run(ctx, "ip", "-json", "-details", "link", "show", "dev", name)
		if err != nil {
			return nil, fmt.Errorf("look at bridge %s: %w", name, err)
		}
		var facts []bridgeFacts
		if err := json.Unmarshal(out, &facts); err != nil || len(facts) != 1 {
			return nil, fmt.Errorf("understand what ip says of bridge %s: %v", name, err)
		}
		if d := facts[0].Info.Data; d.Snooping == 1 && d.Querier == 0 && d.Other == "" {
			list = append(list, found("snooping-without-querier", name, "the bridge snoops multicast and nobody asks who listens",
				fmt.Sprintf("ip link set dev %s type bridge mcast_querier 1, or unicast peers in %s", name, p.ConfigPath)))
		}
	}
	return list, nil
}
