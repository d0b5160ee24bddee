package transport

import (
	"fmt"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/vipd/vipd/vrrp"
)

// vridSet is a set of VRIDs, one bit each.
type vridSet [8]uint32

func (s *vridSet) add(vrid uint8) { s[vrid>>5] |= 1 << (vrid & 31) }

// maxFiltered is the length above which the kernel drops a datagram unread.
// What is longer than a packet can be, but below this, is read and counted.
const maxFiltered = 2 * maxDatagram

// program returns a BPF program that accepts the datagrams with a VRID in the
// set. Version and type are not looked at: a wrong one has to be counted. A raw
// IPv4 socket filters the packet with its IP header, an IPv6 one the payload.
//
// Its length does not depend on the set: the VRID selects one of eight words,
// then a bit of that word.
func (s *vridSet) program(f vrrp.Family) []bpf.Instruction {
	var header bpf.Instruction = bpf.LoadConstant{Dst: bpf.RegX, Val: 0}
	if f == vrrp.IPv4 {
		header = bpf.LoadMemShift{Off: 0}
	}
	p := []bpf.Instruction{
		bpf.LoadExtension{Num: bpf.ExtLen},
		bpf.JumpIf{Cond: bpf.JumpLessOrEqual, Val: maxFiltered, SkipTrue: 1},
		bpf.RetConstant{Val: 0},
		header,
		bpf.LoadIndirect{Off: offsetVRID, Size: 1}, // rejects what is too short
		bpf.StoreScratch{Src: bpf.RegA, N: 0},
		bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 31},
		bpf.TAX{},
		bpf.LoadScratch{Dst: bpf.RegA, N: 0},
		bpf.ALUOpConstant{Op: bpf.ALUOpShiftRight, Val: 5},
	}
	last := len(s) - 1
	for i, word := range s[:last] {
		p = append(p,
			bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: uint32(i), SkipTrue: 2},
			bpf.LoadConstant{Dst: bpf.RegA, Val: word},
			bpf.Jump{Skip: uint32(3*(last-1-i) + 1)},
		)
	}
	return append(p,
		bpf.LoadConstant{Dst: bpf.RegA, Val: s[last]},
		bpf.ALUOpX{Op: bpf.ALUOpShiftRight},
		bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: 1, SkipFalse: 1},
		bpf.RetConstant{Val: 1<<32 - 1},
		bpf.RetConstant{Val: 0},
	)
}

// attach replaces the socket's filter by one for the set, in one step.
func (s *vridSet) attach(fd int, f vrrp.Family) error {
	raw, err := bpf.Assemble(s.program(f))
	if err != nil {
		return fmt.Errorf("assemble packet filter: %w", err)
	}
	code := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		code[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	prog := unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}
	if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &prog); err != nil {
		return fmt.Errorf("attach packet filter: %w", err)
	}
	return nil
}
