package config

import (
	"net"
	"net/netip"
	"path"
	"strings"
)

// Metrics is the Prometheus endpoint.
type Metrics struct {
	Listen string // empty: off; host:port on loopback, or "unix:" and a path
}

// Address returns the arguments for [net.Listen]. It is for a Listen that is not
// empty.
func (m Metrics) Address() (network, address string) {
	if path, ok := strings.CutPrefix(m.Listen, unixPrefix); ok {
		return "unix", path
	}
	return "tcp", m.Listen
}

const (
	unixPrefix  = "unix:"
	maxUnixPath = 107 // sun_path less its terminating zero byte
)

// metricsKeys are the keys of [metrics].
var metricsKeys = schema[Metrics]{
	{"listen", readListen},
}

func readListen(v value, m *Metrics) {
	const either = "write \"127.0.0.1:9693\" or \"unix:/run/vipd/metrics.sock\""
	var s string
	if !v.text(&s, "127.0.0.1:9693") {
		return
	}
	if file, ok := strings.CutPrefix(s, unixPrefix); ok {
		if !path.IsAbs(file) || len(file) > maxUnixPath || strings.ContainsRune(file, 0) {
			v.fail("%q is not a socket: write unix: and an absolute path of at most %d bytes", s, maxUnixPath)
			return
		}
		m.Listen = s
		return
	}
	host, port, err := net.SplitHostPort(s)
	switch a, notIP := netip.ParseAddr(host); {
	case s == "":
		m.Listen = ""
	case err != nil || !isPort(port):
		v.fail("%q is not a host and port: "+either, s)
	case host == "localhost" || notIP == nil && a.IsLoopback():
		m.Listen = s
	default:
		v.fail("%q can be reached from other hosts, and metrics ask for no password: "+either, s)
	}
}
