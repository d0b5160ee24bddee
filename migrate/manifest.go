package migrate

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// setting is an environment variable of kube-vip.
type setting struct {
	at          place
	name, value string
	elsewhere   bool // its value is in a Secret, say, or of the pod's own
}

// flagNames are kube-vip's flags, by the variable that means the same.
var flagNames = map[string]string{
	"interface": "vip_interface", "address": "address", "vip": "address", "port": "port", "cidr": "vip_cidr", "vipSubnet": "vip_subnet",
	"nodeName": "vip_nodename", "serviceInterface": "vip_servicesinterface", "namespace": "cp_namespace", "log": "vip_loglevel",
	"leaseName": "vip_leasename", "leaseDuration": "vip_leaseduration", "leaseRenewDuration": "vip_renewdeadline", "leaseRetry": "vip_retryperiod",
	"lbPort": "lb_port", "lbForwardingMethod": "lb_fwdmethod", "prometheusHTTPServer": "prometheus_server", "k8sConfigPath": "k8s_config_file",
	"config-file": "config_file", "dnsMode": "dns_mode", "annotations": "annotations", "provider-config": "provider_config",
	"localAS": "bgp_as", "bgpRouterID": "bgp_routerid", "sourceIF": "bgp_sourceif", "sourceIP": "bgp_sourceip", "bgppeers": "bgp_peers",
	"bgpHoldTimer": "bgp_hold_time", "bgpKeepAliveInterval": "bgp_keepalive_interval",
	"peerAddress": "bgp_peeraddress", "peerAS": "bgp_peeras", "peerPass": "bgp_peerpass",
}

// switchNames are those of its flags that are on or off, and so take no word behind them.
var switchNames = map[string]string{
	"arp": "vip_arp", "bgp": "bgp_enable", "controlplane": "cp_enable", "services": "svc_enable", "leaderElection": "vip_leaderelection",
	"lbEnable": "lb_enable", "enableLoadBalancer": "lb_enable", "ddns": "vip_ddns", "multihop": "bgp_multihop", "zebra": "zebra_enable",
	"wireguard": "vip_wireguard", "table": "vip_routingtable", "servicesElection": "svc_election", "autodetectcp": "cp_detect",
}

// readManifest returns the settings of the first container of kube-vip in a file of
// one or more objects.
func readManifest(path string, text []byte) ([]setting, error) {
	if len(text) > maxText {
		return nil, fmt.Errorf("%s is larger than %d KiB: this cannot be a manifest of kube-vip", path, maxText>>10)
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var doc yaml.Node
		if err := d.Decode(&doc); errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("%s has no container of kube-vip: give the manifest of its DaemonSet or pod", path)
		} else if err != nil {
			return nil, fmt.Errorf("read %s: it is no YAML%s: give the manifest of kube-vip's DaemonSet or pod", path, lineOf(err))
		}
		if c := kubeVipContainer(&doc, 0); c != nil {
			return settingsOf(path, c), nil
		}
	}
}

// lineOf returns where the parser stopped. The rest of what it says may repeat the file,
// which may be any.
func lineOf(err error) string {
	_, rest, ok := strings.Cut(err.Error(), "yaml: line ")
	number, _, _ := strings.Cut(rest, ":")
	if _, bad := strconv.Atoi(number); !ok || bad != nil {
		return ""
	}
	return " (line " + number + ")"
}

// kubeVipContainer looks for a container whose image is kube-vip's, below any object:
// a DaemonSet, a Deployment, a pod or a list of them. Aliases are not followed, for they can
// lead in circles.
func kubeVipContainer(n *yaml.Node, depth int) *yaml.Node {
	const deepest = 32
	if depth > deepest {
		return nil
	}
	if image := entry(n, "image"); image != nil && strings.Contains(image.Value, "kube-vip") && !strings.Contains(image.Value, "cloud-provider") {
		return n
	}
	for _, child := range n.Content {
		if c := kubeVipContainer(child, depth+1); c != nil {
			return c
		}
	}
	return nil
}

// entry returns the value of a key, nil if n is no mapping or has it not.
func entry(n *yaml.Node, key string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// items returns the elements of a list under a key.
func items(n *yaml.Node, key string) []*yaml.Node {
	list := entry(n, key)
	if list == nil || list.Kind != yaml.SequenceNode {
		return nil
	}
	return list.Content
}

// settingsOf returns the environment of a container, and before it what its flags say.
func settingsOf(path string, container *yaml.Node) []setting {
	list := flagsOf(path, container)
	for _, e := range items(container, "env") {
		name := entry(e, "name")
		if name == nil {
			continue
		}
		s := setting{at: place{path, e.Line}, name: name.Value}
		if v := entry(e, "value"); v != nil {
			s.value = v.Value
		}
		s.elsewhere = s.value == "" && entry(e, "valueFrom") != nil
		list = append(list, s)
	}
	for _, e := range items(container, "envFrom") {
		list = append(list, setting{at: place{path, e.Line}, name: "envFrom", elsewhere: true})
	}
	return list
}

// flagsOf returns what stands in args as "--name value", "--name=value" or "--name".
func flagsOf(path string, container *yaml.Node) []setting {
	var list []setting
	args := items(container, "args")
	for i := 0; i < len(args); i++ {
		a := args[i]
		flag, ok := strings.CutPrefix(a.Value, "--")
		if !ok {
			continue
		}
		flag, value, given := strings.Cut(flag, "=")
		switchName, isSwitch := switchNames[flag]
		name, known := flagNames[flag]
		switch {
		case given:
		case known && i+1 < len(args):
			i++ // whatever it is: a password may begin with a dash
			value = args[i].Value
		case !isSwitch && i+1 < len(args) && !strings.HasPrefix(args[i+1].Value, "-"):
			value = args[i+1].Value
		default:
			value = "true"
		}
		list = append(list, setting{at: place{path, a.Line}, name: cmp.Or(name, switchName, flag), value: value})
	}
	return list
}
