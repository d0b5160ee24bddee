package doctor

import (
	"context"
	"errors"
	"io/fs"
	"strings"

	"github.com/vipd/vipd/agent/control"
	"github.com/vipd/vipd/config"
)

func checkConfig(_ context.Context, p *patient) ([]Finding, error) {
	_, err := p.cfg()
	if err == nil {
		return nil, nil
	}
	if errors.Is(err, fs.ErrPermission) {
		return nil, errors.New("needs root: run vipd doctor as root")
	}
	var all config.Errors
	if !errors.As(err, &all) {
		return []Finding{found("config-unusable", p.ConfigPath, err.Error(), "write one with: vipd init --address A")}, nil
	}
	var list []Finding
	for _, e := range all {
		list = append(list, found("config-unusable", p.ConfigPath, e.Error(), "then: vipd check && systemctl reload vipd"))
	}
	return list, nil
}

func checkAgent(_ context.Context, p *patient) ([]Finding, error) {
	s, err := p.status()
	if err != nil {
		if !p.Root {
			return nil, err
		}
		return []Finding{agentDown(err)}, nil
	}
	var list []Finding
	for _, what := range s.Problems {
		list = append(list, found("agent-reports", "agent", what, more))
	}
	for _, r := range s.Routers {
		for _, what := range r.Problems {
			if strings.HasPrefix(what, control.NeverHeard) {
				continue // no more than peers-unheard says
			}
			list = append(list, found("agent-reports", r.VIP+" "+r.Family, what, more))
		}
	}
	return list, nil
}

// more goes with what the agent reports, which mostly says itself what to do.
const more = "since when: vipd history; more: journalctl -u vipd -n 50"

// agentDown tells the remedy, which the error of a socket on which nobody answers has, from
// the rest.
func agentDown(err error) Finding {
	what, start, ok := strings.Cut(err.Error(), ": start it with: ")
	if !ok {
		return found("agent-down", "agent", what, "systemctl status vipd; journalctl -u vipd -n 50")
	}
	return found("agent-down", "agent", what, "start it with: "+start)
}
