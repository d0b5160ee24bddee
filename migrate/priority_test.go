package migrate

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/vipd/vipd/config"
)

func TestFit(t *testing.T) {
	for name, tt := range map[string]struct {
		all  []uint8
		want map[uint8]uint8
	}{
		"as they are":   {[]uint8{100, 150, 254, 150}, map[uint8]uint8{100: 100, 150: 150, 254: 254}},
		"too low":       {[]uint8{100, 90, 80}, map[uint8]uint8{80: 100, 90: 101, 100: 102}},
		"far from each": {[]uint8{1, 200}, map[uint8]uint8{1: 100, 200: 200}},
		"too high":      {[]uint8{255, 254, 253, 120}, map[uint8]uint8{255: 254, 254: 253, 253: 252, 120: 120}},
		"alone":         {[]uint8{255}, map[uint8]uint8{255: 254}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, fit(tt.all)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// Whatever there is, the order is kept and vipd takes it; 155 are kept apart.
func TestFitKeepsOrder(t *testing.T) {
	for _, step := range []int{1, 2, 7, 50} {
		var all []uint8
		for v := 1; v <= 255; v += step {
			all = append(all, uint8(v))
		}
		became := fit(all)
		for i, v := range all {
			p := became[v]
			if p < 100 || p > 254 {
				t.Errorf("step %d: %d became %d", step, v, p)
			}
			if i > 0 && (p < became[all[i-1]] || len(all) <= 155 && p == became[all[i-1]]) {
				t.Errorf("step %d: %d became %d, and %d became %d", step, all[i-1], became[all[i-1]], v, p)
			}
		}
	}
}

// A file for one server does not know what the others become: two of them may then
// have the same priority, and are not to take it for theirs alone.
func TestEqualPrioritiesAreNotUnique(t *testing.T) {
	for line, unique := range map[string]bool{
		"priority 150": true, "priority 100": true, "priority 90": false, "priority 80": false, "priority 255": false, "": false,
	} {
		text := fmt.Sprintf("vrrp_instance A {\ninterface eth0\nvirtual_router_id 5\n%s\nvirtual_ipaddress { 198.51.100.1 }\n}\n", line)
		plan, err := fromKeepalived(one{[]byte(text)}, "keepalived.conf", "k3s1")
		if err != nil {
			t.Fatal(err)
		}
		file, err := plan.Render()
		if err != nil {
			t.Fatal(err)
		}
		cfg, err := config.Parse("vipd.toml", file, config.Host{Name: "k3s1"})
		if err != nil {
			t.Fatal(err)
		}
		if got := cfg.VIPs[0].PriorityUnique; got != unique {
			t.Errorf("%q: unique %t, want %t\n%s", line, got, unique, file)
		}
	}
}
