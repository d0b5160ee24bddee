package systemd

import (
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// process watches a process, not its child, through a pidfd, which unlike a PID
// never comes to mean another process.
type process struct {
	main  mainProcess
	file  *os.File
	ended chan struct{} // closed when the process has ended
	wait  sync.WaitGroup
}

// openProcess begins to watch the process that has main's PID now. The caller
// has to make sure, after the call, that it is the one meant. The error is ESRCH
// if there is none, ENOSYS before Linux 5.3.
func openProcess(main mainProcess) (*process, error) {
	fd, err := unix.PidfdOpen(main.pid, 0)
	if err != nil {
		return nil, fmt.Errorf("watching process %d: %w", main.pid, os.NewSyscallError("pidfd_open", err))
	}
	// In this mode, os.NewFile hands the descriptor to the runtime's poller.
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("watching process %d: %w", main.pid, os.NewSyscallError("fcntl", err))
	}
	p := &process{main: main, file: os.NewFile(uintptr(fd), "pidfd"), ended: make(chan struct{})}
	conn, err := p.file.SyscallConn()
	if err != nil {
		p.file.Close()
		return nil, fmt.Errorf("watching process %d: %w", main.pid, err)
	}
	p.wait.Go(func() {
		// It fails when close ends the watch.
		if conn.Read(hasEnded) == nil {
			close(p.ended)
		}
	})
	return p, nil
}

// hasEnded tells whether the process of a pidfd has ended: it is readable then.
func hasEnded(fd uintptr) bool {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	n, err := unix.Poll(fds, 0)
	return err == nil && n == 1 && fds[0].Revents&unix.POLLIN != 0
}

func (p *process) close() {
	p.file.Close()
	p.wait.Wait()
}
