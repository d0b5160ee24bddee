package agent

import (
	"fmt"
	"io/fs"
	"net/netip"
	"path"
	"strconv"
	"strings"

	"github.com/vipd/vipd/config"
	"github.com/vipd/vipd/k3s"
)

// FindK3s writes into a draft where K3s is on the host with this file system, where that is
// not where vipd looks without being told. The notes are for the operator, a line each.
func FindK3s(root fs.FS, d *config.Draft) (notes []string) {
	setup, err := k3s.Look(root)
	if err != nil {
		notes = append(notes, "not all of K3s's configuration could be read, so see that [[check]] is right: "+strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	if d.Why == nil {
		d.Why = make(map[string]string)
	}
	usual := config.Default().Checks[0]
	if dir := path.Clean(setup.DataDir.Value); path.IsAbs(dir) && dir != usual.DataDir {
		d.DataDir, d.Why["check.data_dir"] = dir, setup.DataDir.In
	}
	if url := apiURL(setup.Port.Value); url != "" && url != usual.URL {
		d.URL, d.Why["check.url"] = url, setup.Port.In
	}
	return append(notes, append(findUnit(setup, d), adviseSAN(setup, d.Addresses)...)...)
}

// apiURL is where a server with this port is asked; "" if that is no port.
func apiURL(port string) string {
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return ""
	}
	return fmt.Sprintf("https://127.0.0.1:%d", n)
}

// findUnit writes down a unit that has another name.
func findUnit(setup k3s.Setup, d *config.Draft) (notes []string) {
	switch {
	case setup.Unit == "":
		return []string{"no unit here runs k3s server yet: vipd waits for " + k3s.DefaultUnit}
	case setup.Unit == k3s.DefaultUnit:
		return nil
	case len(setup.Others) > 0:
		notes = append(notes, fmt.Sprintf("%s runs K3s too: if that is the server which is meant, change unit, url and data_dir of [[check]]", strings.Join(setup.Others, ", ")))
	}
	d.Unit, d.Why["check.unit"] = setup.Unit, "the unit that runs k3s server"
	return append(notes, fmt.Sprintf("for vipd-handover.service to know of %s it needs a drop-in: see \"The units\" in docs/install.md", setup.Unit))
}

// adviseSAN says how the certificate comes to name the addresses, if K3s was not told to.
func adviseSAN(setup k3s.Setup, addrs []netip.Addr) []string {
	var missing []netip.Addr
	var flags string
	for _, a := range addrs {
		if !setup.Names(a) {
			missing = append(missing, a)
			flags += " --tls-san " + a.String()
		}
	}
	if len(missing) == 0 {
		return nil
	}
	if setup.Unit == "" {
		return []string{"give K3s" + flags + ", or its certificate does not name the VIP"}
	}
	return []string{fmt.Sprintf("K3s was not told to name %s in its certificate (--tls-san); unless that has it already, on each server: %s && systemctl stop %[3]s && k3s certificate rotate && systemctl start %[3]s",
		addresses(missing), k3s.AddSAN(setup.InDropIn, addrs), strings.TrimSuffix(setup.Unit, ".service"))}
}
