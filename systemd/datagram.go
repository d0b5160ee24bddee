package systemd

import (
	"os"

	"golang.org/x/sys/unix"
)

// sendDatagram sends data to the Unix datagram socket at path ("@name": in the
// abstract namespace) without waiting. A socket for each message costs little
// and follows a listener that was restarted.
func sendDatagram(path string, data []byte) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd)
	return os.NewSyscallError("sendto", unix.Sendto(fd, data, unix.MSG_NOSIGNAL, &unix.SockaddrUnix{Name: path}))
}
