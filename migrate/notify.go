package migrate

import (
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/vipd/vipd/config"
)

// hookTime is vipd's default: keepalived lets a script run for as long as it likes.
const hookTime = 30 * time.Second

// notified is a notify_* line of an instance.
type notified struct {
	line     *directive
	instance string // as keepalived calls it
	vip      string // as vipd does
}

// moment is when keepalived runs a script, and when vipd does.
type moment struct {
	on   []config.Happening
	only string // shell: the rest of the condition
	args bool   // keepalived adds what happened to the arguments
	note string
}

// A server where the agent ends is in Initialize, as is one without its interface.
// keepalived tells the two apart.
const (
	ending    = `[ "$VIPD_CODE" = shutdown ] || exit 0; `
	notEnding = `[ "$VIPD_CODE" != shutdown ] || exit 0; `
)

const faults = ". An API server that fails is no fault: once the VIP has moved that is \"backup\", and \"down\" tells of the server itself"

func momentOf(name string) (moment, bool) {
	switch name {
	case "notify_master":
		return moment{on: []config.Happening{config.OnActive}}, true
	case "notify_backup":
		return moment{on: []config.Happening{config.OnBackup}}, true
	case "notify_fault":
		return moment{on: []config.Happening{config.OnInitialize}, only: notEnding, note: faults}, true
	case "notify_stop":
		return moment{on: []config.Happening{config.OnInitialize}, only: ending}, true
	case "notify":
		return moment{on: []config.Happening{config.OnActive, config.OnBackup, config.OnInitialize}, args: true, note: faults}, true
	}
	return moment{}, false
}

// hooks translates the scripts that are run on a change of state.
func (k *keepalived) hooks() {
	for _, n := range k.notify {
		m, ok := momentOf(n.line.name())
		if !ok {
			k.remark(n.line, remediesOfNotify)
			continue
		}
		command := commandLine(n.line.words[1:min(2, len(n.line.words))]) // behind it are a user and a group
		if len(command) == 0 {
			k.notes.add(n.line.at, n.line.name(), "left out: it names no script")
			continue
		}
		k.plan.Hooks = append(k.plan.Hooks, config.Hook{On: m.on, Command: m.wrap(command, n, len(k.plan.VIPs) > 1), Timeout: hookTime})
		k.notes.once(n.line.at, n.line.name(), fmt.Sprintf("became a [[hook]] on %s. It needs the drop-in exec-checks.conf, runs as the user vipd and is killed after %.0f s: try it as that one%s",
			strings.Trim(list(m.on, quoteHappening), "[]"), hookTime.Seconds(), m.note))
	}
}

func quoteHappening(h config.Happening) string { return quote(string(h)) }

// wrap returns a command that runs a script as keepalived would: for its own VIP, at
// its moment, and with the arguments that keepalived adds.
func (m moment) wrap(command []string, n notified, several bool) []string {
	var conditions, arguments string
	if several {
		conditions = fmt.Sprintf(`[ "$VIPD_VIP" = %s ] || exit 0; `, shellQuote(n.vip))
	}
	conditions += m.only
	if m.args {
		conditions += `case $VIPD_STATE/$VIPD_CODE in Active/*) s=MASTER;; Backup/*) s=BACKUP;; */shutdown) s=STOP;; *) s=FAULT;; esac; `
		arguments = fmt.Sprintf(` INSTANCE %s $s "${VIPD_PRIORITY:-0}"`, shellQuote(n.instance))
	}
	if conditions == "" {
		return command
	}
	if inShell(command) {
		return []string{command[0], command[1], conditions + command[2] + arguments}
	}
	return append([]string{"/bin/sh", "-c", conditions + `exec "$0" "$@"` + arguments}, command...)
}

// commandLine returns the program and the arguments that a script is given as, through
// a shell where it takes one.
func commandLine(text []string) []string {
	for i, w := range text {
		text[i] = strings.ReplaceAll(w, "\x00", "")
	}
	if strings.TrimSpace(strings.Join(text, "")) == "" {
		return nil
	}
	if len(text) > 1 && path.IsAbs(text[0]) {
		return text
	}
	// keepalived splits a string at blanks, with single quotes for arguments.
	if len(text) == 1 && path.IsAbs(text[0]) && !shell().MatchString(text[0]) {
		return arguments(text[0])
	}
	return []string{"/bin/sh", "-c", strings.Join(text, " ")}
}

// inShell tells whether commandLine chose a shell.
func inShell(command []string) bool {
	return len(command) == 3 && command[0] == "/bin/sh" && command[1] == "-c"
}

// shellQuote makes one word of s.
func shellQuote(s string) string {
	s = strings.ReplaceAll(s, "\x00", "")
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
