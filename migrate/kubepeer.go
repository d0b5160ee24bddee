package migrate

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/vipd/vipd/config"
)

// kubePeer is a peer of kube-vip's. Its password is not kept.
type kubePeer struct {
	config.BGPPeer
	from          setting
	hasPassword   bool
	multiprotocol string // whether it is told of both families, and with which next hops
	ipv4, ipv6    string // those next hops, if they are "fixed"
}

// readPeer reads "ADDRESS:AS:PASSWORD:MULTIHOP/OPTION=VALUE;...", of which the first two are
// required.
func readPeer(text string) (*kubePeer, bool) {
	text, options, _ := strings.Cut(text, "/")
	address, rest, ok := strings.Cut(text, ":")
	if inner, v6 := strings.CutPrefix(text, "["); v6 {
		address, rest, ok = strings.Cut(inner, "]:")
	}
	a, err := netip.ParseAddr(address)
	fields := strings.Split(rest, ":")
	as, isNumber := asNumber(fields[0])
	if !ok || err != nil || !isNumber {
		return nil, false
	}
	p := &kubePeer{BGPPeer: config.BGPPeer{Address: peerAddress(a), AS: as}}
	p.hasPassword = len(fields) > 1 && fields[1] != ""
	if len(fields) > 2 {
		far, err := strconv.ParseBool(fields[2])
		if err != nil {
			return nil, false
		}
		p.far(far)
	}
	return p, p.options(options)
}

// peerAddress returns a with its zone only if it means nothing without.
func peerAddress(a netip.Addr) netip.Addr {
	a = a.Unmap()
	if a.Is6() && a.IsLinkLocalUnicast() {
		return a
	}
	return a.WithZone("")
}

func (p *kubePeer) far(yes bool) {
	if yes {
		p.Multihop = kubeVipTTL
	}
}

// options reads what may stand behind a peer.
func (p *kubePeer) options(text string) bool {
	for option := range strings.SplitSeq(text, ";") {
		name, value, _ := strings.Cut(option, "=")
		switch name {
		case "":
		case "mpbgp_nexthop":
			p.multiprotocol = value
		case "mpbgp_ipv4":
			p.ipv4 = value
		case "mpbgp_ipv6":
			p.ipv6 = value
		default:
			return false
		}
	}
	return true
}
