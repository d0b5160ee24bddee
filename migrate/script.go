package migrate

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/vipd/vipd/config"
)

const defaultURL = "https://127.0.0.1:6443"

// Compiled when they are needed: the agent is the same program, and never does.
var (
	asksAPI = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?i)6443|readyz|livez|healthz|k3s|kube|api-?_?server|check_?-?api`)
	})
	localAPI = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`https://(?:localhost|127\.0\.0\.1|\[::1\]):(\d{1,5})(?:/\w*)?(?:\s|$|['"])`)
	})
	shell = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile("[|&;<>()$`*?~]") })
)

// track notes which scripts an instance goes by.
func (r *instance) track(d *directive) {
	for _, line := range d.block {
		name := line.name()
		script := r.k.script(name)
		if !r.k.holds(line) || script == nil {
			r.k.notes.add(line.at, name, "left out: there is no such vrrp_script here")
			continue
		}
		if weighted(line, script) {
			r.k.notes.add(line.at, name, "its weight was left out: with vipd a failing check ranks below every server that is ready, whatever the priorities")
		}
		if !slices.Contains(r.k.tracked, name) {
			r.k.tracked = append(r.k.tracked, name)
		}
	}
}

// script returns the vrrp_script of that name, nil if there is none.
func (k *keepalived) script(name string) *directive {
	for _, d := range k.scripts {
		if d.arg(0) == name {
			return d
		}
	}
	return nil
}

// weighted tells whether a script changes the priority instead of ending the turn.
func weighted(line, script *directive) bool {
	if line.arg(0) == "weight" {
		return line.arg(1) != "0"
	}
	return slices.ContainsFunc(script.block, func(d *directive) bool { return d.name() == "weight" && d.arg(0) != "0" })
}

// checks translates the scripts. The one that asks the API server is what vipd does
// by itself.
func (k *keepalived) checks() {
	api := config.Default().Checks[0]
	var others []config.Check
	for _, name := range k.tracked {
		d := k.script(name)
		command := commandOf(d)
		what := "vrrp_script " + name
		switch {
		case len(command) == 0:
			k.notes.add(d.at, what, "left out: it has no script")
		case asksAPI().MatchString(strings.Join(command, " ")):
			k.notes.add(d.at, what, "the K3s probe does it: it asks the API server of this host for /readyz. If the script asks more, add a [[check]] of type \"exec\"")
			api.URL = localURL(command, api.URL)
		default:
			others = append(others, execCheck(d, command))
			k.notes.add(d.at, what, "became a [[check]] of type \"exec\", beside the K3s probe. It needs the drop-in exec-checks.conf and runs as the user vipd: try it as that one")
		}
	}
	for _, d := range k.scripts {
		if !slices.Contains(k.tracked, d.arg(0)) {
			k.notes.add(d.at, "vrrp_script "+d.arg(0), "left out: no vrrp_instance goes by it")
		}
	}
	if len(others) > 0 || api.URL != defaultURL {
		k.plan.Checks = append([]config.Check{api}, others...)
	}
}

// commandOf returns the program and arguments of a vrrp_script.
func commandOf(d *directive) []string {
	var text []string
	for _, line := range d.block {
		if line.name() == "script" {
			text = line.words[1:]
		}
	}
	return commandLine(text)
}

// arguments splits a command at blanks outside of quotes.
func arguments(text string) []string {
	var list []string
	var b strings.Builder
	inside, quote := false, rune(0)
	for _, c := range text + " " {
		switch {
		case c == quote:
			quote = 0
		case quote == 0 && (c == '\'' || c == '"'):
			inside, quote = true, c
		case quote == 0 && (c == ' ' || c == '\t'):
			if inside {
				list = append(list, b.String())
			}
			b.Reset()
			inside = false
		default:
			inside = true
			b.WriteRune(c)
		}
	}
	return list
}

// localURL returns where the command asks this host, if vipd can ask there.
func localURL(command []string, otherwise string) string {
	m := localAPI().FindStringSubmatch(strings.Join(command, " "))
	if m == nil {
		return otherwise
	}
	port, err := strconv.Atoi(m[1])
	if err != nil || port < 1 || port > 65535 || port == 6444 {
		return otherwise
	}
	return fmt.Sprintf("https://127.0.0.1:%d", port)
}

func execCheck(d *directive, command []string) config.Check {
	c := config.Check{Type: config.CheckExec, Command: command, Interval: time.Second, Fall: 1, Rise: 1}
	for _, line := range d.block {
		v, _ := seconds(line.arg(0))
		n, _ := strconv.Atoi(line.arg(0))
		switch line.name() {
		case "interval":
			c.Interval = v
		case "timeout":
			c.Timeout = v
		case "fall":
			c.Fall = n
		case "rise":
			c.Rise = n
		}
	}
	if c.Timeout == 0 {
		c.Timeout = c.Interval // as with keepalived
	}
	c.Interval = min(max(c.Interval, 100*time.Millisecond), time.Minute)
	c.Timeout = min(max(c.Timeout, time.Millisecond), time.Minute)
	c.Fall, c.Rise = min(max(c.Fall, 1), 100), min(max(c.Rise, 1), 100)
	return c
}
