package doctor

// Kind is a kind of finding. docs/doctor.md is made from these.
type Kind struct {
	ID       string
	Check    string // that looks for it
	Severity Severity
	Means    string
	How      string // it is found
	Remedy   string
}

// Kinds returns every kind of finding, by check.
func Kinds() []Kind {
	var all []Kind
	for _, part := range [][]Kind{hostKinds(), wireKinds(), routeKinds(), apiKinds(), systemKinds()} {
		all = append(all, part...)
	}
	return all
}

// found makes a finding of a kind.
func found(id, subject, evidence, remedy string) Finding {
	f := Finding{ID: id, Severity: Error, Subject: subject, Evidence: evidence, Remedy: remedy}
	for _, k := range Kinds() {
		if k.ID == id {
			f.Severity = k.Severity
		}
	}
	return f
}

func hostKinds() []Kind {
	return []Kind{
		{"config-unusable", "configuration", Error, "The agent would refuse the configuration, or it is not there.",
			"The file is read as the agent reads it.", "Mend what the line says; `vipd init` writes a new file."},
		{"agent-down", "agent", Error, "No agent answers: this server neither holds a VIP nor takes one over.",
			"The control socket is asked.", "`systemctl enable --now vipd`, then `journalctl -u vipd -n 50`."},
		{"agent-reports", "agent", Warning, "The agent itself has something to complain of.",
			"The problems in its status.", "As the line says; `vipd history` has since when, `journalctl -u vipd -n 50` more."},
		{"interface-missing", "interface", Error, "The VIP has no interface to go to: none of that name, none whose subnet holds it, or several.",
			"The interfaces and their addresses are compared with the configuration.", "Mend the address of the host, or name the interface with `interface` in vipd.toml."},
		{"interface-down", "interface", Error, "The interface cannot carry frames: it was set down, or has no carrier.",
			"Its flags.", "`ip link set dev IFACE up`; without a carrier look at cable, switch port or bond."},
		{"interface-no-address", "interface", Error, "The interface has no address of its own in the VIP's family, from which advertisements could be sent, or none in the VIP's subnet.",
			"Its addresses. IPv6 needs a link-local one.", "Give the interface an address in the subnet of the VIP."},
		{"mtu-too-small", "interface", Error, "Below an MTU of 1280 the kernel turns IPv6 off on the interface.",
			"The MTU of an interface with an IPv6 VIP.", "`ip link set dev IFACE mtu 1280`, or more; and in the network configuration."},
		{"ipv6-disabled", "interface", Error, "IPv6 is turned off on an interface with an IPv6 VIP.",
			"`net.ipv6.conf.IFACE.disable_ipv6`.", "`sysctl -w net.ipv6.conf.IFACE.disable_ipv6=0`; and in /etc/sysctl.d."},
		{"snooping-without-querier", "bridge", Warning, "A bridge of this host snoops multicast and asks nobody who listens. It, or switches behind it, may forget who wants ff02::12.",
			"`ip -details link` of the bridge that the interface is, or is a port of; IPv6 VIPs without `peers` alone, since 224.0.0.18 is always flooded.",
			"`ip link set dev BRIDGE type bridge mcast_querier 1`, or unicast `peers`."},
		{"firewall-drops", "firewall", Error, "A rule of this host drops VRRP, so that servers do not hear each other: several hold the VIP at once.",
			"`nft -j list ruleset` and, for rules that it does not have, `iptables-save` are followed for an advertisement that comes in, and for one that goes out. A rule that cannot be judged from its text is taken for one that accepts.",
			"Let IP protocol 112 through: `/usr/share/doc/vipd/examples` has rules for nftables, firewalld and ufw."},
		{"rp-filter-strict", "sysctl", Warning, "The kernel drops what clients send to the VIP if its answer would leave by another interface, as that to clients behind the default route does.",
			"`rp_filter` 1, and the default route leads elsewhere.", "`sysctl -w net.ipv4.conf.IFACE.rp_filter=2`; and in /etc/sysctl.d."},
		{"arp-ignore", "sysctl", Error, "The kernel does not answer ARP for the VIP.",
			"The higher of `arp_ignore` of all and of the interface is 2, which wants the asker in the subnet of an address that has none, or 8.", "`sysctl -w net.ipv4.conf.IFACE.arp_ignore=1 net.ipv4.conf.all.arp_ignore=1`; and in /etc/sysctl.d."},
		{"arp-filter", "sysctl", Warning, "The kernel answers ARP for the VIP only where its route to the asker leads, and another interface is in the same subnet.",
			"`arp_filter` 1, and two interfaces in the subnet.", "`sysctl -w net.ipv4.conf.IFACE.arp_filter=0 net.ipv4.conf.all.arp_filter=0`; and in /etc/sysctl.d."},
		{"arp-announce", "sysctl", Warning, "ARP questions of this host for its neighbours go out under another interface's address if one is in their subnet there.",
			"`arp_announce` 0, and two interfaces in the subnet.", "`sysctl -w net.ipv4.conf.IFACE.arp_announce=2`; and in /etc/sysctl.d."},
		{"networkd-drops-addresses", "network-manager", Info, "systemd-networkd takes addresses off that it did not put there when it starts or is told to reconfigure. vipd puts the VIP back at once.",
			"The link's state in /run/systemd/netif and `KeepConfiguration` of its .network file and drop-ins. netplan writes such files.", "A drop-in with `[Network]` and `KeepConfiguration=static`."},
		{"networkmanager-drops-addresses", "network-manager", Info, "NetworkManager takes addresses off that are not in its profile when the connection is activated anew. vipd puts the VIP back at once.",
			"The device's state in /run/NetworkManager.", "None needed; do not `nmcli connection up` on the Active without `vipd drain --wait`."},
	}
}

func wireKinds() []Kind {
	return []Kind{
		{"vip-elsewhere", "address", Error, "A station answers for the VIP that is not its Active: some clients reach the wrong one.",
			"ARP probes (sender 0.0.0.0) or solicitations of duplicate address detection. The Active is known by the MAC that it advertises from, or by what the agent hears.",
			"Take the address off that station, which the MAC names; or choose another VIP."},
		{"vrid-stranger", "wire", Error, "Routers of somebody else use the same VRID here. Each side takes the other for its own.",
			"Advertisements with our VRID for addresses none of which is ours, from none of `peers`.", "Another `vrid` in vipd.toml on all servers; `vipd init --output -` finds a free one."},
		{"vrid-differs", "wire", Error, "Our VIP is advertised with another VRID: two groups hold it.",
			"Advertisements with another VRID that name one of our addresses.", "One vipd.toml on all servers."},
		{"no-advertisement", "wire", Warning, "Nobody advertises the VIP, and this server does not either.",
			"Nothing was heard for four advert intervals, which is longer than any failover, and the agent is not Active.", "Start the agents (`systemctl enable --now vipd` on each server); if they run, look at the firewall and the switch."},
		{"peers-unheard", "wire", Info, "This server is Active and has never heard another. Backups are silent, so that is as it should be with a single server, or from the start on.",
			"The peers in the agent's status, and nothing heard meanwhile.", "To be sure run `vipd doctor` on another server: it has to hear this one."},
		{"peer-filtered", "wire", Error, "Advertisements come in on the interface and do not reach the agent: something on this host drops them.",
			"Heard in front of the firewall, and not in the agent's status.", "See firewall-drops; else SELinux or an eBPF program at the interface."},
		{"peer-version-2", "wire", Error, "A router with our VRID speaks VRRP version 2. vipd speaks version 3, and each refuses the other.",
			"The version of what was heard.", "keepalived: `vrrp_version 3` in global_defs."},
		{"peer-addresses-differ", "wire", Error, "A peer advertises other addresses with our VRID.",
			"The list of addresses of what was heard.", "One vipd.toml on all servers; keepalived: the same virtual_ipaddress block."},
		{"peer-interval-differs", "wire", Warning, "A peer advertises in another interval: how long a failover takes depends on who was Active.",
			"The interval of what was heard.", "The same `advert_interval` (keepalived: advert_int) everywhere."},
		{"peer-checksum-differs", "wire", Warning, "A peer computes the checksum over other parts of the packet. vipd accepts both; keepalived and FRR refuse the kind of RFC 9568.",
			"The checksum of what was heard, in IPv4.", "The same `checksum` in vipd.toml everywhere; beside keepalived or FRR `pseudo-header`."},
		{"peer-auth-differs", "wire", Error, "A peer signs and we do not expect it, or does not and has to, or signs with a key that is not ours.",
			"The trailer of what was heard is checked with the keys here.", "The same `[auth]` and keys on all servers; docs/security.md has the order of a roll-out."},
		{"peer-refused", "wire", Error, "What a peer sends is refused for another reason: a TTL that is not 255, a wrong checksum, a wrong destination, ...",
			"What was heard goes through the rules of acceptance of the agent.", "By the reason, as the line says. A TTL: unicast `peers` between networks. A destination: `peers` on all servers or on none. A checksum: look for NAT, then for faulty hardware."},
		{"clock-offset", "wire", Error, "The clock of a peer is too far from ours: with `anti_replay = \"time\"` the servers refuse each other.",
			"The time in the trailer of signed advertisements, against the window.", "Synchronise the clocks: `timedatectl set-ntp true` on both, and `timedatectl timesync-status` or `chronyc tracking` to see."},
	}
}

func apiKinds() []Kind {
	return []Kind{
		{"credentials-missing", "credentials", Error, "The files that the probe shows to the API server are not there.",
			"They are loaded as the probe loads them.", "Start K3s as a server here (`systemctl start k3s`), or mend `data_dir`, `ca_file`, `cert_file` in vipd.toml."},
		{"credentials-unreadable", "credentials", Error, "The files are there, and make no sense, or the agent may not read them: K3s's are root's alone, the agent is the user vipd with CAP_DAC_READ_SEARCH, and its unit hides /home, /root and /tmp from it.",
			"Likewise; and if the agent runs they are read as its process may, in its view of the file system.", "Damaged: `k3s certificate rotate` makes new ones. Hidden: move them to /etc/vipd. Forbidden: give the unit its CAP_DAC_READ_SEARCH back."},
		{"credentials-expired", "credentials", Error, "The client certificate has expired: the API server refuses the probe.",
			"Its notAfter.", "`systemctl stop k3s && k3s certificate rotate && systemctl start k3s`"},
		{"credentials-expiring", "credentials", Warning, "The client certificate expires within 30 days.",
			"Its notAfter.", "`systemctl restart k3s` renews what expires within 90 days (K3s since 1.31: 120)."},
		{"auth-key-unusable", "credentials", Error, "A key of [auth] cannot be used: missing, readable by others, not readable by the agent, too short or too long.",
			"Keys in files are read as the agent reads them; systemd's credentials cannot be.", "As the line says."},
		{"api-unreachable", "api", Error, "The API server does not answer.",
			"A request to `/readyz` as the probe makes it.", "`systemctl status k3s`, `journalctl -u k3s -n 50`; or mend `url` in vipd.toml."},
		{"api-untrusted", "api", Error, "The certificate of the API server is not signed by the authority that the probe trusts, has expired, or has not the name in `url`.",
			"The handshake of that request.", "Mend `data_dir` or `ca_file`; `k3s certificate rotate` if it has expired."},
		{"api-unauthorized", "api", Error, "401: the API server does not know the client certificate.",
			"The status of the answer.", "`data_dir` has to be that of this K3s; `systemctl restart k3s` makes its certificates anew."},
		{"api-forbidden", "api", Error, "403: the API server knows the client and does not let it read `/readyz`.",
			"The status of the answer.", "Let K3s restore its default roles (`systemctl restart k3s`): system:public-info-viewer and system:monitoring."},
		{"api-unready", "api", Error, "503 or 500: the API server runs and is not ready, mostly for want of its datastore.",
			"The status of the answer, and the checks in it that failed.", "`kubectl get --raw '/readyz?verbose'`; with embedded etcd look whether a majority of servers runs."},
		{"certificate-lacks-vip", "certificate", Error, "The API server's certificate does not name the VIP: clients refuse it.",
			"What the server presents.", "On each server add the VIP to `tls-san` in /etc/rancher/k3s/config.yaml, then `systemctl stop k3s && k3s certificate rotate && systemctl start k3s`"},
		{"certificate-expiring", "certificate", Warning, "The API server's certificate expires within 30 days, or has.",
			"Its notAfter.", "`systemctl restart k3s` renews it."},
		{"node-ip-is-vip", "node-address", Error, "K3s is told to use the VIP as the address of this node.",
			"`node-ip`, `node-external-ip`, `advertise-address` and `bind-address` in /etc/rancher/k3s/config.yaml and config.yaml.d, and in the unit's command line.",
			"Give `node-ip` the server's own address, and `systemctl restart k3s`"},
		{"node-took-vip", "node-address", Error, "This node is registered with the VIP as its address: the cluster sends there what is meant for this node.",
			"The node's addresses and flannel's annotation, from the API server.", "Set `node-ip` to the server's own address, and `systemctl restart k3s`"},
		{"flannel-took-vip", "node-address", Error, "Flannel sends from the VIP: pod traffic of this node breaks when the VIP moves.",
			"The local address of flannel's interface.", "Set `node-ip` (or `flannel-iface`) in /etc/rancher/k3s/config.yaml, and `systemctl restart k3s`"},
	}
}

func systemKinds() []Kind {
	return []Kind{
		{"clock-unsynchronised", "clock", Warning, "Nothing keeps the wall clock right. With `anti_replay = \"time\"` such a server does not claim.",
			"adjtimex(2).", "`timedatectl set-ntp true`"},
		{"unit-missing", "unit", Warning, "There is no vipd.service: nothing starts the agent at boot. systemd ends an agent whose unit is masked or removed while it runs, because it does not hear its watchdog messages any more. `systemctl mask --now vipd` stops it first.",
			"systemctl show.", "Install the package, or `systemctl unmask vipd && systemctl start vipd`."},
		{"unit-disabled", "unit", Warning, "vipd.service is not enabled: after a reboot this server takes no part.",
			"systemctl show.", "`systemctl enable --now vipd`"},
		{"unit-failed", "unit", Error, "vipd.service has failed.",
			"systemctl show: its result and exit status.", "`journalctl -u vipd -n 50`; with status 78 `vipd check`"},
		{"realtime-refused", "unit", Warning, "The kernel or a container refuses real-time scheduling: the agent does not start (214/SETSCHEDULER), or runs without.",
			"The unit's exit status, and the policy of its process.", "`cp /usr/share/vipd/no-realtime.conf /etc/systemd/system/vipd.service.d/ && systemctl daemon-reload && systemctl restart vipd`, or allow it: `sysctl -w kernel.sched_rt_runtime_us=950000`"},
		{"dropin-lowers-priority", "unit", Warning, "A drop-in takes from the agent what its unit gives it: a busy machine can cost the VIP its place. Without real-time scheduling others go first (CPUSchedulingPolicy), all the more with CPUQuota, CPUWeight below 100 or Nice above 0, which slow exec checks and hooks in any case; without WatchdogSec nothing ends an agent that hangs; a positive OOMScoreAdjust or a LimitMEMLOCK ends or stalls it where memory is short; without its capabilities it does not work.",
			"`systemctl show` of these settings, of AmbientCapabilities and of CapabilityBoundingSet, and the drop-ins that name them.", "Take the setting out of the drop-in that the line names, or remove it (CPUSchedulingPolicy: unless the machine refuses real-time scheduling), then `systemctl daemon-reload && systemctl restart vipd`"},
		{"handover-disabled", "unit", Warning, "vipd-handover.service is not enabled: systemctl stop k3s and reboots cost connections.",
			"systemctl show.", "`systemctl enable vipd-handover`"},
		{"unit-named-k3s", "unit", Error, "A unit with a name that begins with k3s runs vipd: K3s's own scripts stop and remove it.",
			"The command lines of the units k3s*.", "`systemctl disable --now UNIT`, remove its file, and `systemctl enable --now vipd`"},
		{"unit-strange-k3s", "unit", Info, "A unit has a name that begins with k3s and is none of K3s's: its uninstall and kill scripts stop and remove it.",
			"The names of the units k3s*.", "Rename it, if it has nothing to do with K3s."},
		{"timer-late", "timer", Warning, "Timers on this machine are late by more than half an advert interval: the VIP can move without a reason.",
			"The worst lateness of a second of timers of 1 ms, scheduled as the agent is, or as its unit has it if it does not run and that is permitted.", "A larger `advert_interval` on all servers, or a machine with less steal time."},
		{"version-differs", "version", Warning, "The agent that runs is not the program that is installed.",
			"The version in its status.", "`systemctl restart vipd`, which keeps the VIP where it is"},
		{"kernel-old", "version", Warning, "Before Linux 5.3 the end of K3s is seen by polls alone.",
			"uname(2).", "A newer kernel."},
	}
}
