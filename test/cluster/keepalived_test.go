package cluster

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestKeepalivedText(t *testing.T) {
	k := Keepalived{
		Global: []string{"vrrp_version 3"}, Instance: []string{"garp_master_delay 1"}, Interval: 250 * time.Millisecond,
		Check:   func(*Server) KeepalivedScript { return KeepalivedScript{"/bin/true", []string{"interval 1"}} },
		Routers: []Router{{7, VIP4}, {7, netip.MustParseAddr("2001:db8::7")}},
	}
	want := `global_defs {
	script_user root
	vrrp_version 3
}
vrrp_script api {
	script "/bin/true"
	interval 1
}
vrrp_instance vip4_7 {
	virtual_router_id 7
	virtual_ipaddress {
		198.51.100.100
	}
	state BACKUP
	interface eth0
	priority 240
	advert_int 0.25
	garp_master_delay 1
	track_script {
		api
	}
}
vrrp_instance vip6_7 {
	virtual_router_id 7
	virtual_ipaddress {
		2001:db8::7
	}
	state BACKUP
	interface eth0
	priority 240
	advert_int 0.25
	garp_master_delay 1
	track_script {
		api
	}
}
`
	if diff := cmp.Diff(want, k.text(&Server{Number: 2})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Prepare removes the pid files of one that was killed, and names them.
func TestKeepalivedPrepare(t *testing.T) {
	s := &Server{Name: "node1", Number: 1, dir: t.TempDir()}
	old := filepath.Join(s.dir, "vrrp.pid")
	if err := os.WriteFile(old, []byte("1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	command, err := Keepalived{}.Prepare(s)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(old); err == nil {
		t.Error("the old pid file is still there")
	}
	if n := len(command); n != 11 {
		t.Errorf("%d words: %q", n, command)
	}
}
