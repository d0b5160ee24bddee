package cluster

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/vipd/vipd/test/lab"
)

// Keepalived is Debian's keepalived in the place of vipd.
type Keepalived struct {
	// Global are further lines of global_defs, Instance of each vrrp_instance.
	Global, Instance []string
	Interval         time.Duration // 0: keepalived's default
	// Check is a script that says whether the API server is well; nil: none.
	Check func(s *Server) KeepalivedScript
	// Routers are the virtual routers; none: VIP4 with VRID 51.
	Routers []Router
}

// Router is a virtual router of an agent other than vipd.
type Router struct {
	VRID int
	VIP  netip.Addr
}

// KeepalivedScript is a vrrp_script.
type KeepalivedScript struct {
	Command string
	Options []string // further lines
}

// Prepare writes keepalived.conf.
func (k Keepalived) Prepare(s *Server) ([]string, error) {
	path := filepath.Join(s.dir, "keepalived.conf")
	if err := os.WriteFile(path, []byte(k.text(s)), 0o644); err != nil {
		return nil, fmt.Errorf("%s: write its configuration: %w", s.Name, err)
	}
	command := []string{"keepalived", "--dont-fork", "--log-console", "--use-file", path}
	for flag, name := range map[string]string{"--pid": "keepalived.pid", "--vrrp_pid": "vrrp.pid", "--checkers_pid": "checkers.pid"} {
		pidFile := filepath.Join(s.dir, name)
		// After a loss of power there is none, and it trusts old ones.
		if err := os.RemoveAll(pidFile); err != nil {
			return nil, fmt.Errorf("%s: remove a pid file: %w", s.Name, err)
		}
		command = append(command, flag, pidFile)
	}
	return command, nil
}

func (k Keepalived) text(s *Server) string {
	var b strings.Builder
	block(&b, "global_defs", append([]string{"script_user root"}, k.Global...))
	instance := []string{"state BACKUP", "interface " + lab.Interface, fmt.Sprintf("priority %d", s.Priority())}
	if k.Interval > 0 {
		instance = append(instance, fmt.Sprintf("advert_int %v", k.Interval.Seconds()))
	}
	instance = append(instance, k.Instance...)
	if k.Check != nil {
		c := k.Check(s)
		block(&b, "vrrp_script api", append([]string{fmt.Sprintf("script %q", c.Command)}, c.Options...))
		instance = append(instance, "track_script {\n\t\tapi\n\t}")
	}
	routers := k.Routers
	if len(routers) == 0 {
		routers = []Router{{VRID: 51, VIP: VIP4}}
	}
	for _, r := range routers {
		family := 4
		if r.VIP.Is6() {
			family = 6
		}
		lines := append([]string{fmt.Sprintf("virtual_router_id %d", r.VRID), fmt.Sprintf("virtual_ipaddress {\n\t\t%s\n\t}", r.VIP)}, instance...)
		block(&b, fmt.Sprintf("vrrp_instance vip%d_%d", family, r.VRID), lines)
	}
	return b.String()
}

func block(b *strings.Builder, name string, lines []string) {
	fmt.Fprintf(b, "%s {\n", name)
	for _, l := range lines {
		fmt.Fprintf(b, "\t%s\n", l)
	}
	b.WriteString("}\n")
}

// CurlReadyz asks the server's own API for /readyz, as K3s lets it be asked: with a
// client certificate that is on disk. Whatever is not a success fails.
func CurlReadyz(s *Server) string {
	tls := filepath.Join(s.dataDir(), "server", "tls")
	return fmt.Sprintf("/usr/bin/curl -skf -o /dev/null --cert %[1]s/client-admin.crt --key %[1]s/client-admin.key https://127.0.0.1:6443/readyz", tls)
}
