package docs_test

import (
	"regexp"
	"slices"
	"strings"
)

// command is a simple command of a shell: a program and its arguments.
type command struct {
	words []string
	line  int
}

// others are programs that pages may name and that are not looked at further. A word
// that is not among them is a slip, or belongs here.
var others = strings.Fields(`apt apt-get awk bash cat chmod chronyc chrony cp cut dnf echo etcdctl firewall-cmd grep head install
	ip iptables jq k3s kubectl less mkdir mount mv networkctl nft nmcli openssl ping rm scp sed sh sleep ssh sysctl systemd-delta
	systemd-sysusers tail tar tcpdump tee timedatectl timeout true tshark ufw umask until while reboot poweroff arping promtool curl
	go make git for do done if then fi wc kill dig modprobe man watch pacman export set test [ cd sysctl ln date hostname arp command false seq`)

// ours are those whose arguments are checked.
var ours = []string{"vipd", "systemctl", "journalctl"}

// typed are the commands of a block: all lines of sh, and elsewhere those behind a
// prompt or that begin with a program.
func (b block) typed() []command {
	lines := strings.Split(b.text, "\n")
	var all []command
	for i := 0; i < len(lines); i++ {
		line, number := lines[i], b.line+1+i
		if b.lang == "sh" && strings.HasPrefix(line, "#") {
			continue // where an apostrophe quotes nothing
		}
		if b.lang == "" {
			number--
			if line = behindPrompt(line); line == "" {
				continue
			}
		}
		for unfinished(line) && i+1 < len(lines) {
			i++
			line = strings.TrimSuffix(line, "\\") + "\n" + lines[i]
		}
		for _, words := range split(line) {
			all = append(all, command{words, number})
		}
	}
	return all
}

// prompt is one of root, or of another user.
var prompt = regexp.MustCompile(`^[$#] `)

// behindPrompt returns what was typed in a line, or "" if it was printed.
func behindPrompt(line string) string {
	typed := prompt.ReplaceAllString(line, "")
	first, _, _ := strings.Cut(typed, " ")
	if strings.HasPrefix(line, "$ ") {
		return typed
	}
	if line, first = typed, strings.TrimSuffix(first, ","); slices.Contains(ours, first) || slices.Contains([]string{"sudo", "curl", "make", "go", "install"}, first) {
		return line
	}
	return ""
}

// unfinished tells whether a line goes on in the next one.
func unfinished(line string) bool {
	line = strings.TrimRight(line, " ")
	for _, end := range []string{"\\", "|", "&&", "||"} {
		if strings.HasSuffix(line, end) {
			return true
		}
	}
	return strings.Count(strings.ReplaceAll(line, `'\''`, ""), "'")%2 == 1
}

// split takes a line of shell apart at its operators. What is quoted stays together.
func split(line string) [][]string {
	var all [][]string
	var words []string
	var word strings.Builder
	var quote rune
	inWord := false
	endWord := func() {
		if inWord {
			words = append(words, word.String())
		}
		word.Reset()
		inWord = false
	}
	end := func() {
		endWord()
		if words = bare(words); len(words) > 0 {
			all = append(all, words)
		}
		words = nil
	}
	for _, r := range line {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			quote, inWord = r, true
		case r == '#' && !inWord:
			end()
			return all
		case strings.ContainsRune("|&;()\n", r):
			end()
		case r == ' ' || r == '\t':
			endWord()
		default:
			inWord = true
			word.WriteRune(r)
		}
	}
	end()
	return all
}

var assignment = regexp.MustCompile(`^[A-Z0-9_]+=`)

// bare takes off what stands before a command: sudo, env, another host, a word of
// the shell; and what is for the shell behind it.
func bare(words []string) []string {
	for i, w := range words {
		if regexp.MustCompile(`^\d?[<>]`).MatchString(w) {
			words = words[:i]
			break
		}
	}
	for len(words) > 0 {
		switch w := words[0]; {
		case w == "sudo" || w == "env" || w == "do" || w == "then" || w == "!" || w == "until" || w == "while" || w == "if" || w == "$" || assignment.MatchString(w):
			words = words[1:]
		case w == "ssh" && len(words) > 2:
			words = words[2:]
		case w == "timeout" && len(words) > 2:
			words = words[2:]
		default:
			return words
		}
	}
	return nil
}
