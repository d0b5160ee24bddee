package transport

import (
	"testing"

	"golang.org/x/net/bpf"

	"github.com/vipd/vipd/vrrp"
)

// TestProgram runs the filter for every VRID outside the kernel.
func TestProgram(t *testing.T) {
	plain := append([]byte{0x45}, make([]byte, 19)...)
	options := append([]byte{0x4f}, make([]byte, 59)...)
	for _, tt := range []struct {
		name   string
		f      vrrp.Family
		header []byte
		handle func(vrid int) bool
	}{
		{"none", vrrp.IPv4, plain, func(int) bool { return false }},
		{"one", vrrp.IPv4, plain, func(v int) bool { return v == 51 }},
		{"the first and the last", vrrp.IPv6, nil, func(v int) bool { return v == 1 || v == 255 }},
		{"the edges of words, with IP options", vrrp.IPv4, options, func(v int) bool { return v%32 == 0 || v%32 == 31 }},
		{"all", vrrp.IPv6, nil, func(v int) bool { return v > 0 }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var set vridSet
			for vrid := range 256 {
				if tt.handle(vrid) {
					set.add(uint8(vrid))
				}
			}
			vm := machine(t, &set, tt.f)
			for vrid := range 256 {
				if got := accepts(t, vm, append(tt.header, advert(uint8(vrid), 12)...)); got != tt.handle(vrid) {
					t.Errorf("VRID %d: accepted: %v", vrid, got)
				}
			}
		})
	}
}

func TestProgramLength(t *testing.T) {
	set := vridSet{1 << 1}
	vm := machine(t, &set, vrrp.IPv6)
	for n, want := range map[int]bool{1: false, 2: true, 8: true, maxPayload: true, maxFiltered: true, maxFiltered + 1: false} {
		if got := accepts(t, vm, advert(1, max(n, 6))[:n]); got != want {
			t.Errorf("%d bytes: accepted: %v", n, got)
		}
	}
}

func machine(t *testing.T, set *vridSet, f vrrp.Family) *bpf.VM {
	t.Helper()
	vm, err := bpf.NewVM(set.program(f))
	if err != nil {
		t.Fatal(err)
	}
	return vm
}

func accepts(t *testing.T, vm *bpf.VM, b []byte) bool {
	t.Helper()
	n, err := vm.Run(b)
	if err != nil {
		t.Fatal(err)
	}
	return n >= len(b)
}
