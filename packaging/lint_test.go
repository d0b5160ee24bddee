package packaging_test

import (
	"os/exec"
	"slices"
	"testing"

	"github.com/vipd/vipd/test/lab"
)

// TestLintian allows what deb/lintian-overrides explains, and nothing else.
func TestLintian(t *testing.T) {
	lab.Require(t, "lintian")
	lint(t, "lintian", "--allow-root", "--profile", "debian", "--display-info", "--fail-on", "error,warning,info", made(t, "*_amd64.deb"))
}

// TestRPMLint allows what rpm/rpmlint.toml explains.
func TestRPMLint(t *testing.T) {
	lab.Require(t, "rpmlint")
	lint(t, "rpmlint", "--strict", "--config", "rpm/rpmlint.toml", made(t, "*.x86_64.rpm"))
}

func TestShellcheck(t *testing.T) {
	lab.Require(t, "shellcheck")
	scripts := []string{"deb/postinst", "deb/postrm", "deb/prerm", "rpm/post", "rpm/posttrans", "rpm/postun", "rpm/preun", "install", "reproduce"}
	lint(t, "shellcheck", slices.Concat([]string{"--shell=sh"}, scripts)...)
}

func lint(t *testing.T, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(cmd.Environ(), "TMPDIR="+t.TempDir()) // lintian leaves files behind
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", name, err, out)
	}
}
