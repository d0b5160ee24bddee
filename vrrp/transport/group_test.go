package transport

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/vipd/vipd/vrrp"
)

func TestInIGMP(t *testing.T) {
	line := func(addr [4]byte) string {
		return fmt.Sprintf("\t\t\t\t%08X     1 0:00000000\t\t0\n", binary.NativeEndian.Uint32(addr[:]))
	}
	all, vrrps := line([4]byte{224, 0, 0, 1}), line([4]byte{224, 0, 0, 18})
	table := "Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n" +
		"1\tlo        :     1      V3\n" + all +
		"2\teth0      :     2      V3\n" + vrrps + all +
		"22\tenp0s31f6abcdef:     1      V3\n" + all
	for index, want := range map[int]bool{1: false, 2: true, 22: false, 3: false} {
		g := group{family: vrrp.IPv4, index: index}
		if got := g.inIGMP([]byte(table)); got != want {
			t.Errorf("interface %d: member: %v", index, got)
		}
	}
}

func TestInIGMP6(t *testing.T) {
	const table = "1    lo              ff020000000000000000000000000001     1 0000000C 0\n" +
		"2    eth0            ff020000000000000000000000000012     1 00000004 0\n" +
		"2    eth0            ff020000000000000000000000000001     1 0000000C 0\n" +
		"22   eth1            ff020000000000000000000000000001     1 0000000C 0\n"
	for index, want := range map[int]bool{1: false, 2: true, 22: false, 3: false} {
		g := group{family: vrrp.IPv6, index: index}
		if got := g.inIGMP6([]byte(table)); got != want {
			t.Errorf("interface %d: member: %v", index, got)
		}
	}
}
