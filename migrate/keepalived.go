package migrate

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/vipd/vipd/config"
	"github.com/vipd/vipd/vrrp"
)

// FromKeepalived translates a keepalived.conf, for the host of this name: a line
// that begins with "@NAME" holds on the host NAME alone.
func FromKeepalived(path, host string) (*Plan, error) { return fromKeepalived(disk{}, path, host) }

func fromKeepalived(from source, path, host string) (*Plan, error) {
	short, _, _ := strings.Cut(host, ".")
	k := &keepalived{plan: new(Plan), notes: new(notes), host: short}
	blocks, err := newParser(from, k.notes).parse(path)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(blocks, isInstance) {
		// Nothing of it is repeated: it may be any file, such as one of passwords.
		return nil, fmt.Errorf("%s has no vrrp_instance, nor have files that it includes: give the keepalived.conf that keeps the address", path)
	}
	for _, d := range blocks {
		k.top(d)
	}
	for _, d := range k.instances {
		k.instance(d)
	}
	if len(k.plan.VIPs) == 0 {
		return nil, errors.Join(fmt.Errorf("%s has no vrrp_instance that could be translated", path), k.notes.err())
	}
	k.checks()
	k.hooks()
	k.plan.Notes = k.notes.inOrder(path)
	return k.plan, nil
}

func isInstance(d *directive) bool { return d.name() == "vrrp_instance" }

// keepalived is a keepalived.conf on its way to a plan.
type keepalived struct {
	plan  *Plan
	notes *notes
	host  string

	version   string // global vrrp_version
	rfcSum    bool   // global v3_checksum_as_v2
	instances []*directive
	scripts   []*directive
	tracked   []string // names of scripts, in the order in which instances name them
	notify    []notified
}

// holds reports whether a line holds on this host.
func (k *keepalived) holds(d *directive) bool {
	if other, not := strings.CutPrefix(d.host, "^"); not {
		return other != k.host
	}
	return d.host == "" || d.host == k.host
}

// top reads a block of the file's top level.
func (k *keepalived) top(d *directive) {
	if !k.holds(d) {
		k.notes.add(d.at, shown(d.name()), "left out: it is for the host %s", d.host)
		return
	}
	switch d.name() {
	case "global_defs":
		for _, g := range d.block {
			k.global(g)
		}
	case "vrrp_instance":
		k.instances = append(k.instances, d)
	case "vrrp_script":
		k.scripts = append(k.scripts, d)
	case "vrrp_sync_group":
		k.remark(d, remediesAtTop)
		for _, line := range d.block {
			if strings.HasPrefix(line.name(), "notify") {
				k.remark(line, remediesOfGroup)
			}
		}
	default:
		k.remark(d, remediesAtTop)
	}
}

func (k *keepalived) global(d *directive) {
	switch d.name() {
	case "vrrp_version":
		k.version = d.arg(0)
	case "v3_checksum_as_v2":
		k.rfcSum = isTrue(d)
	case "vrrp_mcast_group4", "vrrp_mcast_group6":
		a, err := netip.ParseAddr(d.arg(0))
		if err == nil && a != vrrp.FamilyOf(a).Group() {
			k.notes.add(d.at, d.name(), "vipd advertises to %s alone: change it back on all servers first, or use peers", vrrp.FamilyOf(a).Group())
		}
	default:
		k.remark(d, remediesGlobal)
	}
}

// isTrue reads a switch: on unless it says otherwise.
func isTrue(d *directive) bool {
	return !slices.Contains([]string{"off", "false", "no"}, strings.ToLower(d.arg(0)))
}

// instance translates a vrrp_instance.
func (k *keepalived) instance(d *directive) {
	r := &instance{k: k, d: d, vip: newVIP(), version: k.version, priorities: priorities{own: 100}} // keepalived's default
	r.vip.Name = d.arg(0)
	r.vip.Why["name"] = fmt.Sprintf("vrrp_instance %s of %s", d.arg(0), d.at.file)
	r.vip.AdvertInterval = time.Second // likewise
	r.vip.Why["advert_interval"] = "as keepalived's; 250ms is vipd's default, for when it runs on all servers"
	if k.rfcSum {
		r.vip.Checksum = config.RFC9568
	}
	for _, line := range d.block {
		if line.name() == "interface" && k.holds(line) {
			r.iface(line) // first: what is said of the addresses depends on it
		}
	}
	for _, line := range d.block {
		r.line(line)
	}
	r.finish()
}
