package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/signal"
	"syscall"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/vipd/vipd/test/standin/apiserver"
	"github.com/vipd/vipd/test/standin/pki"
)

// serveOptions are the flags of serve.
type serveOptions struct {
	pki     pki.Config
	listen  string
	plain   string
	name    string
	nodeIP  []string
	control string
	phase   string
	scale   float64

	flannelIface string
	nodeIPFile   string
}

func serveCommand() *cobra.Command {
	var o serveOptions
	cmd := &cobra.Command{
		Use:     "serve",
		Aliases: []string{"server"},
		Short:   "Serve as the API of a K3s server",
		Long: `Serves as the API of a K3s server until SIGTERM or SIGINT. Certificates that are
missing are made. Under systemd it says when it is ready. Flags that only K3s
knows are ignored, so that it can take the place of "k3s server" in a unit.`,
		Args:               cobra.ArbitraryArgs,
		FParseErrWhitelist: cobra.FParseErrWhitelist{UnknownFlags: true},
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, syscall.SIGINT)
			defer stop()
			return serve(ctx, o)
		},
	}
	host, _ := os.Hostname()
	flags := cmd.Flags()
	pkiFlags(flags, &o.pki)
	flags.StringVar(&o.listen, "listen", ":6443", "address of the API")
	flags.StringVar(&o.plain, "plain", "", "address of a port without TLS that tells the node's name")
	flags.StringVar(&o.name, "name", host, "node name, told to clients")
	flags.StringSliceVar(&o.nodeIP, "node-ip", nil, "addresses of the node, for the serving certificate")
	flags.StringVar(&o.nodeIPFile, "node-ip-file", "", "file to write the node's address to, which without --node-ip is chosen as K3s does")
	flags.StringVar(&o.flannelIface, "flannel-iface", "", "interface whose only address is chosen then")
	flags.StringVar(&o.control, "control", "", "control socket (default: none)")
	flags.StringVar(&o.phase, "phase", string(apiserver.Start), "mode to begin with, such as start or ready")
	flags.Float64Var(&o.scale, "start-scale", 1, "factor for the times of a start")
	return cmd
}

func serve(ctx context.Context, o serveOptions) error {
	mode, err := apiserver.ParseMode(o.phase)
	if err != nil {
		return err
	}
	if err := o.settleNodeIP(); err != nil {
		return err
	}
	o.pki.SANs = append(append(o.pki.SANs, o.name), o.nodeIP...)
	if err := pki.Ensure(o.pki); err != nil {
		return err
	}
	id, err := pki.Load(o.pki.DataDir)
	if err != nil {
		return err
	}
	opts := apiserver.Options{Name: o.name, Identity: id, Listen: listenTCP(o.listen), Mode: mode, StartScale: o.scale}
	if o.plain != "" {
		opts.Plain = listenTCP(o.plain)
	}
	srv := apiserver.New(opts)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return srv.Run(ctx) })
	g.Go(func() error { return notify(ctx, srv) })
	if o.control != "" {
		g.Go(func() error { return serveControl(ctx, srv, o.control) })
	}
	return g.Wait()
}

func listenTCP(address string) func() (net.Listener, error) {
	return func() (net.Listener, error) { return net.Listen("tcp", address) }
}

// notify tells systemd when the server is ready; without systemd it tells nobody.
func notify(ctx context.Context, srv *apiserver.Server) error {
	select {
	case <-srv.Ready():
	case <-ctx.Done():
		return nil
	}
	if _, err := daemon.SdNotify(false, daemon.SdNotifyReady); err != nil {
		return fmt.Errorf("tell systemd: %w", err)
	}
	return nil
}

// serveControl takes the place of a socket that a killed predecessor left.
func serveControl(ctx context.Context, srv *apiserver.Server, path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove old control socket: %w", err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return fmt.Errorf("open control socket: %w", err)
	}
	return srv.ServeControl(ctx, l)
}
