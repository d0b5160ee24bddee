package migrate

import "strings"

// remedy is what to do about a directive that has no place in vipd.toml, or why there is
// nothing to do. A name that ends in "*" stands for all that begin so.
type remedy struct{ names, todo string }

const (
	fifos     = "vipd writes to no FIFO: a [[hook]] runs a command, with what happened in its environment"
	balancing = "vipd does not balance load: keep keepalived for it, without vrrp_instance, or use kube-proxy or K3s's ServiceLB"
	mails     = "vipd sends no mail: watch the journal of the unit vipd"
	routes    = "vipd sets no addresses, routes or rules beside the VIP: have systemd-networkd, NetworkManager or netplan do it"
	announces = "vipd chooses itself when it announces: after a takeover at once and four times more in five seconds, then each 45 s"
	tracks    = "left out: vipd goes by its checks and by its own interface. What else decides, a [[check]] of type \"exec\" can ask"
	unknown   = "is nothing that vipd knows: look up what it does, and whether it is missed"

	byItself  = "vipd does that by itself: "
	linkState = byItself + "it goes by what the kernel says of the interface"
	buffers   = byItself + "it sets the size of its buffers"
	answers   = byItself + "it answers lower advertisements, and advertises once before it yields to a higher one"
	lists     = byItself + "it accepts an advertisement whatever addresses are in it, and says so if they are others"
	processes = "it is for keepalived's own processes and files. How vipd runs is in vipd.service, and a drop-in changes it"
	firewalls = "vipd sets no rules of the firewall"
	owners    = "vipd knows no owner of the address (priority 255): priorities are from 100 to 254"
)

var remediesAtTop = []remedy{
	{"virtual_server* real_server lvs_*", balancing},
	{"vrrp_sync_group", "addresses that have to move together go into one [[vip]], as far as they are of one family"},
	{"static_ipaddress static_routes static_rules virtual_*", routes},
	{"vrrp_track_process vrrp_track_file track_group static_track_group vrrp_track_bfd", tracks},
	{"bfd_instance", "vipd has BFD for the routers of [bgp] alone, not among the servers: a shorter advert_interval finds a dead one sooner"},
	{"net_namespace*", "set NetworkNamespacePath= in a drop-in for vipd.service"},
	{"interface_up_down_delays linkbeat_*", linkState},
	{"garp_group", announces},
}

var remediesGlobal = []remedy{
	{"notification_email* smtp_* no_email_faults", mails},
	{"vrrp_garp_* vrrp_gna_* vrrp_min_garp*", announces},
	{"lvs_*", balancing},
	{"vrrp_down_timer_adverts", "vipd replaces a silent Active after three intervals, as the RFC has it: set the same everywhere"},
	{"vrrp_notify_fifo* notify_fifo* fifo_*", fifos},
	{"vrrp_startup* startup_script* shutdown_script*", "left out: a drop-in for vipd.service can have ExecStartPre= and ExecStopPost="},
	{"net_namespace*", "set NetworkNamespacePath= in a drop-in for vipd.service"},
	{"vrrp_strict", "vipd has no strict mode: it takes from peers what the RFC allows"},
	{"snmp_* enable_snmp_* enable_traps", "vipd has no SNMP: use its status, its history or its metrics"},
	{"enable_dbus dbus_*", "vipd has no D-Bus interface: use its control socket"},
	{"router_id", "vipd calls a server by its host name"},
	{"script_user enable_script_security", "checks and hooks of vipd run as the user vipd, without capabilities"},
	{"vrrp_skip_check_adv_addr", lists},
	{"vrrp_rx_bufs_* vrrp_netlink_*", buffers},
	{"vrrp_lower_prio_no_advert vrrp_higher_prio_send_advert", answers},
	{"vrrp_iptables vrrp_ipsets nftables* iptables ipsets", firewalls},
	{"vrrp_owner_ignore_adverts", owners},
	{"dynamic_interfaces", byItself + "it waits for an interface that is not there"},
	{"default_interface", routes},
	{"log_unknown_vrids", byItself + "its log and status name a VRID that somebody else uses"},
	{"vrrp_priority vrrp_no_swap vrrp_rt_priority vrrp_rlimit_* vrrp_cpu_affinity process_* *_process_name checker_* bfd_* max_auto_priority " +
		"min_auto_priority_delay use_symlink_paths instance use_pid_dir child_wait_time reload_* random_seed", processes},
}

var remediesOfInstance = []remedy{
	{"state", byItself + "the best of the servers is Active, whatever they were at first"},
	{"garp_* gna_*", announces},
	{"higher_prio_send_advert lower_prio_no_advert", answers},
	{"mcast_src_ip", "vipd advertises from its interface's own address"},
	{"smtp_alert*", mails},
	{"virtual_routes virtual_rules", routes},
	{"track_interface", "vipd looks at the interface of the VIP itself; others it does not know. If it has to, ask for them with a [[check]] of type \"exec\""},
	{"track_*", tracks},
	{"no_accept", "vipd always accepts what is sent to the VIP: use the firewall"},
	{"strict_mode", "vipd has no strict mode: it takes from peers what the RFC allows"},
	{"use_vmac_* vmac_* use_ipvlan", "left out: with virtual_mac vipd makes a macvlan as the RFC has it, and advertises from its own address"},
	{"down_timer_adverts", "vipd replaces a silent Active after three intervals, as the RFC has it: set the same everywhere"},
	{"old_unicast_checksum", "keepalived before 1.4 with unicast and vipd do not understand each other: upgrade it first"},
	{"lvs_sync_daemon_interface", balancing},
	{"accept", byItself + "it accepts what is sent to the VIP"},
	{"skip_check_adv_addr", lists},
	{"debug", "\"vipd run --debug\" logs more, and \"vipd watch\" shows every advertisement"},
	{"dont_track_primary", "vipd always goes by the interface of the VIP: without it the server is in Initialize"},
	{"native_ipv6", byItself + "it speaks version 3 in both families"},
	{"linkbeat_*", linkState},
	{"check_unicast_src", byItself + "with peers it listens to those alone"},
	{"unicast_ttl", "vipd sends with a TTL of 255, and takes any from its peers"},
	{"unicast_fault_no_peer", "vipd advertises by multicast where it has no peers"},
	{"kernel_rx_buf_size rx_bufs", buffers},
	{"promote_secondaries", byItself + "each address is put for itself (/32, /128), and none goes with another"},
	{"no_virtual_ipaddress", "vipd has no virtual router without an address"},
	{"owner_ignore_adverts", owners},
	{"thread_timer_expired", processes},
}

// remediesOfNotify are those lines of an instance that no hook stands for.
var remediesOfNotify = []remedy{
	{"notify_master_rx_lower_pri", "left out: an Active that hears a lower one sets that right by itself, and its state does not change. A [[hook]] on \"conflict\" tells of an address that another station has"},
	{"notify_deleted", "left out: a VIP that a reload takes away is told of as \"initialize\""},
	{"notify_priority_changes", fifos},
}

var remediesOfGroup = []remedy{
	{"notify*", "left out: vipd has no groups. A [[hook]] is run for each VIP, see VIPD_VIP in vipd.toml(5)"},
}

// remark says what to do about a directive, each thing once.
func (k *keepalived) remark(d *directive, remedies []remedy) {
	k.notes.remedy(d.at, d.name(), remedies)
}

// remedy says what to do about something of this name, beside all else that the same is to
// be done about.
func (n *notes) remedy(at place, name string, remedies []remedy) {
	for _, r := range remedies {
		if r.covers(name) {
			n.gather(at, shown(name), r.todo)
			return
		}
	}
	n.once(at, shown(name), unknown)
}

func (r remedy) covers(name string) bool {
	for pattern := range strings.FieldsSeq(r.names) {
		stem, open := strings.CutSuffix(pattern, "*")
		tail, openLeft := strings.CutPrefix(pattern, "*")
		if name == pattern || open && strings.HasPrefix(name, stem) || openLeft && strings.HasSuffix(name, tail) {
			return true
		}
	}
	return false
}

// shown returns a word of the file if it can be the name of something. Any other may be
// what nobody should see on a terminal: a password that lost its place, or a line of a
// file that was given by mistake.
func shown(name string) string {
	const longest = 40
	if name == "" || len(name) > longest || len(name) != wordLength(name) {
		return "a word"
	}
	return name
}
