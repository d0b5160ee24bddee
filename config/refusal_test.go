package config

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// minimal is the shortest file that is accepted. It has three lines.
const minimal = "[[vip]]\nvrid = 51\naddresses = [\"192.0.2.100\"]\n"

// refusals are files that are refused, and the whole of what is said of them.
var refusals = []struct{ name, in, want string }{
	{"empty file", "",
		`vipd.toml:1: vip: missing: describe the virtual IP under [[vip]], or let "vipd init" write the file`},
	{"no table in the list", "vip = []",
		`vipd.toml:1: vip: is empty: write [[vip]] and its keys, or leave it out`},
	{"syntax", `[[vip]]
vrid = 51
addresses = [192.0.2.100]`,
		`vipd.toml:3: not valid TOML: Invalid float value: "192.0.2.100": put text, addresses and durations in straight quotes`},
	{"secret without quotes", minimal + "[auth]\nkeys = [{ id = 1, key = topsecret }]",
		`vipd.toml:5: not valid TOML: expected value but found "..." instead: put text, addresses and durations in straight quotes`},
	{"end of file in a list", `[[vip]]
vrid = 51
addresses = ["192.0.2.100"`,
		`vipd.toml:3: not valid TOML: expected a comma (',') or array terminator (']'), but got end of file`},
	{"not UTF-8", "[[vip]]\n# caf\xe9\n",
		`vipd.toml:2: not UTF-8: save the file as UTF-8`},
	{"control character", minimal + "name = \"\\\x1b\"",
		`vipd.toml:4: not valid TOML: TOML files cannot contain control characters: '0x1b'`},
	{"key and table", minimal + "priority_by_host.a = 250\npriority_by_host = 240",
		`vipd.toml:5: priority_by_host: defined twice: remove one`},
	{"key twice", minimal + "vrid = 52",
		`vipd.toml:4: not valid TOML: Key 'vip.vrid' has already been defined`},
	{"one bracket", `[vip]
vrid = 51`,
		`vipd.toml:1: vip: is a table: write [[vip]] with double brackets, once for each`},
	{"vip not tables", `vip = ["a"]`,
		`vipd.toml:1: vip: is a string: write a table under [[vip]]`},
	{"two brackets", minimal + "[[auth]]",
		`vipd.toml:4: auth: is a list: write [auth] in single brackets, once`},
	{"misspelt", minimal + `adress = ["192.0.2.100"]`,
		`vipd.toml:4: vip.adress: unknown key: did you mean "addresses"?`},
	{"upper case", minimal + "Priority = 120",
		`vipd.toml:4: vip.Priority: unknown key: did you mean "priority"?`},
	{"hyphen", minimal + `advert-interval = "1s"`,
		`vipd.toml:4: vip.advert-interval: unknown key: did you mean "advert_interval"?`},
	{"prefix", minimal + `advert = "1s"`,
		`vipd.toml:4: vip.advert: unknown key: did you mean "advert_interval"?`},
	{"from another table", minimal + `url = "https://127.0.0.1:6443"`,
		`vipd.toml:4: vip.url: unknown key: only [[check]] takes it`},
	{"misspelt from another table", minimal + `data-dir = "/x"`,
		`vipd.toml:4: vip.data-dir: unknown key: did you mean "data_dir" in [[check]]?`},
	{"key of two other tables", minimal + `file = "/x"`,
		`vipd.toml:4: vip.file: unknown key: did you mean "ca_file" in [[check]]?`},
	{"nothing like it", minimal + `colour = "red"`,
		`vipd.toml:4: vip.colour: unknown key: known here are mode, name, addresses, interface, vrid, priority, priority_by_host, advert_interval, preempt, preempt_delay, when_down, peers, virtual_mac, checksum, spread`},
	{"table", minimal + `[ospf]
area = 0`,
		`vipd.toml:4: ospf: unknown key: known here are check, vip, auth, bgp, metrics, hook`},
	{"array of tables", minimal + `[[leaf]]
command = ["/bin/true"]`,
		`vipd.toml:4: leaf: unknown key: known here are check, vip, auth, bgp, metrics, hook`},
	{"top level", `vrid = 51
[[vip]]
vrid = 51
addresses = ["192.0.2.100"]`,
		`vipd.toml:1: vrid: unknown key: only [[vip]] takes it`},
	{"odd name", minimal + `"a\nb" = 1`,
		`vipd.toml:4: vip."a\nb": unknown key: known here are mode, name, addresses, interface, vrid, priority, priority_by_host, advert_interval, preempt, preempt_delay, when_down, peers, virtual_mac, checksum, spread`},
	{"in auth", minimal + `[auth]
keys = [{ id = 1, path = "/k" }]`,
		`vipd.toml:5: auth.keys.path: unknown key: known here are id, file, credential
vipd.toml:5: auth.keys.file: missing: name the file that holds the key, or a systemd credential`},
	{"nothing in vip", `
[[vip]]`,
		`vipd.toml:2: vip.addresses: missing: list at least one, such as ["192.0.2.100"]
vipd.toml:2: vip.vrid: missing: choose 1 to 255, unique on this network segment`},
	{"vrid 0", `[[vip]]
vrid = 0
addresses = ["192.0.2.100"]`,
		`vipd.toml:2: vip.vrid: 0 is out of range: choose 1 to 255, unique on this network segment`},
	{"vrid 256", `[[vip]]
vrid = 256
addresses = ["192.0.2.100"]`,
		`vipd.toml:2: vip.vrid: 256 is out of range: choose 1 to 255, unique on this network segment`},
	{"vrid string", `[[vip]]
vrid = "51"
addresses = ["192.0.2.100"]`,
		`vipd.toml:2: vip.vrid: is a string: write a number from 1 to 255 without quotes, unique on this network segment`},
	{"priority 255", minimal + "priority = 255",
		`vipd.toml:4: vip.priority: 255 is out of range: choose 100 to 254`},
	{"priority fraction", minimal + "priority = 1.5",
		`vipd.toml:4: vip.priority: is a fraction: write a number from 100 to 254 without quotes`},
	{"name", minimal + `name = "k3s api"`,
		`vipd.toml:4: vip.name: "k3s api" is not a name: use 1 to 32 letters, digits, dots, underscores and hyphens`},
	{"name number", minimal + "name = 1",
		`vipd.toml:4: vip.name: is a whole number: write a string in quotes, such as "k3s"`},
	{"interface", minimal + `interface = "eth0/1"`,
		`vipd.toml:4: vip.interface: "eth0/1" is not an interface name: write one that "ip link" shows, or remove the line to have it found`},
	{"loopback interface", minimal + `interface = "lo"`,
		`vipd.toml:4: vip.interface: "lo" reaches no other node: name the interface towards them, or remove the line to have it found`},
	{"interval bare", minimal + "advert_interval = 250",
		`vipd.toml:4: vip.advert_interval: 250 has no unit: write "250ms"`},
	{"interval fraction", minimal + "advert_interval = 0.5",
		`vipd.toml:4: vip.advert_interval: 0.5 has no unit: write "0.5s"`},
	{"interval quoted bare", minimal + `advert_interval = "250"`,
		`vipd.toml:4: vip.advert_interval: 250 has no unit: write "250ms"`},
	{"interval bare impossible", minimal + "advert_interval = 100000",
		`vipd.toml:4: vip.advert_interval: 100000 has no unit: write a string such as "250ms"`},
	{"interval word", minimal + `advert_interval = "fast"`,
		`vipd.toml:4: vip.advert_interval: "fast" is not a duration: write a number and a unit (ms, s, m), such as "250ms"`},
	{"interval low", minimal + `advert_interval = "5ms"`,
		`vipd.toml:4: vip.advert_interval: 5ms is out of range: choose 10ms to 40.95s`},
	{"interval high", minimal + `advert_interval = "41s"`,
		`vipd.toml:4: vip.advert_interval: 41s is out of range: choose 10ms to 40.95s`},
	{"interval step", minimal + `advert_interval = "255ms"`,
		`vipd.toml:4: vip.advert_interval: 255ms is not a multiple of 10ms, the unit on the wire: write "250ms" or "260ms"`},
	{"interval list", minimal + `advert_interval = ["1s"]`,
		`vipd.toml:4: vip.advert_interval: is a list: write a string such as "250ms"`},
	{"preempt", minimal + `preempt = "yes"`,
		`vipd.toml:4: vip.preempt: is a string: write true or false, without quotes`},
	{"preempt_delay", minimal + `preempt_delay = "2h"`,
		`vipd.toml:4: vip.preempt_delay: 2h is out of range: choose 0s to 1h`},
	{"preempt_delay alone", minimal + `preempt = false
preempt_delay = "30s"`,
		`vipd.toml:5: vip.preempt_delay: has no effect with preempt = false: remove one of the two`},
	{"when_down", minimal + `when_down = "keep"`,
		`vipd.toml:4: vip.when_down: "keep" is not known: choose "last-resort" or "release"`},
	{"when_down flag", minimal + "when_down = true",
		`vipd.toml:4: vip.when_down: is true: choose "last-resort" or "release"`},
	{"checksum", minimal + `checksum = "RFC9568"`,
		`vipd.toml:4: vip.checksum: "RFC9568" is not known: choose "pseudo-header" or "rfc9568"`},
	{"virtual_mac", minimal + "virtual_mac = 1",
		`vipd.toml:4: vip.virtual_mac: is a whole number: write true or false, without quotes`},
	{"no list", `[[vip]]
vrid = 51
addresses = "192.0.2.100"`,
		`vipd.toml:3: vip.addresses: is a string: write a list, such as ["192.0.2.100"]`},
	{"empty list", `[[vip]]
vrid = 51
addresses = []`,
		`vipd.toml:3: vip.addresses: is empty: list at least one address, such as ["192.0.2.100"]`},
	{"number", `[[vip]]
vrid = 51
addresses = [1]`,
		`vipd.toml:3: vip.addresses: is a whole number: write a string in quotes, such as "192.0.2.100"`},
	{"prefix length", `[[vip]]
vrid = 51
addresses = ["192.0.2.100/24"]`,
		`vipd.toml:3: vip.addresses: 192.0.2.100/24 has a prefix length: write "192.0.2.100" without /24`},
	{"prefix length v6", `[[vip]]
vrid = 51
addresses = ["2001:db8::100/64"]`,
		`vipd.toml:3: vip.addresses: 2001:db8::100/64 has a prefix length: write "2001:db8::100" without /64`},
	{"name for an address", `[[vip]]
vrid = 51
addresses = ["api.example.com"]`,
		`vipd.toml:3: vip.addresses: "api.example.com" is not an IP address: write one such as "192.0.2.100"`},
	{"leading zero", `[[vip]]
vrid = 51
addresses = ["192.0.2.010"]`,
		`vipd.toml:3: vip.addresses: "192.0.2.010" is not an IP address: write one such as "192.0.2.100"`},
	{"loopback", `[[vip]]
vrid = 51
addresses = ["127.0.0.1"]`,
		`vipd.toml:3: vip.addresses: 127.0.0.1 is a loopback address, which cannot be a virtual IP: write a free address of the nodes' subnet`},
	{"multicast", `[[vip]]
vrid = 51
addresses = ["ff02::12"]`,
		`vipd.toml:3: vip.addresses: ff02::12 is a multicast address, which cannot be a virtual IP: write a free address of the nodes' subnet`},
	{"unspecified", `[[vip]]
vrid = 51
addresses = ["::"]`,
		`vipd.toml:3: vip.addresses: :: is the unspecified address, which cannot be a virtual IP: write a free address of the nodes' subnet`},
	{"link-local", `[[vip]]
vrid = 51
addresses = ["169.254.1.1"]`,
		`vipd.toml:3: vip.addresses: 169.254.1.1 is a link-local address, which cannot be a virtual IP: write a free address of the nodes' subnet`},
	{"broadcast", `[[vip]]
vrid = 51
addresses = ["255.255.255.255"]`,
		`vipd.toml:3: vip.addresses: 255.255.255.255 is a reserved address, which cannot be a virtual IP: write a free address of the nodes' subnet`},
	{"mapped", `[[vip]]
vrid = 51
addresses = ["::ffff:192.0.2.100"]`,
		`vipd.toml:3: vip.addresses: ::ffff:192.0.2.100 is an IPv4 address written as IPv6: write "192.0.2.100"`},
	{"zone", `[[vip]]
vrid = 51
addresses = ["fe80::1%eth0"]`,
		`vipd.toml:3: vip.addresses: "fe80::1%eth0" names a zone: write "fe80::1" and set interface`},
	{"second line", "[[vip]]\nvrid = 51\naddresses = [\n\t\"192.0.2.100\", # first\n\t\"192.0.2.100\",\n]",
		`vipd.toml:5: vip.addresses: 192.0.2.100 is listed twice: remove one`},
	{"singular", minimal + `address = "192.0.2.100"`,
		`vipd.toml:4: vip.address: unknown key: did you mean "addresses"?`},
	{"part of a name", minimal + `interval = "1s"`,
		`vipd.toml:4: vip.interval: unknown key: did you mean "advert_interval"?`},
	{"transposed", minimal + "[check]",
		`vipd.toml:4: check: is a table: write [[check]] with double brackets, once for each`},
	{"several names", minimal + `[[vip]]
vrid = 52
addresses = ["192.0.2.101"]
name = "b"`,
		`vipd.toml:1: vip.name: missing: give each of several [[vip]] a name (a single one is called "k3s")`},
	{"same name", minimal + `name = "a"
[[vip]]
vrid = 52
addresses = ["192.0.2.101"]
name = "a"`,
		`vipd.toml:8: vip.name: "a" is the name of the [[vip]] on line 1 too: choose another`},
	{"same address", minimal + `name = "a"
[[vip]]
vrid = 52
addresses = ["192.0.2.100"]
name = "b"`,
		`vipd.toml:7: vip.addresses: 192.0.2.100 is listed twice: remove one`},
	{"same router", minimal + `name = "a"
interface = "eth0"
[[vip]]
vrid = 51
addresses = ["192.0.2.101"]
name = "b"
interface = "eth0"`,
		`vipd.toml:7: vip.vrid: 51 is used for IPv4 on eth0 by "a" too: choose another for one of them`},
	{"perhaps the same router", minimal + `name = "a"
[[vip]]
vrid = 51
addresses = ["2001:db8::1", "192.0.2.101"]
name = "b"`,
		`vipd.toml:6: vip.vrid: 51 is used for IPv4 by "a" too, perhaps on the same interface, which is found only later: choose another, or name the interface of both`},
	{"peer", minimal + `peers = ["k3s2"]`,
		`vipd.toml:4: vip.peers: "k3s2" is not an IP address: write one such as "192.0.2.11"`},
	{"peer is a VIP", minimal + `peers = ["192.0.2.11", "192.0.2.100"]`,
		`vipd.toml:4: vip.peers: 192.0.2.100 is an address of "k3s": write the nodes' own addresses`},
	{"peer multicast", minimal + `peers = ["224.0.0.18"]`,
		`vipd.toml:4: vip.peers: 224.0.0.18 is a multicast address, not a node: write the address of each node, or remove peers to use multicast`},
	{"peer family", minimal + `peers = ["2001:db8::11"]`,
		`vipd.toml:4: vip.peers: 2001:db8::11 is IPv6, but no IPv6 address is in addresses: remove it, or add one`},
	{"peer twice", minimal + `peers = ["192.0.2.11", "192.0.2.11"]`,
		`vipd.toml:4: vip.peers: 192.0.2.11 is listed twice: remove one`},
	{"host range", minimal + "priority_by_host = { k3s1 = 250, k3s2 = 99 }",
		`vipd.toml:4: vip.priority_by_host.k3s2: 99 is out of range: choose 100 to 254`},
	{"host dots", minimal + "priority_by_host = { k3s1.example.com = 250 }",
		`vipd.toml:4: vip.priority_by_host.k3s1: a name with dots needs quotes: write "k3s1.example.com" = 250`},
	{"host name", minimal + `priority_by_host = { "k3s 1" = 250 }`,
		`vipd.toml:4: vip.priority_by_host."k3s 1": "k3s 1" is not a host name: write what "hostname" prints there`},
	{"host twice", minimal + `[vip.priority_by_host]
k3s1 = 250
"K3S1.example.com" = 240`,
		`vipd.toml:5: vip.priority_by_host.k3s1: names the same host as "K3S1.example.com": keep one of the two`},
	{"host list", minimal + "priority_by_host = [250, 240]",
		`vipd.toml:4: vip.priority_by_host: is a list: write a table, such as { k3s1 = 250, k3s2 = 240 }`},
	{"host ambiguous", minimal + `priority_by_host = { "node1.a.example" = 250, "node1.b.example" = 240 }`,
		`vipd.toml:4: vip.priority_by_host: this host calls itself "node1", which may be "node1.a.example" or "node1.b.example": write the short name`},
	{"no type", minimal + `[[check]]
interval = "1s"`,
		`vipd.toml:4: check.type: missing: choose "k3s", "https", "tcp", "exec", "systemd" or "none"`},
	{"type", minimal + `[[check]]
type = "http"`,
		`vipd.toml:5: check.type: "http" is not known: choose "k3s", "https", "tcp", "exec", "systemd" or "none"`},
	{"type number", minimal + `[[check]]
type = 1`,
		`vipd.toml:5: check.type: is a whole number: choose "k3s", "https", "tcp", "exec", "systemd" or "none"`},
	{"foreign key", minimal + `[[check]]
type = "tcp"
address = "127.0.0.1:6443"
fall = 3
url = "https://127.0.0.1:6443"`,
		`vipd.toml:8: check.url: does not belong to type "tcp", which takes address, interval, timeout, fall, rise: remove it`},
	{"key of none", minimal + `[[check]]
type = "none"
interval = "1s"`,
		`vipd.toml:6: check.interval: does not belong to type "none", which takes no other key: remove it`},
	{"url missing", minimal + `[[check]]
type = "https"`,
		`vipd.toml:4: check.url: missing: type "https" needs it`},
	{"address missing", minimal + `[[check]]
type = "tcp"`,
		`vipd.toml:4: check.address: missing: type "tcp" needs it`},
	{"url scheme", minimal + `[[check]]
type = "k3s"
url = "http://127.0.0.1:6443"`,
		`vipd.toml:6: check.url: "http" is not https: write "https://" and a host`},
	{"url without scheme", minimal + `[[check]]
type = "k3s"
url = "127.0.0.1:6443"`,
		`vipd.toml:6: check.url: is not a URL: write one such as "https://127.0.0.1:6443"`},
	{"url host", minimal + `[[check]]
type = "https"
url = "https://:6443/"`,
		`vipd.toml:6: check.url: "https://:6443/" has no host: write one such as "https://127.0.0.1:6443"`},
	{"url port", minimal + `[[check]]
type = "https"
url = "https://127.0.0.1:66443"`,
		`vipd.toml:6: check.url: 66443 is not a port: choose 1 to 65535`},
	{"url password", minimal + `[[check]]
type = "https"
url = "https://admin:hunter2@127.0.0.1"`,
		`vipd.toml:6: check.url: holds a user name: remove it, and use a client certificate`},
	{"url path", minimal + `[[check]]
type = "k3s"
url = "https://127.0.0.1:6443/readyz"`,
		`vipd.toml:6: check.url: "https://127.0.0.1:6443/readyz" has more than a host and port: write "https://127.0.0.1:6443", the paths are vipd's to choose`},
	{"internal port", minimal + `[[check]]
type = "k3s"
url = "https://127.0.0.1:6444"`,
		`vipd.toml:6: check.url: 6444 is K3s's internal port: write 6443`},
	{"url is the VIP", minimal + `[[check]]
type = "k3s"
url = "https://192.0.2.100:6443"`,
		`vipd.toml:6: check.url: 192.0.2.100 is a virtual IP, which leads to whichever node holds it: probe this node, at 127.0.0.1`},
	{"address is the VIP", minimal + `[[check]]
type = "tcp"
address = "192.0.2.100:6443"`,
		`vipd.toml:6: check.address: 192.0.2.100 is a virtual IP, which leads to whichever node holds it: probe this node, at 127.0.0.1`},
	{"address", minimal + `[[check]]
type = "tcp"
address = "6443"`,
		`vipd.toml:6: check.address: "6443" is not a host and port: write one such as "127.0.0.1:6443"`},
	{"relative path", minimal + `[[check]]
type = "k3s"
data_dir = "rancher/k3s"`,
		`vipd.toml:6: check.data_dir: "rancher/k3s" is not an absolute path: start it with /`},
	{"certificate without key", minimal + `[[check]]
type = "https"
url = "https://127.0.0.1"
cert_file = "/c"`,
		`vipd.toml:7: check.cert_file: goes with key_file: give both or neither`},
	{"ca useless", minimal + `[[check]]
type = "https"
url = "https://127.0.0.1"
ca_file = "/c"
insecure_skip_verify = true`,
		`vipd.toml:8: check.insecure_skip_verify: makes ca_file useless: remove one of the two`},
	{"status", minimal + `[[check]]
type = "https"
url = "https://127.0.0.1"
expect_status = 20`,
		`vipd.toml:7: check.expect_status: 20 is out of range: choose 100 to 599`},
	{"unit suffix", minimal + `[[check]]
type = "k3s"
unit = "k3s"`,
		`vipd.toml:6: check.unit: "k3s" does not end in .service: write one such as "k3s.service"`},
	{"unit kind", minimal + `[[check]]
type = "k3s"
unit = "k3s.socket"`,
		`vipd.toml:6: check.unit: "k3s.socket" does not end in .service: write one such as "k3s.service"`},
	{"unit name", minimal + `[[check]]
type = "systemd"
unit = "k3s server.service"`,
		`vipd.toml:6: check.unit: "k3s server.service" is not the name of a unit: write one such as "k3s.service"`},
	{"systemd unit empty", minimal + `[[check]]
type = "systemd"
unit = ""`,
		`vipd.toml:6: check.unit: "" is not the name of a unit: write one such as "k3s.service"`},
	{"systemd unit suffix", minimal + `[[check]]
type = "systemd"
unit = "haproxy"`,
		`vipd.toml:6: check.unit: "haproxy" does not end in .service, .socket, .target, .mount, .timer, .path: write one such as "haproxy.service"`},
	{"hook without anything", minimal + `[[hook]]`,
		`vipd.toml:4: hook.on: missing: list what to run it on, such as ["active"]
vipd.toml:4: hook.command: missing: list the program and its arguments`},
	{"hook on nothing", minimal + `[[hook]]
on = []
command = ["/bin/true"]`,
		`vipd.toml:5: hook.on: is empty: list what to run it on, such as ["active"]`},
	{"hook on a string", minimal + `[[hook]]
on = "active"
command = ["/bin/true"]`,
		`vipd.toml:5: hook.on: is a string: write a list, such as ["active"]`},
	{"hook on what there is not", minimal + `[[hook]]
on = ["active", "master"]
command = ["/bin/true"]`,
		`vipd.toml:5: hook.on: "master" is not known: choose "active", "backup", "initialize", "ready", "degraded", "down" or "conflict"`},
	{"hook twice on the same", minimal + `[[hook]]
on = ["active",
  "active"]
command = ["/bin/true"]`,
		`vipd.toml:6: hook.on: "active" is listed twice: remove one`},
	{"hook by name", minimal + `[[hook]]
on = ["active"]
command = ["notify"]`,
		`vipd.toml:6: hook.command: "notify" is not an absolute path: no shell looks for it, write one such as "/usr/local/bin/vip-moved"`},
	{"hook too slow", minimal + `[[hook]]
on = ["active"]
command = ["/bin/true"]
timeout = "1h"`,
		`vipd.toml:7: hook.timeout: 1h is out of range: choose 100ms to 10m`},
	{"hook in single brackets", minimal + `[hook]
on = ["active"]`,
		`vipd.toml:4: hook: is a table: write [[hook]] with double brackets, once for each`},
	{"hook misspelt", minimal + `[[hook]]
on = ["active"]
comand = ["/bin/true"]`,
		`vipd.toml:4: hook.command: missing: list the program and its arguments
vipd.toml:6: hook.comand: unknown key: did you mean "command"?`},
	{"command string", minimal + `[[check]]
type = "exec"
command = "curl -k"`,
		`vipd.toml:6: check.command: is a string: write a list, such as ["/usr/local/bin/check"]`},
	{"command empty", minimal + `[[check]]
type = "exec"
command = []`,
		`vipd.toml:6: check.command: is empty: list the program and its arguments, such as ["/usr/local/bin/check", "--fast"]`},
	{"command relative", minimal + `[[check]]
type = "exec"
command = ["curl", "-k"]`,
		`vipd.toml:6: check.command: "curl" is not an absolute path: no shell looks for it, write one such as "/usr/local/bin/check"`},
	{"interval", minimal + `[[check]]
type = "k3s"
interval = "50ms"`,
		`vipd.toml:6: check.interval: 50ms is out of range: choose 100ms to 1m`},
	{"timeout", minimal + `[[check]]
type = "k3s"
timeout = "0s"`,
		`vipd.toml:6: check.timeout: 0s is out of range: choose 1ms to 1m`},
	{"ready_timeout", minimal + `[[check]]
type = "k3s"
ready_timeout = "2s"`,
		`vipd.toml:6: check.ready_timeout: 2s is too short: choose more than 2s, for that long K3s takes to answer when etcd fails`},
	{"fall", minimal + `[[check]]
type = "k3s"
fall = 0`,
		`vipd.toml:6: check.fall: 0 is out of range: choose 1 to 100`},
	{"rise", minimal + `[[check]]
type = "k3s"
rise = -1`,
		`vipd.toml:6: check.rise: -1 is out of range: choose 1 to 100`},
	{"auth not a table", `auth = true
[[vip]]
vrid = 51
addresses = ["192.0.2.100"]`,
		`vipd.toml:1: auth: is true: write [auth] in single brackets, once`},
	{"no keys", minimal + `[auth]
mode = "enforce"`,
		`vipd.toml:4: auth.keys: missing: list at least one, such as [{ id = 1, file = "/etc/vipd/keys/1" }]`},
	{"empty keys", minimal + `[auth]
keys = []`,
		`vipd.toml:5: auth.keys: is empty: list at least one, such as [{ id = 1, file = "/etc/vipd/keys/1" }]`},
	{"keys not a list", minimal + `[auth]
keys = "/etc/vipd/keys/1"`,
		`vipd.toml:5: auth.keys: is a string: write a list, such as [{ id = 1, file = "/etc/vipd/keys/1" }]`},
	{"key not a table", minimal + `[auth]
keys = ["/etc/vipd/keys/1"]`,
		`vipd.toml:5: auth.keys: is a string: write { id = 1, file = "/etc/vipd/keys/1" }`},
	{"auth mode", minimal + `[auth]
mode = "strict"
keys = [{ id = 1, file = "/k" }]`,
		`vipd.toml:5: auth.mode: "strict" is not known: choose "enforce", "permissive" or "receive-only"`},
	{"no active key", minimal + `[auth]
keys = [{ id = 1, file = "/k1" }, { id = 2, file = "/k2" }]`,
		`vipd.toml:4: auth.active_key: missing: name the id of the key that signs, one of 1, 2`},
	{"unknown active key", minimal + `[auth]
active_key = 3
keys = [{ id = 1, file = "/k1" }, { id = 2, file = "/k2" }]`,
		`vipd.toml:5: auth.active_key: there is no key 3: choose one of 1, 2`},
	{"key id", minimal + `[auth]
keys = [{ id = 0, file = "/k" }]`,
		`vipd.toml:5: auth.keys.id: 0 is out of range: choose 1 to 255`},
	{"no key id", minimal + `[auth]
keys = [{ file = "/k" }]`,
		`vipd.toml:5: auth.keys.id: missing: choose 1 to 255, the same on all nodes`},
	{"key id twice", minimal + `[auth]
active_key = 1
keys = [
  { id = 1, file = "/k1" },
  { id = 1, file = "/k2" },
]`,
		`vipd.toml:8: auth.keys.id: 1 is used twice: choose another`},
	{"key in the file", minimal + `[auth]
keys = [{ id = 1, file = "not-to-be-shown" }]`,
		`vipd.toml:5: auth.keys.file: is not an absolute path: write the path of a file that holds the key, such as "/etc/vipd/keys/1"`},
	{"file and credential", minimal + `[auth]
keys = [{ id = 1, file = "/k", credential = "k" }]`,
		`vipd.toml:5: auth.keys.file: excludes credential: keep one of the two`},
	{"neither", minimal + `[auth]
keys = [{ id = 1 }]`,
		`vipd.toml:5: auth.keys.file: missing: name the file that holds the key, or a systemd credential`},
	{"credential", minimal + `[auth]
keys = [{ id = 1, credential = "a/b" }]`,
		`vipd.toml:5: auth.keys.credential: is not the name of a credential: write the one that LoadCredential= in the unit gives it`},
	{"window", minimal + `[auth]
window = "500ms"
keys = [{ id = 1, file = "/k" }]`,
		`vipd.toml:5: auth.window: 500ms is out of range: choose 1s to 5m`},
	{"window bare", minimal + `[auth]
window = 5
keys = [{ id = 1, file = "/k" }]`,
		`vipd.toml:5: auth.window: 5 has no unit: write "5s"`},
	{"anti_replay", minimal + `[auth]
anti_replay = "counter"
keys = [{ id = 1, file = "/k" }]`,
		`vipd.toml:5: auth.anti_replay: "counter" is not known: choose "time" or "monotonic"`},
	{"metrics everywhere", minimal + `[metrics]
listen = ":9693"`,
		`vipd.toml:5: metrics.listen: ":9693" can be reached from other hosts, and metrics ask for no password: write "127.0.0.1:9693" or "unix:/run/vipd/metrics.sock"`},
	{"metrics other", minimal + `[metrics]
listen = "192.0.2.11:9693"`,
		`vipd.toml:5: metrics.listen: "192.0.2.11:9693" can be reached from other hosts, and metrics ask for no password: write "127.0.0.1:9693" or "unix:/run/vipd/metrics.sock"`},
	{"metrics port", minimal + `[metrics]
listen = "9693"`,
		`vipd.toml:5: metrics.listen: "9693" is not a host and port: write "127.0.0.1:9693" or "unix:/run/vipd/metrics.sock"`},
	{"metrics socket", minimal + `[metrics]
listen = "unix:run/m.sock"`,
		`vipd.toml:5: metrics.listen: "unix:run/m.sock" is not a socket: write unix: and an absolute path of at most 107 bytes`},
}

func TestRefusals(t *testing.T) {
	for _, tt := range refusals {
		t.Run(tt.name, func(t *testing.T) {
			c, err := Parse("vipd.toml", []byte(tt.in), Host{Name: "node1"})
			if err == nil {
				t.Fatalf("accepted as %+v", c)
			}
			if diff := cmp.Diff(tt.want, err.Error()); diff != "" {
				t.Errorf("message (-want +got):\n%s", diff)
			}
		})
	}
}
