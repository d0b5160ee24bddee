package bgp

import (
	"encoding/binary"
	"time"
)

// States of a BFD session (RFC 5880, section 4.1).
const (
	bfdAdminDown = 0
	bfdDown      = 1
	bfdInit      = 2
	bfdUp        = 3
)

const (
	bfdLen     = 24
	bfdPoll    = 0x20
	bfdFinal   = 0x10
	bfdUnusual = 0x04 | 0x01 // authentication, multipoint: neither is spoken here
)

// bfdPacket is a control packet (RFC 5880, section 4.1).
type bfdPacket struct {
	Diag, State, Mult uint8
	Poll, Final       bool
	My, Your          uint32
	MinTx, MinRx      time.Duration
}

func (p bfdPacket) marshal() []byte {
	b := make([]byte, bfdLen)
	b[0] = 1<<5 | p.Diag
	b[1] = p.State << 6
	if p.Poll {
		b[1] |= bfdPoll
	}
	if p.Final {
		b[1] |= bfdFinal
	}
	b[2], b[3] = p.Mult, bfdLen
	binary.BigEndian.PutUint32(b[4:], p.My)
	binary.BigEndian.PutUint32(b[8:], p.Your)
	binary.BigEndian.PutUint32(b[12:], uint32(p.MinTx/time.Microsecond))
	binary.BigEndian.PutUint32(b[16:], uint32(p.MinRx/time.Microsecond))
	return b
}

// parseBFD reads a control packet, with the checks of RFC 5880, section 6.8.6.
func parseBFD(b []byte) (p bfdPacket, ok bool) {
	if len(b) < bfdLen || b[0]>>5 != 1 || int(b[3]) < bfdLen || int(b[3]) > len(b) || b[2] == 0 || b[1]&bfdUnusual != 0 {
		return p, false
	}
	p = bfdPacket{
		Diag: b[0] & 31, State: b[1] >> 6, Mult: b[2], Poll: b[1]&bfdPoll != 0, Final: b[1]&bfdFinal != 0,
		My: binary.BigEndian.Uint32(b[4:]), Your: binary.BigEndian.Uint32(b[8:]),
		MinTx: time.Duration(binary.BigEndian.Uint32(b[12:])) * time.Microsecond,
		MinRx: time.Duration(binary.BigEndian.Uint32(b[16:])) * time.Microsecond,
	}
	ok = p.My != 0 && (p.Your != 0 || p.State == bfdDown || p.State == bfdAdminDown)
	return p, ok
}
