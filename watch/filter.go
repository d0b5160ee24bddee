package watch

import (
	"golang.org/x/net/bpf"

	"github.com/vipd/vipd/vrrp"
)

// snapLen is how much of a frame is kept: all of it.
const snapLen = 1 << 16

// program is the kernel's filter. Of ARP it takes replies and what is gratuitous, so that
// the questions of a whole segment cost nothing. Frames with a VLAN tag belong to
// another interface.
func program() []bpf.Instruction {
	const accept, drop = "accept", "drop"
	type step struct {
		bpf.Instruction
		yes, no string // where a comparison leads; "" is the next step
	}
	equal := func(v uint32) bpf.Instruction { return bpf.JumpIf{Cond: bpf.JumpEqual, Val: v} }
	steps := []step{
		{Instruction: bpf.LoadExtension{Num: bpf.ExtVLANTagPresent}},
		{equal(0), "", drop},
		{Instruction: bpf.LoadAbsolute{Off: 2 * macLen, Size: 2}},
		{equal(typeIPv4), "ipv4", ""},
		{equal(typeIPv6), "ipv6", ""},
		{equal(typeARP), "", drop},
		{Instruction: bpf.LoadAbsolute{Off: ethernetLen + 6, Size: 2}}, // operation
		{equal(2), accept, ""},
		{Instruction: bpf.LoadAbsolute{Off: ethernetLen + 14, Size: 4}}, // sender
		{Instruction: bpf.TAX{}},
		{Instruction: bpf.LoadAbsolute{Off: ethernetLen + 24, Size: 4}}, // target
		{bpf.JumpIfX{Cond: bpf.JumpEqual}, accept, drop},
		{Instruction: bpf.LoadAbsolute{Off: ethernetLen + 9, Size: 1}}, // ipv4: protocol
		{equal(vrrp.Protocol), accept, drop},
		{Instruction: bpf.LoadAbsolute{Off: ethernetLen + 6, Size: 1}}, // ipv6: next header
		{equal(vrrp.Protocol), accept, ""},
		{equal(icmpv6), "", drop},
		{Instruction: bpf.LoadAbsolute{Off: ethernetLen + ipv6Len, Size: 1}}, // type
		{equal(136), accept, drop},
		{Instruction: bpf.RetConstant{Val: 0}},
		{Instruction: bpf.RetConstant{Val: snapLen}},
	}
	labels := map[string]int{"ipv4": 12, "ipv6": 14, drop: len(steps) - 2, accept: len(steps) - 1}
	prog := make([]bpf.Instruction, len(steps))
	for i, s := range steps {
		skip := func(label string) uint8 {
			if label == "" {
				return 0
			}
			return uint8(labels[label] - i - 1)
		}
		switch j := s.Instruction.(type) {
		case bpf.JumpIf:
			j.SkipTrue, j.SkipFalse = skip(s.yes), skip(s.no)
			prog[i] = j
		case bpf.JumpIfX:
			j.SkipTrue, j.SkipFalse = skip(s.yes), skip(s.no)
			prog[i] = j
		default:
			prog[i] = j
		}
	}
	return prog
}
