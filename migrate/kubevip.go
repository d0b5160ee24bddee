package migrate

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/vipd/vipd/config"
)

// FromKubeVip translates a manifest of kube-vip, of a DaemonSet or a (static) pod. kube-vip
// has no VRID, so that of the VIP is still to be chosen.
func FromKubeVip(path string) (*Plan, error) {
	text, err := disk{}.Read(path)
	if err != nil {
		return nil, err
	}
	return fromKubeVip(path, text)
}

func fromKubeVip(path string, text []byte) (*Plan, error) {
	settings, err := readManifest(path, text)
	if err != nil {
		return nil, err
	}
	k := &kubeVip{notes: new(notes), vip: newVIP()}
	k.vip.Why["addresses"] = "of " + path
	for _, s := range settings {
		k.setting(s)
	}
	if k.off {
		return nil, fmt.Errorf("%s keeps no address for the API server (cp_enable is false): vipd has nothing to take over from it", path)
	}
	if len(k.vip.Addresses) == 0 {
		return nil, errors.Join(fmt.Errorf("%s names no IP address for the API server (address): use vipd init --address", path), k.notes.err())
	}
	plan := &Plan{VIPs: []VIP{k.vip}}
	if k.url != "" {
		check := config.Default().Checks[0]
		check.URL = k.url
		plan.Checks = append(plan.Checks, check)
	}
	plan.Notes = k.notes.inOrder(path)
	return plan, nil
}

// kubeVip is a manifest on its way to a plan.
type kubeVip struct {
	notes *notes
	vip   VIP
	url   string
	off   bool // it serves no control plane
}

// remediesOfKubeVip are the settings that have no place in vipd.toml.
var remediesOfKubeVip = []remedy{
	{"vip_arp vip_leaderelection vip_nodename cp_namespace vip_loglevel vip_preserve_on_leadership_loss vip_startleader vip_singlenode k8s_config_file dns_mode", ""},
	{"vip_lease* vip_renewdeadline vip_retryperiod", "vipd needs no lease: it notices a dead server after three to four advert_interval, 250ms each"},
	{"lb_enable lb_port lb_fwdmethod", "vipd does not spread requests over the API servers: all go to the one that holds the VIP"},
	{"prometheus_server", "vipd's metrics are off by default and on loopback only: see [metrics]"},
	{"vip_ddns", "vipd takes no address from DNS or DHCP: reserve one"},
	{"wireguard vip_wireguard*", "vipd knows no WireGuard: with a tunnel between the servers, name its interface and peers"},
	{"vip_packet* packet_* metal_* provider_config annotations", "vipd asks no cloud: what it was asked for has to be done otherwise"},
	{"vip_routingtable enable_routing* routing_*", "vipd sets no routes"},
	{"enable_node_labeling", "vipd labels no node: \"vipd status\" says who holds the VIP"},
	{"svc_* lb_class_* vip_servicesinterface egress_* enable_service_security enable_endpointslices disable_service_updates enable_upnp load_balancer_class_*",
		"it concerns Services, which vipd does not serve"},
}

// setting translates one environment variable, or the flag that means the same.
func (k *kubeVip) setting(s setting) {
	switch s.name {
	case "address", "vip_address":
		k.addresses(s)
	case "vip_interface":
		k.iface(s)
	case "port":
		k.port(s)
	case "vip_cidr", "vip_subnet":
		k.subnet(s)
	case "cp_enable":
		k.off = !isOn(s.value)
	case "svc_enable":
		if isOn(s.value) {
			k.notes.add(s.at, s.name, "vipd serves the API alone. Keep kube-vip for Services of type LoadBalancer, with cp_enable \"false\", or let MetalLB or K3s's ServiceLB do it")
		}
	case "bgp_enable":
		if isOn(s.value) {
			k.notes.add(s.at, s.name, "vipd announces by ARP and neighbour advertisements, so all servers have to be in the subnet of the address. Where they are not, stay with BGP")
		}
	default:
		k.remark(s)
	}
}

// subnet tells of a subnet that would come with the address.
func (k *kubeVip) subnet(s setting) {
	switch strings.Trim(s.value, "/") {
	case "", "auto", "32", "128", "32,128":
		return
	}
	k.notes.add(s.at, s.name, bare)
}

func (k *kubeVip) remark(s setting) {
	if s.value == "" || s.value == "false" || strings.HasPrefix(s.name, "bgp_") {
		return // what is off is not missed; and BGP's own settings go with it
	}
	for _, r := range remediesOfKubeVip {
		if r.covers(s.name) {
			if r.todo != "" {
				k.notes.once(s.at, s.name, r.todo)
			}
			return
		}
	}
	k.notes.once(s.at, s.name, "is nothing that vipd knows: look up what it does, and whether it is missed")
}

func isOn(s string) bool {
	on, err := strconv.ParseBool(s)
	return err == nil && on
}

func (k *kubeVip) addresses(s setting) {
	for text := range strings.SplitSeq(s.value, ",") {
		text = strings.TrimSpace(text)
		if text == "" {
			continue
		}
		a, _, ok := parseAddr(text)
		if !ok {
			k.notes.add(s.at, s.name, "%q is a name: vipd wants the address that it stands for", text)
			continue
		}
		if why := unusable(a, false); why != "" {
			k.notes.add(s.at, s.name, "%s is %s: left out", a, why)
			continue
		}
		k.add(a)
	}
}

func (k *kubeVip) add(a netip.Addr) {
	if !slices.Contains(k.vip.Addresses, a) {
		k.vip.Addresses = append(k.vip.Addresses, a)
	}
}

func (k *kubeVip) iface(s setting) {
	if s.value == "" {
		return
	}
	if !interfaceName(s.value) {
		k.notes.add(s.at, s.name, "%q is no interface that vipd takes: each server finds the one whose subnet holds the address", s.value)
		return
	}
	k.vip.Interface = s.value
}

// port is where clients ask for the API, which is where the API server listens too.
func (k *kubeVip) port(s setting) {
	n, err := strconv.Atoi(s.value)
	if err != nil || n < 1 || n > 65535 || n == 6444 {
		k.notes.add(s.at, s.name, "%q is no port that vipd can ask: it asks 6443", s.value)
		return
	}
	if n != 6443 {
		k.url = fmt.Sprintf("https://127.0.0.1:%d", n)
	}
}
