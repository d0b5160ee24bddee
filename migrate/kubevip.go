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

// FromKubeVip translates a manifest of kube-vip, of a DaemonSet or a (static) pod. Without BGP it
// has no VRID, and that of the VIP is still to be chosen.
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
	k := newKubeVip(settings)
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
	if k.speaker != nil {
		plan.BGP = k.speaker.translate(k.vip.Addresses)
	}
	if plan.BGP != nil && len(plan.BGP.Peers) == 0 {
		return nil, errors.Join(fmt.Errorf("%s has BGP, and names no router that could be translated (bgp_peers, bgp_peeraddress): use vipd init --mode bgp", path), k.notes.err())
	}
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
	notes   *notes
	vip     VIP
	speaker *speaker // nil: without BGP
	url     string
	off     bool // it serves no control plane
}

// newKubeVip begins a translation. Where bgp_enable is on, that is how kube-vip announces
// the address, whatever else is on.
func newKubeVip(list []setting) *kubeVip {
	k := &kubeVip{notes: new(notes), vip: newVIP()}
	on := false
	for _, s := range list {
		if s.name == "bgp_enable" && s.value != "" {
			on = isOn(s.value)
		}
	}
	if on {
		k.speaker = newSpeaker(k.notes, list)
		k.vip.Mode, k.vip.Spread, k.vip.Interface = config.ModeBGP, true, "lo"
	}
	return k
}

// remediesWithARP and remediesWithBGP are the settings of which each needs another word.
var (
	remediesWithARP = []remedy{
		{"vip_arp", byItself + "it announces by ARP and neighbour advertisements"},
		{"vip_arpRate", announces},
		{"vip_leaderelection", elects},
		{"vip_lease* vip_renewdeadline vip_retryperiod", "vipd needs no lease: it notices a dead server after three to four advert_interval, 250ms each"},
		{"lb_enable lb_port lb_fwdmethod lb_backend* lb_bindtovip lb_name lb_type vip_addpeerstolb backend_health_check_interval",
			"vipd does not spread requests over the API servers: all go to the one that holds the VIP"},
		{"bgp_* mpbgp_* zebra_*", "it has no effect: bgp_enable is not \"true\""},
	}
	remediesWithBGP = []remedy{
		{"vip_arp vip_arpRate", "it has no effect beside bgp_enable: the VIP is a route"},
		{"vip_leaderelection", "with it one server at a time announces. With vipd all do that are ready, and the routers spread the connections: " +
			"for one at a time, add spread = false and a priority for each server"},
		{"vip_lease* vip_renewdeadline vip_retryperiod", "vipd needs no lease: each server announces for as long as its own API server is fit"},
		{"lb_enable lb_port lb_fwdmethod lb_backend* lb_bindtovip lb_name lb_type vip_addpeerstolb backend_health_check_interval",
			"vipd does not spread requests over the API servers: the routers do, if they have several paths (ECMP)"},
	}
)

const elects = byItself + "the servers elect the holder among themselves, without the API"

// remediesOfKubeVip are the others that have no place in vipd.toml.
var remediesOfKubeVip = []remedy{
	{"vip_startleader vip_singlenode vip_preserve_on_leadership_loss vip_peers vip_localpeer vip_remotepeers", elects},
	{"vip_nodename cp_namespace k8s_config_file kubernetes_addr", "vipd runs outside of the cluster, and asks the API server for nothing but its health"},
	{"vip_loglevel", "vipd logs each change to the journal, and more with \"vipd run --debug\""},
	{"dns_mode", "vipd asks no DNS: it wants addresses"},
	{"cp_detect", "vipd wants the address in its file"},
	{"config_file vip_configmap envFrom", "what is set there is not in this file: it is missing in vipd.toml"},
	{"vip_interfaceloglobal", byItself + "its addresses on lo have global scope"},
	{"health_check_port", "\"vipd status\" and systemd tell whether the agent is well"},
	{"prometheus_server", "vipd's metrics are off by default and on loopback only: see [metrics]"},
	{"vip_ddns", "vipd takes no address from DNS or DHCP: reserve one"},
	{"wireguard vip_wireguard*", "vipd knows no WireGuard: with a tunnel between the servers, name its interface and peers"},
	{"vip_packet* packet_* metal_* provider_config annotation annotations", "vipd asks no cloud: what it was asked for has to be done otherwise"},
	{"vip_routingtable enable_routing* routing_*", "vipd sets no routes"},
	{"enable_node_labeling", "vipd labels no node: \"vipd status\" says who holds the VIP"},
	{"svc_* lb_class_* vip_servicesinterface egress_* enable_service_security enable_endpointslices disable_service_updates enable_upnp load_balancer_class_* " +
		"enable_endpoints mirror_dest_interface iptables_backend",
		"it concerns Services, which vipd does not serve"},
}

// setting translates one environment variable, or the flag that means the same.
func (k *kubeVip) setting(s setting) {
	if ofBGP(s.name) && k.speaker != nil {
		k.speaker.remark(s)
		return
	}
	if s.elsewhere {
		k.elsewhere(s)
		return
	}
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
	case "bgp_enable": // off, else there were a speaker
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
	if k.speaker != nil {
		k.notes.add(s.at, s.name, "vipd announces the address alone (/32, /128)")
		return
	}
	k.notes.add(s.at, s.name, bare)
}

// elsewhere tells of a setting whose value the file does not hold.
func (k *kubeVip) elsewhere(s setting) {
	switch s.name {
	case "address", "vip_address", "vip_interface", "port", "vip_cidr", "vip_subnet", "cp_enable", "svc_enable", "bgp_enable":
		k.notes.gather(s.at, s.name, absent)
	default:
		k.notes.remedy(s.at, s.name, k.remedies())
	}
}

func (k *kubeVip) remark(s setting) {
	if s.value == "" || s.value == "false" {
		return // what is off is not missed
	}
	k.notes.remedy(s.at, s.name, k.remedies())
}

func (k *kubeVip) remedies() []remedy {
	if k.speaker != nil {
		return slices.Concat(remediesWithBGP, remediesOfKubeVip)
	}
	return slices.Concat(remediesWithARP, remediesOfKubeVip)
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
			k.notes.add(s.at, s.name, "%s is a name: vipd wants the address that it stands for", cited(text))
			continue
		}
		if why := config.UnfitVIP(a); why != "" {
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
	if s.value == "" || s.value == "lo" && k.speaker != nil {
		return // "lo" is where vipd puts a route's address, too
	}
	if !interfaceName(s.value) {
		otherwise := "each server finds the one whose subnet holds the address"
		if k.speaker != nil {
			otherwise = "the address goes on lo"
		}
		k.notes.add(s.at, s.name, "%s is no interface that vipd takes: %s", cited(s.value), otherwise)
		return
	}
	k.vip.Interface = s.value
}

// port is where clients ask for the API, which is where the API server listens too.
func (k *kubeVip) port(s setting) {
	n, err := strconv.Atoi(s.value)
	if err != nil || n < 1 || n > 65535 || n == 6444 {
		k.notes.add(s.at, s.name, "%s is no port that vipd can ask: it asks 6443", cited(s.value))
		return
	}
	if n != 6443 {
		k.url = fmt.Sprintf("https://127.0.0.1:%d", n)
	}
}

// cited returns a value for a line about it, unless it is a flag that lost its place: that
// may be one with a password.
func cited(value string) string {
	if strings.Contains(value, "=") {
		return "what is there"
	}
	return strconv.Quote(value)
}
