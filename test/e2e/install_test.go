package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// inSection and inBlock find the commands of "## Install": fenced blocks of sh, each
// of which begins with the comment onEvery.
var (
	inSection = regexp.MustCompile(`(?ms)^## Install\n(.*?)^## `)
	inBlock   = regexp.MustCompile("(?ms)^```sh\n(.*?)^```$")
)

var inComment = regexp.MustCompile(`#[^\n]*`)

const onEvery = "# on every server"

// installation reads the commands of the README. They are run as they stand, but for
// the one address that is the reader's own: 192.0.2.100 is 198.51.100.100 here.
func installation(readme string) ([]string, error) {
	section := inSection.FindStringSubmatch(readme)
	if section == nil {
		return nil, errors.New(`the README has no section "Install"`)
	}
	var commands []string
	for _, block := range inBlock.FindAllStringSubmatch(section[1], -1) {
		where, lines, _ := strings.Cut(block[1], "\n")
		if where != onEvery {
			return nil, fmt.Errorf("a block of sh in the README's installation begins with %q, not with %q", where, onEvery)
		}
		for line := range strings.Lines(lines) {
			commands = append(commands, strings.ReplaceAll(strings.TrimSpace(line), "192.0.2.100", "198.51.100.100"))
		}
	}
	if len(commands) == 0 {
		return nil, errors.New("the README's installation has no commands")
	}
	return commands, nil
}

// install does what the README says, on one server after the other, as an
// administrator who has the package in the home directory. It waits until one of
// them holds the VIP.
func (s *site) install(ctx context.Context, t *testing.T) error {
	file, err := current.file()
	if err != nil {
		return err
	}
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		return fmt.Errorf("read the commands of the installation: %w", err)
	}
	commands, err := installation(string(readme))
	if err != nil {
		return err
	}
	for _, n := range s.nodes {
		if err := n.CopyIn(file, "/home/admin/"+filepath.Base(file)); err != nil {
			return err
		}
		for _, c := range commands {
			out, err := n.admin(ctx, c)
			t.Logf("admin@%s$ %s\n%s", n.name, c, out)
			if err != nil {
				return err
			}
		}
	}
	if err := s.sameConfig(); err != nil {
		return err
	}
	return s.normal(ctx)
}

// sameConfig wants vipd init to have come to the same file everywhere, but for the
// comments, which say how it did.
func (s *site) sameConfig() error {
	var first string
	for _, n := range s.nodes {
		text, err := os.ReadFile(n.Path("/etc/vipd/vipd.toml"))
		if err != nil {
			return fmt.Errorf("%s: %w", n.name, err)
		}
		options := inComment.ReplaceAllString(string(text), "")
		if first == "" {
			first = options
		}
		if diff := cmp.Diff(first, options); diff != "" {
			return fmt.Errorf("vipd.toml of %s is another than that of %s: %s", n.name, s.nodes[0].name, diff)
		}
	}
	return nil
}

func TestInstallationIsReadFromTheReadme(t *testing.T) {
	commands, err := installation("# x\n\n## Install\n\nText.\n\n```sh\n# on every server\nsudo one\nsudo init --address 192.0.2.100  # really\n```\n\n" +
		"    not this\n\n```toml\nnor = \"this\"\n```\n\n```sh\n# on every server\nsudo two\n```\n\n## More\n\n```sh\nno\n```\n")
	must(t, err)
	want := []string{"sudo one", "sudo init --address 198.51.100.100  # really", "sudo two"}
	if diff := cmp.Diff(want, commands); diff != "" {
		t.Errorf("commands (-want +got):\n%s", diff)
	}
	for name, readme := range map[string]string{
		"no section":  "# x\n",
		"no commands": "## Install\n\n## More\n",
		"no place":    "## Install\n\n```sh\nsudo one\n```\n\n## More\n",
	} {
		if _, err := installation(readme); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
