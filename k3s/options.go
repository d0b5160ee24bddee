package k3s

import (
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Options are options of K3s by name, without dashes. One without a value has "".
type Options map[string][]string

// ParseFile reads a file of the configuration. A list may be written as one, or with
// commas. A key keeps the "+" that has its list continue that of earlier files.
func ParseFile(text []byte) (Options, error) {
	var raw map[string]any
	if err := yaml.Unmarshal(text, &raw); err != nil {
		return nil, err
	}
	all := make(Options)
	for key, value := range raw {
		list, ok := value.([]any)
		if !ok {
			list = []any{value}
		}
		for _, v := range list {
			all.add(key, fmt.Sprint(v))
		}
	}
	return all, nil
}

// ParseArguments reads a command line.
func ParseArguments(args []string) Options {
	all := make(Options)
	for i, arg := range args {
		name := strings.TrimLeft(arg, "-")
		if name == arg {
			continue
		}
		name, value, inOne := strings.Cut(name, "=")
		if !inOne && i+1 < len(args) && !strings.HasPrefix(args[i+1], "-") {
			value = args[i+1]
		}
		all.add(name, value)
	}
	return all
}

// add takes a value, which may be a list with commas.
func (o Options) add(name, value string) {
	if name == "d" || name == "c" {
		name = map[string]string{"d": "data-dir", "c": "config"}[name]
	}
	for v := range strings.SplitSeq(value, ",") {
		o[name] = append(o[name], strings.TrimSpace(v))
	}
}

// Then returns what the options are once a later file was read: it replaces those that it
// has, or continues them where it says so with "+".
func (o Options) Then(later Options) Options {
	all := make(Options)
	for name, values := range o {
		all[strings.TrimSuffix(name, "+")] = values
	}
	for name, values := range later {
		plain, continues := strings.CutSuffix(name, "+")
		if continues {
			values = slices.Concat(all[plain], values)
		}
		all[plain] = values
	}
	return all
}

// DropIn is the file that the command of AddSAN writes.
const DropIn = "/etc/rancher/k3s/config.yaml.d/vipd.yaml"

// AddSAN is a command that has K3s name addresses in its certificate from its next
// "k3s certificate rotate" on, whatever else it is told. The command replaces DropIn, so
// before are the names which that has, and addrs those of all VIPs.
func AddSAN(before []string, addrs []netip.Addr) string {
	names := slices.DeleteFunc(slices.Clone(before), strange)
	for _, a := range addrs {
		if !slices.Contains(names, a.String()) {
			names = append(names, a.String())
		}
	}
	var lines strings.Builder
	for _, n := range names {
		fmt.Fprintf(&lines, `- "%s"\n`, n)
	}
	return fmt.Sprintf(`mkdir -p %s && printf 'tls-san+:\n%s' > %s`, path.Dir(DropIn), lines.String(), DropIn)
}

// strange tells whether something is no name for a certificate: a shell might take it for more.
func strange(name string) bool {
	return name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.:*_-") != ""
}
