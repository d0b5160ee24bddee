package main

import (
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/vipd/vipd/test/standin/pki"
)

func pkiCommand() *cobra.Command {
	var c pki.Config
	cmd := &cobra.Command{
		Use:     "pki",
		Short:   "Lay out the certificates of a K3s server",
		Example: "  standin pki --data-dir /var/lib/rancher/k3s --ca-dir /srv/ca --san 203.0.113.9",
		Args:    cobra.NoArgs,
		RunE:    func(*cobra.Command, []string) error { return pki.Ensure(c) },
	}
	pkiFlags(cmd.Flags(), &c)
	return cmd
}

// pkiFlags are the flags of every command that lays out certificates.
func pkiFlags(fs *pflag.FlagSet, c *pki.Config) {
	fs.StringVarP(&c.DataDir, "data-dir", "d", "/var/lib/rancher/k3s", "where K3s would keep its state")
	fs.StringVar(&c.CADir, "ca-dir", "", "directory of the authorities that all nodes share, made if missing")
	fs.StringSliceVar(&c.SANs, "san", nil, "address or name for the serving certificate, such as the virtual IP (also --tls-san)")
	fs.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if name == "tls-san" { // K3s's word for it
			name = "san"
		}
		return pflag.NormalizedName(name)
	})
}
