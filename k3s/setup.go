package k3s

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"path"
	"slices"
	"strings"
)

// Setup is how a server of K3s is set up on a host. What is empty is as K3s has it by
// default.
type Setup struct {
	// Unit runs the server; "" where there is none yet.
	Unit string
	// Others are further units that do: which of them is meant is unclear.
	Others []string

	DataDir, Port Found
	// InDropIn are the names for the certificate in the file that AddSAN writes.
	InDropIn []string
	sans     []string
}

// Found is a value, and where it was found.
type Found struct{ Value, In string }

// Names tells whether K3s was told to name an address in its certificate.
func (s Setup) Names(a netip.Addr) bool {
	return slices.ContainsFunc(s.sans, func(san string) bool {
		named, err := netip.ParseAddr(san)
		return err == nil && named == a
	})
}

// DefaultUnit is the name that the installer gives to a server's unit.
const DefaultUnit = "k3s.service"

// configFile is where K3s looks for its configuration unless told otherwise.
const configFile = "etc/rancher/k3s/config.yaml"

// Look reads a host, whose file system begins at root. The error says what could not be
// read; the setup is right but for that.
func Look(root fs.FS) (Setup, error) {
	h := &host{root: root}
	var s Setup
	var u unit
	if all := h.servers(); len(all) > 0 {
		at := max(0, slices.IndexFunc(all, func(u unit) bool { return u.name == DefaultUnit }))
		u = all[at]
		s.Unit = u.name
		if u.name != DefaultUnit {
			for _, other := range all[1:] {
				s.Others = append(s.Others, other.name)
			}
		}
	}
	s.note("the environment of "+u.name, fromEnv(u.env))
	flags := ParseArguments(u.command)
	for _, file := range h.files(flags, u.env) {
		options, err := ParseFile([]byte(h.read(file)))
		if err != nil {
			h.errs = append(h.errs, fmt.Errorf("read /%s: %w", file, err))
			continue
		}
		s.note("/"+file, options)
		if "/"+file == DropIn {
			s.InDropIn = Options{}.Then(options)["tls-san"]
		}
	}
	s.noteFlags(u.name, flags)
	return s, errors.Join(h.errs...)
}

// fromEnv returns the option that may be given by a variable as well.
func fromEnv(env map[string]string) Options {
	if dir := env["K3S_DATA_DIR"]; dir != "" {
		return Options{"data-dir": {dir}}
	}
	return nil
}

// note takes what a source says that outranks those before.
func (s *Setup) note(in string, o Options) {
	for name, to := range map[string]*Found{"data-dir": &s.DataDir, "https-listen-port": &s.Port} {
		if values := o[name]; len(values) > 0 {
			*to = Found{Value: values[len(values)-1], In: name + " in " + in}
		}
	}
	merged := Options{"tls-san": s.sans}.Then(o)
	s.sans = merged["tls-san"]
}

// noteFlags is note for the command line, whose lists continue those of the files.
func (s *Setup) noteFlags(unit string, o Options) {
	before := s.sans
	s.note(unit, o)
	s.sans = append(slices.Clone(before), o["tls-san"]...)
}

// host is a file system, and what could not be read of it.
type host struct {
	root fs.FS
	errs []error
}

// files are those of the configuration, in their order.
func (h *host) files(flags Options, env map[string]string) []string {
	file := configFile
	if at := flags["config"]; len(at) > 0 {
		file = at[0]
	}
	if at := env["K3S_CONFIG_FILE"]; at != "" {
		file = at
	}
	file = below(file)
	return append([]string{file}, h.dropIns(file+".d")...)
}

// below is a path as seen from the root.
func below(file string) string { return strings.TrimPrefix(path.Clean(file), "/") }

func (h *host) dropIns(dir string) []string {
	entries, err := fs.ReadDir(h.root, dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		h.errs = append(h.errs, fmt.Errorf("read how K3s is set up: %w", err))
	}
	var list []string
	for _, e := range entries {
		if ext := path.Ext(e.Name()); !e.IsDir() && (ext == ".yaml" || ext == ".yml") {
			list = append(list, path.Join(dir, e.Name()))
		}
	}
	return list
}

// read returns the text of a file, none if it is not there.
func (h *host) read(file string) string {
	if file == "" {
		return ""
	}
	text, err := fs.ReadFile(h.root, file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		h.errs = append(h.errs, fmt.Errorf("read how K3s is set up: %w", err))
	}
	return string(text)
}
