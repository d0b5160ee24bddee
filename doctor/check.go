package doctor

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// check looks at one part. An error means that it could not.
type check struct {
	name  string
	looks string // at what, as its ok says
	root  bool   // needs root
	wire  bool   // needs to listen
	run   func(context.Context, *patient) ([]Finding, error)
}

func checks() []check {
	return []check{
		{name: "configuration", looks: "the file is valid", run: checkConfig},
		{name: "agent", looks: "it answers and has nothing to complain of", run: checkAgent},
		{name: "interface", looks: "there, up, with an address in the subnet", run: checkInterfaces},
		{name: "address", looks: "nobody but the Active answers for the VIPs", root: true, run: checkAddresses},
		{name: "wire", looks: "what was heard agrees with the configuration", root: true, wire: true, run: checkWire},
		{name: "firewall", looks: "the rules of this host let VRRP in and out", root: true, run: checkFirewall},
		{name: "bridge", looks: "no bridge of this host withholds the group", run: checkBridges},
		{name: "bgp", looks: "each router hears of the VIPs of mode bgp", run: checkBGP},
		{name: "credentials", looks: "there, readable, valid for long", root: true, run: checkCredentials},
		{name: "api", looks: "the API server is ready", root: true, run: checkAPI},
		{name: "certificate", looks: "the API server's names each VIP", run: checkCertificate},
		{name: "node-address", looks: "neither K3s nor flannel uses a VIP as its own address", root: true, run: checkNodeAddress},
		{name: "network-manager", looks: "nobody deletes the addresses of others", run: checkManagers},
		{name: "sysctl", looks: "the kernel answers for the VIPs", run: checkSysctls},
		{name: "clock", looks: "synchronised", run: checkClock},
		{name: "unit", looks: "enabled, running, real-time", run: checkUnits},
		{name: "timer", looks: "timers are as punctual as advert_interval needs", root: true, run: checkTimer},
		{name: "version", looks: "agent, program and kernel fit", run: checkVersions},
	}
}

// slack is how long the checks may take beside the listening.
const slack = 12 * time.Second

// Run makes all checks at once.
func Run(ctx context.Context, o Options, s Sources) Report {
	o.Listen = longEnough(o, s.Files)
	ctx, cancel := context.WithTimeout(ctx, o.Listen+slack)
	defer cancel()
	p := newPatient(ctx, o, s)
	r := Report{Version: o.Version, Node: o.Node, Time: time.Now(), Config: o.ConfigPath, Findings: []Finding{}, LeftOut: []Skipped{}}
	var mu sync.Mutex
	var all sync.WaitGroup
	for _, c := range checks() {
		all.Go(func() {
			found, err := c.make(ctx, p)
			mu.Lock()
			defer mu.Unlock()
			r.Findings = append(r.Findings, found...)
			if err != nil {
				r.LeftOut = append(r.LeftOut, Skipped{c.name, err.Error()})
			}
		})
	}
	all.Wait()
	r.sort()
	return r
}

func (c check) make(ctx context.Context, p *patient) ([]Finding, error) {
	if c.root && !p.Root {
		return nil, errors.New("needs root: run vipd doctor as root")
	}
	if c.wire && p.Listen == 0 {
		return nil, errors.New("needs to listen: see --listen")
	}
	found, err := c.run(ctx, p)
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("did not end in time: %w", err)
	}
	if err == nil && len(found) == 0 {
		found = []Finding{{ID: c.name, Severity: OK, Subject: c.name, Evidence: c.looks}}
	}
	return found, err
}
