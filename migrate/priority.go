package migrate

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/vipd/vipd/vrrp"
)

// priorities are those of an instance, as keepalived has them: from 1 to 255. vipd's
// are from 100 to 254: below rank the servers that are not ready, and 255 is for an
// owner of the address, which it does not know.
type priorities struct {
	own    uint8 // of this host, or of all that have no line of their own
	byHost map[string]uint8
	lines  []*directive // where they stand, for what is to be said of them
}

// set reads a line for this host.
func (p *priorities) set(r *instance, d *directive) {
	if r.number(d, 1, vrrp.PriorityOwner, &p.own) {
		p.lines = append(p.lines, d)
	}
}

// setHost reads a line that holds on one host.
func (p *priorities) setHost(r *instance, d *directive) {
	host := strings.ToLower(d.host)
	if host == "" || len(host) > 63 || strings.ContainsFunc(host, func(c rune) bool { return c != '-' && c != '_' && (c >= 0x80 || !isLetterOrDigit(c)) }) {
		r.note(d, "%q is not a host name: left out", d.host)
		return
	}
	var v uint8
	if !r.number(d, 1, vrrp.PriorityOwner, &v) {
		return
	}
	if p.byHost == nil {
		p.byHost = make(map[string]uint8)
	}
	p.byHost[host] = v
	p.lines = append(p.lines, d)
}

// translate puts vipd's priorities into the VIP. Those that have to change keep their
// order, as far as the file knows the others.
func (p *priorities) translate(r *instance) {
	all := append(slices.Collect(maps.Values(p.byHost)), p.own)
	became := fit(all)
	r.vip.Priority = became[p.own]
	for host, v := range p.byHost {
		if r.vip.PriorityByHost == nil {
			r.vip.PriorityByHost = make(map[string]uint8)
		}
		r.vip.PriorityByHost[host] = became[v]
	}
	for _, d := range p.lines {
		p.remark(r, d, became)
	}
	if len(p.byHost) == 0 && (len(p.lines) == 0 || became[p.own] != p.own) {
		p.share(r)
	}
}

// share says that the other servers may have the same priority, for all that a file
// tells which is for one of them.
func (p *priorities) share(r *instance) {
	r.vip.PriorityShared = true
	r.vip.Why["priority"] = fmt.Sprintf("keepalived's is %d", p.own)
	r.vip.Why["priority_by_host"] = "an empty list says that other servers may have this priority too, so that they do not rise all at once"
}

// remark says what became of a line, and what to do about it.
func (p *priorities) remark(r *instance, d *directive, became map[uint8]uint8) {
	var v uint8
	if !r.number(d, 1, vrrp.PriorityOwner, &v) || became[v] == v {
		return
	}
	switch {
	case len(p.byHost) > 0:
		r.note(d, "%d became %d: vipd's are from 100 to 254, and the order of the lines is kept. Give every keepalived that is to run beside vipd the same", v, became[v])
	case v < vrrp.MinPriority:
		r.note(d, "%d became %d, vipd's lowest, and the order among such servers is lost: below, servers rank that are not ready. On every keepalived add so much that all have 100 to 254, and run this again", v, became[v])
	default:
		r.note(d, "%d is for the owner of the address, which vipd does not know: it became %d", v, became[v])
	}
}

// fit returns what becomes of each priority: itself where it can, else the nearest that
// keeps the order, and keeps those apart that were, if there is room for so many.
func fit(all []uint8) map[uint8]uint8 {
	old := slices.Compact(slices.SortedFunc(slices.Values(all), cmp.Compare))
	fitted := make([]int, len(old))
	least := int(vrrp.MinPriority)
	for i, v := range old {
		fitted[i] = max(int(v), least)
		least = fitted[i] + 1
	}
	most := int(vrrp.MaxPriority)
	for i := len(old) - 1; i >= 0; i-- {
		fitted[i] = max(min(fitted[i], most), int(vrrp.MinPriority))
		most = fitted[i] - 1
	}
	became := make(map[uint8]uint8)
	for i, v := range old {
		became[v] = uint8(fitted[i])
	}
	return became
}
