package doctor

import (
	"context"
	"fmt"
	"net"

	"golang.org/x/sys/unix"

	"github.com/vipd/vipd/agent/control"
)

// hostAgent is the agent behind a control socket.
type hostAgent struct {
	*control.Client
	socket string
}

func newHostAgent(socket string) hostAgent { return hostAgent{control.NewClient(socket), socket} }

// Process is who listens on the socket, as the kernel knows.
func (a hostAgent) Process(ctx context.Context) (int, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", a.socket)
	if err != nil {
		return 0, fmt.Errorf("ask for the agent's process: %w", err)
	}
	defer conn.Close()
	raw, err := conn.(*net.UnixConn).SyscallConn()
	if err != nil {
		return 0, err
	}
	var peer *unix.Ucred
	var failed error
	if err := raw.Control(func(fd uintptr) { peer, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); err != nil {
		return 0, err
	}
	if failed != nil {
		return 0, fmt.Errorf("ask for the agent's process: %w", failed)
	}
	return int(peer.Pid), nil
}
