package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/vipd/vipd/config"
	"github.com/vipd/vipd/k3s"
)

// ownAddressOptions are those of K3s that want the server's own address.
func ownAddressOptions() []string {
	return []string{"node-ip", "node-external-ip", "advertise-address", "bind-address"}
}

func checkNodeAddress(ctx context.Context, p *patient) ([]Finding, error) {
	cfg, err := p.cfg()
	if err != nil {
		return nil, errNoConfig
	}
	links, err := p.links()
	if err != nil {
		return nil, err
	}
	var vips []netip.Addr
	for _, v := range cfg.VIPs {
		vips = append(vips, v.Addresses...)
	}
	list := p.checkK3sFiles(vips)
	list = append(list, p.checkK3sUnits(ctx, cfg, vips)...)
	for _, l := range links {
		if strings.HasPrefix(l.Name, "flannel") && slices.Contains(vips, l.Local) {
			list = append(list, found("flannel-took-vip", l.Name, fmt.Sprintf("%s sends from %s", l.Name, l.Local),
				"set node-ip in /etc/rancher/k3s/config.yaml to this server's own address, then: systemctl restart k3s"))
		}
	}
	return append(list, p.checkRegistered(ctx, vips)...), nil
}

// k3sFiles are the files of K3s's configuration, in its order.
func (p *patient) k3sFiles() []string {
	return append([]string{"/etc/rancher/k3s/config.yaml"}, p.Files.Glob("/etc/rancher/k3s/config.yaml.d/*.yaml")...)
}

// k3sOptions are the options of a file, none if it cannot be read.
func (p *patient) k3sOptions(file string) k3s.Options {
	text, err := p.Files.Read(file)
	if err != nil {
		return nil
	}
	options, err := k3s.ParseFile(text)
	if err != nil {
		return nil
	}
	return k3s.Options{}.Then(options)
}

func (p *patient) checkK3sFiles(vips []netip.Addr) []Finding {
	var list []Finding
	for _, file := range p.k3sFiles() {
		options := p.k3sOptions(file)
		for _, key := range ownAddressOptions() {
			for _, value := range options[key] {
				if isOne(vips, value) {
					list = append(list, found("node-ip-is-vip", file, fmt.Sprintf("%s: %s", key, value),
						fmt.Sprintf("give %s this server's own address there, then: systemctl restart k3s", key)))
				}
			}
		}
	}
	return list
}

// checkK3sUnits reads the command lines of the units that are watched.
func (p *patient) checkK3sUnits(ctx context.Context, cfg *config.Config, vips []netip.Addr) []Finding {
	var list []Finding
	for _, c := range cfg.Checks {
		if c.Type != config.CheckK3s || c.Unit == "" {
			continue
		}
		u, err := p.Units.Show(ctx, c.Unit)
		if err != nil {
			return nil
		}
		options := k3s.ParseArguments(strings.Fields(u.ExecStart))
		for _, key := range ownAddressOptions() {
			for _, value := range options[key] {
				if isOne(vips, value) {
					list = append(list, found("node-ip-is-vip", c.Unit, "--"+key+" "+value, "systemctl edit --full "+c.Unit+", give it this server's own address, then: systemctl restart k3s"))
				}
			}
		}
	}
	return list
}

func isOne(vips []netip.Addr, s string) bool {
	a, err := netip.ParseAddr(s)
	return err == nil && slices.Contains(vips, a)
}

// flannelAddress is the annotation in which flannel says where to send.
const flannelAddress = "flannel.alpha.coreos.com/public-ip"

// checkRegistered asks the API server for this node. One that does not tell is the
// business of another check.
func (p *patient) checkRegistered(ctx context.Context, vips []netip.Addr) []Finding {
	probes, err := p.probes()
	if err != nil {
		return nil
	}
	var list []Finding
	for _, c := range probes {
		id, err := p.Secrets.Identity(c)
		if err != nil || c.Type != string(config.CheckK3s) {
			continue
		}
		status, body, err := p.API.Get(ctx, id, strings.TrimSuffix(c.URL, "/")+"/api/v1/nodes/"+strings.ToLower(p.Node))
		if err != nil || status != http.StatusOK {
			continue
		}
		for what, address := range nodeAddresses(body) {
			if isOne(vips, address) {
				list = append(list, found("node-took-vip", p.Node, fmt.Sprintf("its %s is %s", what, address),
					"set node-ip in /etc/rancher/k3s/config.yaml to this server's own address, then: systemctl restart k3s"))
			}
		}
	}
	return list
}

func nodeAddresses(body []byte) map[string]string {
	var node struct {
		Metadata struct{ Annotations map[string]string }
		Status   struct {
			Addresses []struct{ Type, Address string }
		}
	}
	if json.Unmarshal(body, &node) != nil {
		return nil
	}
	all := map[string]string{flannelAddress: node.Metadata.Annotations[flannelAddress]}
	for _, a := range node.Status.Addresses {
		all[a.Type] = a.Address
	}
	return all
}
