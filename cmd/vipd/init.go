package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/vipd/vipd/agent"
	"github.com/vipd/vipd/config"
)

// initFlags are what vipd init is told.
type initFlags struct {
	addrs  []string
	wish   agent.Wish
	output string
	force  bool

	mode    string
	localAS uint32
	peers   []string

	fromKeepalived, fromKubeVip string
}

func newInit(p *paths) *cobra.Command {
	var in initFlags
	cmd := &cobra.Command{
		Use:   "init --address A | --from-keepalived FILE | --from-kube-vip FILE",
		Short: "Write a commented configuration from what is found on this host",
		Long: `Write a commented vipd.toml. What is not given is found out: the interface from its
subnet, the VRID by listening for those in use, the data directory, port and unit of K3s
where they are not the usual ones. The same file serves all servers; a server that hears
the others advertise the address joins them. Any other address that somebody answers for
is refused, and so is a VRID that others use. It takes three seconds, and root.

With --from-keepalived or --from-kube-vip it translates an existing setup, and says for
all that has no place in vipd.toml what to do. docs/migrate.md has the order in which to
change the servers.`,
		Example: `  vipd init --address 192.0.2.100
  vipd init --address 192.0.2.100 --address 2001:db8::100 --vrid 51 --output -
  vipd init --mode bgp --address 203.0.113.100 --local-as 64512 --peer 198.51.100.1@64600
  vipd init --from-keepalived /etc/keepalived/keepalived.conf
  vipd init --from-kube-vip /var/lib/rancher/k3s/server/manifests/kube-vip.yaml --vrid 51`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if in.output == "" {
				in.output = p.config
			}
			in.wish.RuntimeDir = p.runtimeDir
			return in.run(cmd)
		},
	}
	f := cmd.Flags()
	f.StringSliceVar(&in.addrs, "address", nil, "the virtual `address`; may be given for IPv4 and IPv6")
	f.Var(filled{&in.mode}, "mode", "how the network is told where it is: bgp, or vrrp as without this flag")
	f.Var(number[uint32]{&in.localAS, 1, math.MaxUint32}, "local-as", "the AS `number` of this node; with --mode bgp")
	f.StringSliceVar(&in.peers, "peer", nil, "a router to announce to, as `address@number` with its AS number; with --mode bgp, once for each")
	f.Var(filled{&in.wish.Interface}, "interface", "the `interface` to put it on (default: the one whose subnet holds it)")
	f.Var(number[uint8]{&in.wish.VRID, 1, 255}, "vrid", "the VRID, 1 to 255 (default: that of the servers which have the addresses already, else a free one)")
	f.Var(number[uint8]{&in.wish.Priority, 100, 254}, "priority", "the priority, 100 to 254 (default 200)")
	f.Var(span{&in.wish.AdvertInterval, 10 * time.Millisecond, 40950 * time.Millisecond, 10 * time.Millisecond}, "advert-interval", "time between advertisements, 10ms to 40.95s (default 250ms)")
	f.Var(filled{&in.fromKeepalived}, "from-keepalived", "translate this keepalived.conf (`file`)")
	f.Var(filled{&in.fromKubeVip}, "from-kube-vip", "translate this manifest of kube-vip (`file`)")
	f.Var(filled{&in.output}, "output", "`file` to write, - for standard output (default: that of --config)")
	f.BoolVar(&in.force, "force", false, "overwrite the file")
	return cmd
}

func (in *initFlags) run(cmd *cobra.Command) error {
	if err := in.parseAddrs(); err != nil {
		return err
	}
	if err := in.oneSource(cmd); err != nil {
		return err
	}
	if err := in.checkMode(cmd); err != nil {
		return err
	}
	if err := in.checkOutput(); err != nil {
		return err
	}
	text, err := in.render(cmd)
	if err != nil {
		return err
	}
	if in.output == "-" {
		_, err := cmd.OutOrStdout().Write(text)
		return err
	}
	if err := write(in.output, text, in.force); err != nil {
		return err
	}
	if in.translates() {
		fmt.Fprintf(cmd.OutOrStdout(), "wrote %s; do %s\n", in.output, nextSteps)
		return nil
	}
	fmt.Fprintf(cmd.OutOrStdout(), "wrote %s:\n\n%s\nNow do %s\n", in.output, chosen(text), nextSteps)
	return nil
}

const nextSteps = "the same on the other servers, or copy it there. Then on each: systemctl enable --now vipd"

// chosen is what a new file says, and why, without the preface that every one has.
func chosen(text []byte) string {
	_, tables, _ := bytes.Cut(text, []byte("\n\n"))
	var out strings.Builder
	for line := range strings.Lines(string(tables)) {
		if line != "\n" {
			out.WriteString("  ")
		}
		out.WriteString(line)
	}
	return out.String()
}

// render makes the text of the configuration.
func (in *initFlags) render(cmd *cobra.Command) ([]byte, error) {
	if in.translates() {
		return in.translate(cmd)
	}
	if in.mode == "bgp" {
		return in.renderBGP(cmd)
	}
	found, err := agent.Discover(cmd.Context(), in.wish)
	if err != nil {
		return nil, err
	}
	return in.renderDraft(cmd, found.Draft, found.Notes)
}

// renderDraft adds how K3s is set up on this host, and prints what is to be known.
func (in *initFlags) renderDraft(cmd *cobra.Command, d config.Draft, notes []string) ([]byte, error) {
	notes = append(notes, agent.FindK3s(os.DirFS("/"), &d)...)
	text, err := d.Render()
	if err != nil {
		return nil, err
	}
	for _, n := range notes {
		fmt.Fprintln(cmd.ErrOrStderr(), "note: "+n)
	}
	return text, nil
}

func (in *initFlags) parseAddrs() error {
	for _, s := range in.addrs {
		a, err := netip.ParseAddr(s)
		if err != nil {
			return usageError{fmt.Errorf("--address %s is not an IP address: write it without a prefix length, as in 192.0.2.100", s)}
		}
		in.wish.Addresses = append(in.wish.Addresses, a)
	}
	if len(in.wish.Addresses) == 0 && !in.translates() {
		return usageError{errors.New("--address is missing: say which IP address the cluster's API is to have")}
	}
	return nil
}

// checkOutput refuses a file that is there, before time is spent on what would be in it.
func (in *initFlags) checkOutput() error {
	if in.force || in.output == "-" {
		return nil
	}
	_, err := os.Lstat(in.output)
	switch {
	case err == nil:
		return fmt.Errorf("%s exists: edit it, or overwrite it with --force", in.output)
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("cannot see whether %s exists: run vipd init as root, or write elsewhere with --output", in.output)
	}
	return fmt.Errorf("see whether the configuration exists: %w", err)
}

// write creates the file; only force replaces one that is there.
func write(path string, text []byte, force bool) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("make the directory of the configuration: %w", err)
	}
	flags := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if force {
		flags = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	}
	f, err := os.OpenFile(path, flags, 0o644)
	if err != nil {
		return fmt.Errorf("write the configuration: %w", err)
	}
	if _, err := f.Write(text); err != nil {
		return errors.Join(fmt.Errorf("write the configuration: %w", err), f.Close())
	}
	return f.Close()
}
