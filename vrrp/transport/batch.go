package transport

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// batchSize is how many datagrams one system call reads at most.
const batchSize = 16

// ancillaryLen holds a time stamp, a hop limit and a destination, with space to spare.
const ancillaryLen = 128

// batch is the memory that recvmmsg reads into, used again for each call. The
// headers point into the other arrays.
type batch struct {
	headers   [batchSize]unix.Mmsghdr
	vectors   [batchSize]unix.Iovec
	ancillary [batchSize][ancillaryLen]byte
	sources   [batchSize]unix.RawSockaddrInet6 // large enough for IPv4, where it is not looked at
	data      [batchSize][maxDatagram]byte
}

func newBatch() *batch {
	b := new(batch)
	for i := range b.headers {
		b.vectors[i].Base = &b.data[i][0]
		b.vectors[i].SetLen(maxDatagram)
		h := &b.headers[i].Hdr
		h.Name = (*byte)(unsafe.Pointer(&b.sources[i]))
		h.Control = &b.ancillary[i][0]
		h.Iov = &b.vectors[i]
		h.SetIovlen(1)
	}
	return b
}

// read reads what is queued in the socket, at most batchSize datagrams, and
// returns their number: 0 when there is none. It never blocks. x/sys/unix has
// the types of recvmmsg but not the call, and its Recvmsg allocates.
func (b *batch) read(fd int) (int, error) {
	for i := range b.headers {
		h := &b.headers[i].Hdr
		h.Namelen = unix.SizeofSockaddrInet6
		h.SetControllen(ancillaryLen)
	}
	for {
		n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(fd),
			uintptr(unsafe.Pointer(&b.headers)), batchSize, unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			return int(n), nil
		case unix.EAGAIN:
			return 0, nil
		case unix.EINTR:
			continue
		}
		return 0, errno
	}
}

// datagram returns the parts of the i-th datagram of the last read: its bytes,
// its IPv6 source and its ancillary data.
func (b *batch) datagram(i int) (data []byte, src [16]byte, a ancillary) {
	h := &b.headers[i]
	return b.data[i][:h.Len], b.sources[i].Addr, parseAncillary(b.ancillary[i][:h.Hdr.Controllen])
}

// truncated reports whether the i-th datagram was larger than its buffer.
func (b *batch) truncated(i int) bool { return b.headers[i].Hdr.Flags&unix.MSG_TRUNC != 0 }
