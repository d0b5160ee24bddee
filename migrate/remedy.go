package migrate

import "strings"

// remedy is what to do about a directive that has no place in vipd.toml. A name that
// ends in "*" stands for all that begin so; no text says that nothing is lost.
type remedy struct{ names, todo string }

const (
	fifos     = "vipd writes to no FIFO: a [[hook]] runs a command, with what happened in its environment"
	balancing = "vipd does not balance load: keep keepalived for it, without vrrp_instance, or use kube-proxy or K3s's ServiceLB"
	mails     = "vipd sends no mail: watch the journal of the unit vipd"
	routes    = "vipd sets no addresses, routes or rules beside the VIP: have systemd-networkd, NetworkManager or netplan do it"
	announces = "vipd chooses itself when it announces: after a takeover at once and four times more in five seconds, then each 45 s"
	tracks    = "left out: vipd goes by its checks and by its own interface. What else decides, a [[check]] of type \"exec\" can ask"
)

var remediesAtTop = []remedy{
	{"virtual_server* real_server lvs_*", balancing},
	{"vrrp_sync_group", "addresses that have to move together go into one [[vip]], as far as they are of one family"},
	{"static_ipaddress static_routes static_rules virtual_*", routes},
	{"vrrp_track_process vrrp_track_file track_group static_track_group vrrp_track_bfd", tracks},
	{"bfd_instance", "vipd has no BFD: a shorter advert_interval finds a dead server sooner"},
	{"net_namespace*", "set NetworkNamespacePath= in a drop-in for vipd.service"},
	{"interface_up_down_delays linkbeat_* garp_group", ""},
}

var remediesGlobal = []remedy{
	{"notification_email* smtp_*", mails},
	{"vrrp_garp_* vrrp_gna_* vrrp_min_garp*", announces},
	{"lvs_*", balancing},
	{"vrrp_down_timer_adverts", "vipd replaces a silent Active after three intervals, as the RFC has it: set the same everywhere"},
	{"vrrp_notify_fifo* notify_fifo* fifo_*", fifos},
	{"vrrp_startup* startup_script* shutdown_script*", "left out: a drop-in for vipd.service can have ExecStartPre= and ExecStopPost="},
	{"net_namespace*", "set NetworkNamespacePath= in a drop-in for vipd.service"},
	{"vrrp_strict", "vipd has no strict mode: it takes from peers what the RFC allows"},
	{"snmp_* enable_snmp_* enable_traps", "vipd has no SNMP: use its status, its history or its metrics"},
	{"enable_dbus dbus_*", "vipd has no D-Bus interface: use its control socket"},
	{"router_id script_user enable_script_security vrrp_skip_check_adv_addr vrrp_priority vrrp_no_swap vrrp_rt_priority vrrp_rlimit_* vrrp_cpu_affinity " +
		"vrrp_rx_bufs_* vrrp_lower_prio_no_advert vrrp_higher_prio_send_advert vrrp_iptables vrrp_ipsets vrrp_netlink_* vrrp_owner_ignore_adverts " +
		"process_* *_process_name checker_* bfd_* max_auto_priority min_auto_priority_delay dynamic_interfaces " +
		"no_email_faults default_interface use_symlink_paths log_unknown_vrids instance use_pid_dir child_wait_time reload_* random_seed nftables* iptables ipsets", ""},
}

var remediesOfInstance = []remedy{
	{"state", ""}, // nobody needs it: the best one is Active
	{"garp_* gna_* higher_prio_send_advert lower_prio_no_advert", ""},
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
	{"accept skip_check_adv_addr debug dont_track_primary native_ipv6 linkbeat_* check_unicast_src unicast_ttl unicast_fault_no_peer kernel_rx_buf_size " +
		"promote_secondaries thread_timer_expired version_* nopreempt* rx_bufs no_virtual_ipaddress owner_ignore_adverts", ""},
}

// remediesOfNotify are those lines of an instance that no hook stands for.
var remediesOfNotify = []remedy{
	{"notify_master_rx_lower_pri", "left out: an Active that hears a lower one sets that right by itself, and its state does not change. A [[hook]] on \"conflict\" tells of an address that another station has"},
	{"notify_deleted", "left out: a VIP that a reload takes away is told of as \"initialize\""},
	{"notify_priority_changes", ""}, // of a FIFO
}

var remediesOfGroup = []remedy{
	{"notify*", "left out: vipd has no groups. A [[hook]] is run for each VIP, see VIPD_VIP in vipd.toml(5)"},
}

// remark says what to do about a directive, each thing once.
func (k *keepalived) remark(d *directive, remedies []remedy) {
	for _, r := range remedies {
		if !r.covers(d.name()) {
			continue
		}
		if r.todo != "" {
			k.notes.once(d.at, d.name(), r.todo)
		}
		return
	}
	k.notes.once(d.at, d.name(), "is nothing that vipd knows: look up what it does, and whether it is missed")
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
