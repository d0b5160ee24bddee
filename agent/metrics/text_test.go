package metrics

import (
	"flag"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/vipd/vipd/test/lab"
)

var rewrite = flag.Bool("rewrite", false, "write testdata/scrape.txt anew")

// A scrape of a given agent, line by line: names, units, labels and help are for others
// to build on.
func TestScrape(t *testing.T) {
	const golden = "testdata/scrape.txt"
	got := ours(scrape(t, anAgent()))
	if *rewrite {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// ours leaves out what the process and the runtime say.
func ours(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		name := strings.TrimPrefix(strings.TrimPrefix(line, "# HELP "), "# TYPE ")
		if strings.HasPrefix(name, "vipd_") {
			b.WriteString(strings.ReplaceAll(line, runtime.Version(), "go1"))
		}
	}
	return b.String()
}

// Of the process a scrape has what tells of leaks and starvation.
func TestProcess(t *testing.T) {
	text := scrape(t, anAgent())
	for _, want := range []string{"process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds", "go_goroutines"} {
		if !strings.Contains(text, "\n"+want+" ") {
			t.Errorf("no %s", want)
		}
	}
	if n := strings.Count(text, "# TYPE go_"); n != 1 {
		t.Errorf("%d metrics of the runtime", n)
	}
}

// An agent that has nothing yet can be scraped.
func TestScrapeNothing(t *testing.T) {
	if got := scrape(t, fixed{}); !strings.Contains(got, "vipd_drained 0\n") || strings.Contains(got, "vipd_router") {
		t.Errorf("%s", got)
	}
}

// What an operator calls something cannot end a line or a label.
func TestEscape(t *testing.T) {
	want := `x{a="1",b="q\"\\\n�"} 0.25`
	if got := sample("x", []string{"a", "b"}, []string{"1", "q\"\\\n\xff"}, 0.25); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// What Prometheus' own tool thinks of names, units and help, and of the alerts.
func TestPromtool(t *testing.T) {
	tool, err := exec.LookPath("promtool")
	if err != nil {
		lab.Miss(t, "promtool (package prometheus)")
	}
	for name, args := range map[string][]string{
		"metrics":    {"check", "metrics"},
		"rules":      {"check", "rules", "../../packaging/prometheus/vipd.rules.yml"},
		"test rules": {"test", "rules", "testdata/vipd.rules.test.yml"},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), tool, args...)
			cmd.Stdin = strings.NewReader(ours(scrape(t, anAgent())))
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
			}
		})
	}
}
