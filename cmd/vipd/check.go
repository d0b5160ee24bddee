package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/vipd/vipd/config"
)

func newCheck(p *paths) *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Validate the configuration",
		Long: `Validate the configuration without starting anything. Exits 1 if the agent would refuse it.
It needs no root, but keys and passwords that only root can read are checked by root
alone: for others it says so, and exits 1 too, for they may be bad.`,
		Example: "  vipd check --config ./vipd.toml",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.Load(p.config)
			if err != nil {
				return err
			}
			if err := secrets(p.config, cfg); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s is valid (VIPs: %d, checks: %d%s)\n", p.config, len(cfg.VIPs), len(cfg.Checks), hooks(cfg))
			return nil
		},
	}
}

// hooks says how many there are, if any.
func hooks(cfg *config.Config) string {
	if len(cfg.Hooks) == 0 {
		return ""
	}
	return fmt.Sprintf(", hooks: %d", len(cfg.Hooks))
}

// secrets reports what is wrong with the keys and passwords that the file names. What
// cannot be read may be bad, so that is a failure too.
func secrets(path string, cfg *config.Config) error {
	err := errors.Join(readKeys(cfg.Auth), readPasswords(cfg.BGP))
	if forbidden(err) {
		return fmt.Errorf("%s is valid, but not everybody may read the keys and passwords that it names: check them as root\n%w", path, err)
	}
	return err
}

// forbidden tells whether want of permission is all that is wrong.
func forbidden(err error) bool {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return errors.Is(err, fs.ErrPermission)
	}
	return !slices.ContainsFunc(joined.Unwrap(), func(e error) bool { return !forbidden(e) })
}

// readKeys reads the keys that can be read here: systemd gives credentials to the
// unit alone.
func readKeys(auth *config.Auth) error {
	if auth == nil {
		return nil
	}
	here := *auth
	if os.Getenv("CREDENTIALS_DIRECTORY") == "" {
		here.Keys = slices.DeleteFunc(slices.Clone(auth.Keys), func(k config.Key) bool { return k.Credential != "" })
	}
	_, err := here.ReadKeys()
	return err
}

// readPasswords reads those of the BGP peers that can be read here.
func readPasswords(b *config.BGP) error {
	if b == nil {
		return nil
	}
	var errs []error
	for _, p := range b.Peers {
		if p.Password.Credential != "" && os.Getenv("CREDENTIALS_DIRECTORY") == "" {
			continue
		}
		_, err := p.ReadPassword()
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
