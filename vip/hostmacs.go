package vip

import (
	"bytes"
	"net"
	"time"

	"github.com/vipd/vipd/vrrp"
)

// hostMACs knows which MACs belong to interfaces of this host.
type hostMACs struct {
	listed time.Time
	names  map[string]string // of the interfaces, by MAC
}

// macsAge is how old the list may be: a storm of claims costs no more than one a second.
const macsAge = time.Second

// interfaceOf returns which interface has a MAC. If they cannot be listed, that is the
// last one known to have had it.
func (m *hostMACs) interfaceOf(mac net.HardwareAddr) (name string, found bool) {
	if isVirtual(mac) {
		return "", false // shared with the other routers
	}
	if now := time.Now(); m.names == nil || now.Sub(m.listed) >= macsAge {
		m.list()
		m.listed = now
	}
	name, found = m.names[string(mac)]
	return name, found
}

func (m *hostMACs) list() {
	all, err := net.Interfaces()
	if err != nil {
		return
	}
	m.names = make(map[string]string)
	for _, ifi := range all {
		if len(ifi.HardwareAddr) == macLen {
			m.names[string(ifi.HardwareAddr)] = ifi.Name
		}
	}
}

// isVirtual reports whether a MAC is that of a virtual router (RFC 9568, section 7.3).
func isVirtual(mac net.HardwareAddr) bool {
	for _, f := range []vrrp.Family{vrrp.IPv4, vrrp.IPv6} {
		if any := vrrp.VirtualMAC(f, 0); bytes.HasPrefix(mac, any[:macLen-1]) {
			return true
		}
	}
	return false
}
