package bgp

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/vipd/vipd/test/lab"
)

// display is a block of any language.
var display = regexp.MustCompile("(?ms)^```[a-z]*\n(.*?)^```$")

// TestPageOfRouters has BIRD and FRR read what docs/bgp.md shows of their configuration.
// What a router does with the like is seen in the other tests.
func TestPageOfRouters(t *testing.T) {
	lab.Require(t, "bird", frrDir+"/bgpd")
	page, err := os.ReadFile("../../docs/bgp.md")
	must(t, err)
	readers := map[string]func(*testing.T, string) string{"protocol bgp ": readByBIRD, "router bgp ": readByFRR}
	for _, m := range display.FindAllStringSubmatch(string(page), -1) {
		for begin, read := range readers {
			if !strings.HasPrefix(m[1], begin) {
				continue
			}
			delete(readers, begin)
			if said := read(t, m[1]); said != "" {
				t.Errorf("%s: %s", m[1], said)
			}
		}
	}
	if len(readers) > 0 {
		t.Errorf("docs/bgp.md does not show all of them: %v", readers)
	}
}

// readByBIRD returns what BIRD has against a piece of its configuration.
func readByBIRD(t *testing.T, piece string) string {
	file := filepath.Join(t.TempDir(), "bird.conf")
	must(t, os.WriteFile(file, []byte("router id 198.51.100.1;\nprotocol device {}\n"+piece), 0o644))
	out, err := exec.CommandContext(t.Context(), "bird", "-p", "-c", file).CombinedOutput()
	if err != nil {
		return err.Error() + ": " + string(out)
	}
	return ""
}

// readByFRR does so of FRR's, which ends with 0 whatever it has read.
func readByFRR(t *testing.T, piece string) string {
	dir, err := os.MkdirTemp("", "vipd-page-")
	must(t, err)
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	must(t, os.Chmod(dir, 0o755)) // it reads the file as a user of its own
	file := filepath.Join(dir, "bgpd.conf")
	must(t, os.WriteFile(file, []byte(piece), 0o644))
	out, err := exec.CommandContext(t.Context(), frrDir+"/bgpd", "--dryrun", "--config_file", file, "--log", "stdout").CombinedOutput()
	if err != nil {
		return err.Error() + ": " + string(out)
	}
	// It has more to say, of its own files.
	if said := string(out); strings.Contains(said, "config line") || strings.Contains(said, "vty_read_config") {
		return said
	}
	return ""
}
