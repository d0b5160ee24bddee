package watch

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// recording is a pcap file, with times in nanoseconds. Its two headers are written here,
// for the library that knows them has tables of all protocols: 3 MiB of each process.
type recording struct {
	file *os.File
	buf  []byte
}

// Fields of the file's header (draft-ietf-opsawg-pcap, section 4).
const (
	pcapNanoseconds = 0xa1b23c4d
	pcapMajor       = 2
	pcapMinor       = 4
	pcapEthernet    = 1
)

// record makes the file. One that is there may be the evidence of another night.
func record(path string) (*recording, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("%s exists: choose another name for --write", path)
	}
	if err != nil {
		return nil, fmt.Errorf("record what is heard: %w", err)
	}
	r := &recording{file: f}
	h := binary.LittleEndian.AppendUint32(nil, pcapNanoseconds)
	h = binary.LittleEndian.AppendUint16(h, pcapMajor)
	h = binary.LittleEndian.AppendUint16(h, pcapMinor)
	h = append(h, make([]byte, 8)...) // time zone and accuracy, which nobody uses
	h = binary.LittleEndian.AppendUint32(h, snapLen)
	h = binary.LittleEndian.AppendUint32(h, pcapEthernet)
	if _, err := f.Write(h); err != nil {
		return nil, errors.Join(fmt.Errorf("record what is heard: %w", err), f.Close())
	}
	return r, nil
}

// add writes a frame at once: whoever ends the program by force has all up to then.
func (r *recording) add(c captured) error {
	if r == nil || c.frame == nil {
		return nil
	}
	b := binary.LittleEndian.AppendUint32(r.buf[:0], uint32(c.at.Unix()))
	b = binary.LittleEndian.AppendUint32(b, uint32(c.at.Nanosecond()))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(c.frame)))
	b = binary.LittleEndian.AppendUint32(b, uint32(c.size))
	r.buf = append(b, c.frame...)
	if _, err := r.file.Write(r.buf); err != nil {
		return fmt.Errorf("record what is heard: %w", err)
	}
	return nil
}

func (r *recording) close() error {
	if r == nil {
		return nil
	}
	return r.file.Close()
}
