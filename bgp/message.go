package bgp

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Types of message (RFC 4271, section 4.1; RFC 2918).
const (
	typeOpen         = 1
	typeUpdate       = 2
	typeNotification = 3
	typeKeepalive    = 4
	typeRefresh      = 5
)

const (
	headerLen  = 19
	maxMessage = 4096
)

// errMore says that a message is not complete yet.
var errMore = errors.New("the message is not complete")

// begin begins a message; end completes it.
func begin(b []byte, kind uint8) []byte {
	for range 16 {
		b = append(b, 0xff)
	}
	return append(b, 0, 0, kind)
}

func end(b []byte) []byte {
	binary.BigEndian.PutUint16(b[16:], uint16(len(b)))
	return b
}

func keepalive() []byte { return end(begin(nil, typeKeepalive)) }

// split returns the first message of a stream and what follows it. The error is errMore,
// or an [Error] to be sent back.
func split(b []byte) (kind uint8, body, rest []byte, err error) {
	if len(b) < headerLen {
		return 0, nil, b, errMore
	}
	for _, x := range b[:16] {
		if x != 0xff {
			return 0, nil, nil, &Error{Code: codeHeader, Subcode: 1, Words: "it is out of step: a message begins without its marker"}
		}
	}
	n := int(binary.BigEndian.Uint16(b[16:]))
	kind = b[18]
	if n < headerLen || n > maxMessage || n < leastLen(kind) || kind == typeKeepalive && n != headerLen {
		return 0, nil, nil, &Error{Code: codeHeader, Subcode: 2, Data: b[16:18], Words: fmt.Sprintf("it sent a message of type %d with a length of %d", kind, n)}
	}
	if kind < typeOpen || kind > typeRefresh {
		return 0, nil, nil, &Error{Code: codeHeader, Subcode: 3, Data: b[18:19], Words: fmt.Sprintf("it sent a message of an unknown type, %d", kind)}
	}
	if len(b) < n {
		return 0, nil, b, errMore
	}
	return kind, b[headerLen:n], b[n:], nil
}

func leastLen(kind uint8) int {
	switch kind {
	case typeOpen:
		return 29
	case typeUpdate:
		return 23
	case typeNotification:
		return 21
	}
	return headerLen
}
