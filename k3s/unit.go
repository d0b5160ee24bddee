package k3s

import (
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
)

// unitDirs are where systemd looks for units; what is found earlier hides what is later.
func unitDirs() []string {
	return []string{"etc/systemd/system", "run/systemd/system", "usr/local/lib/systemd/system", "usr/lib/systemd/system", "lib/systemd/system"}
}

// unit is what starts a server of K3s.
type unit struct {
	name    string
	command []string          // after "server"
	env     map[string]string // as far as it is written down
}

// servers returns the units that run "k3s server".
func (h *host) servers() []unit {
	names := make(map[string]bool)
	for _, dir := range unitDirs() {
		files, _ := fs.Glob(h.root, dir+"/k3s*.service") // the pattern is ours, and good
		for _, f := range files {
			names[path.Base(f)] = true
		}
	}
	var all []unit
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if u, ok := h.server(name); ok {
			all = append(all, u)
		}
	}
	return all
}

// server reads a unit, and tells whether it runs a server.
func (h *host) server(name string) (unit, bool) {
	u := unit{name: name, env: make(map[string]string)}
	var exec string
	for _, file := range h.fragments(name) {
		for key, value := range service(h.read(file)) {
			switch key {
			case "ExecStart":
				exec = value // an empty one takes back those before
			case "Environment":
				u.export(words(value))
			case "EnvironmentFile":
				u.export(h.environment(strings.TrimPrefix(expand(value, name), "-")))
			}
		}
	}
	command := words(exec)
	for i, w := range command {
		if path.Base(strings.TrimLeft(w, "-@:+!")) != "k3s" {
			continue
		}
		if at := slices.Index(command[i:], "server"); at > 0 {
			u.command = u.arguments(command[i+at+1:])
			return u, true
		}
	}
	return u, false
}

// fragments are the files of a unit in their order: its own, then the drop-ins by name.
func (h *host) fragments(name string) []string {
	var own string
	dropIns := make(map[string]string)
	for _, dir := range unitDirs() {
		file := path.Join(dir, name)
		if _, err := fs.Stat(h.root, file); err == nil && own == "" {
			own = file
		}
		files, _ := fs.Glob(h.root, file+".d/*.conf")
		for _, f := range files {
			if _, hidden := dropIns[path.Base(f)]; !hidden {
				dropIns[path.Base(f)] = f
			}
		}
	}
	list := []string{own}
	for _, base := range slices.Sorted(maps.Keys(dropIns)) {
		list = append(list, dropIns[base])
	}
	return list
}

// service yields the settings of a unit file's section [Service].
func service(text string) func(yield func(key, value string) bool) {
	return func(yield func(key, value string) bool) {
		section := ""
		for line := range strings.Lines(strings.ReplaceAll(text, "\\\n", " ")) {
			line = strings.TrimSpace(line)
			if strings.HasPrefix(line, "[") {
				section = line
			}
			key, value, ok := strings.Cut(line, "=")
			if !ok || section != "[Service]" || strings.ContainsAny(line[:1], "#;") {
				continue
			}
			if !yield(strings.TrimSpace(key), strings.TrimSpace(value)) {
				return
			}
		}
	}
}

// expand puts in what the specifiers of a name stand for.
func expand(s, name string) string {
	return strings.NewReplacer("%n", name, "%N", strings.TrimSuffix(name, ".service")).Replace(s)
}

// environment reads the assignments of a file, a line each. One that is not there has none.
func (h *host) environment(file string) []string {
	var all []string
	for line := range strings.Lines(h.read(below(file))) {
		if line = strings.TrimSpace(line); line != "" && !strings.ContainsAny(line[:1], "#;") {
			key, value, _ := strings.Cut(line, "=")
			all = append(all, key+"="+strings.Trim(value, `"'`))
		}
	}
	return all
}

func (u *unit) export(assignments []string) {
	for _, a := range assignments {
		if key, value, ok := strings.Cut(a, "="); ok {
			u.env[key] = value
		}
	}
}

// arguments puts in the variables. One that stands alone may be several words.
func (u *unit) arguments(list []string) []string {
	var all []string
	for _, w := range list {
		name, alone := strings.CutPrefix(w, "$")
		if value, known := u.env[name]; alone && known {
			all = append(all, strings.Fields(value)...)
			continue
		}
		for key, value := range u.env {
			w = strings.ReplaceAll(w, "${"+key+"}", value)
		}
		all = append(all, w)
	}
	return all
}

// words splits a line as systemd does, but for escapes other than of quotes and spaces.
func words(line string) []string {
	var (
		all   []string
		word  strings.Builder
		quote rune
		begun bool
		plain bool // the next rune is just that
	)
	for _, r := range line {
		switch {
		case plain:
			word.WriteRune(r)
			plain = false
		case r == '\\':
			plain, begun = true, true
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '\'' || r == '"'):
			quote, begun = r, true
		case quote == 0 && (r == ' ' || r == '\t'):
			if begun {
				all = append(all, word.String())
			}
			word.Reset()
			begun = false
		default:
			word.WriteRune(r)
			begun = true
		}
	}
	if begun {
		all = append(all, word.String())
	}
	return all
}
