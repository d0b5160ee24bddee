package agent

import (
	"fmt"
	"strings"
	"time"

	"github.com/vipd/vipd/agent/control"
	"github.com/vipd/vipd/config"
	"github.com/vipd/vipd/vrrp"
)

// facts is what hooks are told beside what is in the history.
type facts struct {
	event     config.Happening // "": nothing that hooks run on
	addresses []string
	iface     string
	priority  uint8
}

// factsOf are those of a virtual router.
func factsOf(event config.Happening, i id, cfg config.VIP, iface string, priority uint8) facts {
	f := facts{event: event, iface: iface, priority: priority}
	for _, a := range ofFamily(cfg.Addresses, i.Family) {
		f.addresses = append(f.addresses, a.String())
	}
	return f
}

// happeningOf is a state as hooks call it.
func happeningOf(s vrrp.State) config.Happening {
	return config.Happening(strings.ToLower(s.String()))
}

// occasionOf returns what hooks are told of an event.
func occasionOf(e control.Event, f facts) occasion {
	about := e.Kind + " " + e.VIP + " " + e.Family
	if e.Kind == control.KindConflict {
		about += " " + e.Cause
	}
	var state, grade, vrid, priority string
	switch e.Kind {
	case control.KindTransition:
		state = e.To
	case control.KindHealth:
		grade = e.To
	}
	if e.VRID > 0 {
		vrid = fmt.Sprint(e.VRID)
	}
	if f.priority > 0 {
		priority = fmt.Sprint(f.priority)
	}
	var gap string
	if e.Gap > 0 {
		gap = time.Duration(e.Gap).String()
	}
	return occasion{event: f.event, about: about, vars: variables(
		"EVENT", string(f.event), "TIME", e.Time.Format(time.RFC3339Nano), "CAUSE", e.Cause, "CODE", e.Code,
		"VIP", e.VIP, "FAMILY", e.Family, "VRID", vrid, "ADDRESSES", strings.Join(f.addresses, " "), "INTERFACE", f.iface,
		"STATE", state, "FROM", e.From, "PRIORITY", priority, "PEER", e.Peer, "GAP", gap, "GRADE", grade,
	)}
}

// variables makes an environment of names and values. All are always set, for scripts
// that take an unset one for a mistake.
func variables(pairs ...string) []string {
	var vars []string
	for i := 0; i < len(pairs); i += 2 {
		vars = append(vars, "VIPD_"+pairs[i]+"="+printable(pairs[i+1]))
	}
	return vars
}
