package systemd

import (
	"os"

	"golang.org/x/sys/unix"
)

// sendDatagram sends data to the Unix datagram socket at path ("@name": in the
// abstract namespace) without waiting, with rights to files (SCM_RIGHTS) if there are any. A socket for each message costs little
// and follows a listener that was restarted.
func sendDatagram(path string, data, rights []byte) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd)
	return os.NewSyscallError("sendmsg", unix.Sendmsg(fd, data, rights, &unix.SockaddrUnix{Name: path}, unix.MSG_NOSIGNAL))
}
