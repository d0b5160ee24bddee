package doctor

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
)

func checkManagers(_ context.Context, p *patient) ([]Finding, error) {
	places, err := p.places()
	if err != nil {
		return nil, err
	}
	var list []Finding
	seen := make(map[int]bool)
	for _, at := range places {
		if at.link == nil || seen[at.link.Index] {
			continue
		}
		seen[at.link.Index] = true
		list = append(list, p.checkNetworkd(at.link)...)
		list = append(list, p.checkNetworkManager(at.link)...)
	}
	return list, nil
}

// checkNetworkd goes by what networkd itself wrote down of the link.
func (p *patient) checkNetworkd(l *Link) []Finding {
	state, err := p.Files.Read(fmt.Sprintf("/run/systemd/netif/links/%d", l.Index))
	if err != nil {
		return nil // networkd does not run, or does not know it
	}
	facts := settings(state)
	file := facts["NETWORK_FILE"]
	if file == "" || facts["ADMIN_STATE"] == "unmanaged" {
		return nil
	}
	base := filepath.Base(file)
	files := []string{file}
	for _, dir := range []string{"/usr/lib", "/run", "/etc"} {
		files = append(files, p.Files.Glob(dir+"/systemd/network/"+base+".d/*.conf")...)
	}
	keep := ""
	for _, f := range files {
		text, err := p.Files.Read(f)
		if err != nil {
			continue
		}
		if v, ok := settings(text)["KeepConfiguration"]; ok {
			keep = v
		}
	}
	switch keep {
	case "yes", "true", "1", "on", "static":
		return nil
	}
	evidence := fmt.Sprintf("systemd-networkd manages it by %s, without KeepConfiguration=static", file)
	if strings.Contains(base, "netplan") {
		evidence = fmt.Sprintf("netplan has systemd-networkd manage it by %s, without KeepConfiguration=static", file)
	}
	return []Finding{found("networkd-drops-addresses", l.Name, evidence,
		fmt.Sprintf("mkdir -p /etc/systemd/network/%[1]s.d && printf '[Network]\\nKeepConfiguration=static\\n' > /etc/systemd/network/%[1]s.d/vipd.conf && networkctl reload", base))}
}

func (p *patient) checkNetworkManager(l *Link) []Finding {
	state, err := p.Files.Read(fmt.Sprintf("/run/NetworkManager/devices/%d", l.Index))
	if err != nil || settings(state)["managed"] != "true" {
		return nil
	}
	return []Finding{found("networkmanager-drops-addresses", l.Name, "NetworkManager manages it, and takes the VIP off for a moment when its connection is activated anew",
		"move the VIP first: vipd drain --wait")}
}

// settings reads lines of the form key=value.
func settings(text []byte) map[string]string {
	all := make(map[string]string)
	for line := range strings.Lines(string(text)) {
		if k, v, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(k, "#") {
			all[strings.TrimSpace(k)] = strings.Trim(strings.TrimSpace(v), `"`)
		}
	}
	return all
}
