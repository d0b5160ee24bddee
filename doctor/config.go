package doctor

import (
	"context"
	"errors"
	"io/fs"

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
		return []Finding{found("agent-down", "agent", err.Error(), "")}, nil
	}
	var list []Finding
	for _, what := range s.Problems {
		list = append(list, found("agent-reports", "agent", what, ""))
	}
	for _, r := range s.Routers {
		for _, what := range r.Problems {
			list = append(list, found("agent-reports", r.VIP+" "+r.Family, what, ""))
		}
	}
	return list, nil
}
