package watch

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// recording is a pcap file.
type recording struct {
	file *os.File
	pcap *pcapgo.Writer
}

// record makes the file. One that is there may be the evidence of another night.
func record(path string) (*recording, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("%s exists: choose another name for --write", path)
	}
	if err != nil {
		return nil, fmt.Errorf("record what is heard: %w", err)
	}
	r := &recording{file: f, pcap: pcapgo.NewWriterNanos(f)}
	if err := r.pcap.WriteFileHeader(snapLen, layers.LinkTypeEthernet); err != nil {
		return nil, errors.Join(fmt.Errorf("record what is heard: %w", err), f.Close())
	}
	return r, nil
}

// add writes a frame at once: whoever ends the program by force has all up to then.
func (r *recording) add(c captured) error {
	if r == nil || c.frame == nil {
		return nil
	}
	info := gopacket.CaptureInfo{Timestamp: c.at, CaptureLength: len(c.frame), Length: c.size}
	if err := r.pcap.WritePacket(info, c.frame); err != nil {
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
