package docs_test

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vipd/vipd/test/cluster"
)

// operations are the sections of docs/operations.md that need no systemd: what is done
// to the Active, and how it is undone. In between the second server takes over.
var operations = map[string][2]func(*cluster.Cluster, *cluster.Server) error{
	"Restart, reload, upgrade": {restart, nil},
	"Drain":                    {vipd("drain", "--wait"), vipd("resume")},
	"Stop":                     {stop, start},
	"K3s hangs":                {api(syscall.SIGSTOP), api(syscall.SIGCONT)},
	"A server dies": {
		func(_ *cluster.Cluster, s *cluster.Server) error { return s.Die() },
		func(_ *cluster.Cluster, s *cluster.Server) error { return s.Revive() },
	},
	"etcd on one server": {mode("etcd-lost"), mode("ready")},
	"Partition": {
		func(c *cluster.Cluster, s *cluster.Server) error { return c.Lab.Cut(s.Node) },
		func(c *cluster.Cluster, s *cluster.Server) error { return c.Lab.Join(s.Node) },
	},
}

func vipd(args ...string) func(*cluster.Cluster, *cluster.Server) error {
	return func(_ *cluster.Cluster, s *cluster.Server) error {
		if out, err := s.Vipd(args...); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	}
}

func api(sig syscall.Signal) func(*cluster.Cluster, *cluster.Server) error {
	return func(_ *cluster.Cluster, s *cluster.Server) error { return s.SignalAPI(sig) }
}

func mode(m string) func(*cluster.Cluster, *cluster.Server) error {
	return func(_ *cluster.Cluster, s *cluster.Server) error { return s.SetAPI(context.Background(), m) }
}

func restart(_ *cluster.Cluster, s *cluster.Server) error {
	if err := end(s, syscall.SIGUSR1); err != nil {
		return err
	}
	return s.RestartAgent()
}

func stop(_ *cluster.Cluster, s *cluster.Server) error { return end(s, syscall.SIGTERM) }

func start(_ *cluster.Cluster, s *cluster.Server) error { return s.StartAgent() }

func end(s *cluster.Server, sig syscall.Signal) error {
	if err := s.SignalAgent(sig); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return s.AwaitAgent(ctx)
}

// TestOperations does what sections of docs/operations.md are about, and wants vipd
// history to print the lines that they show.
func TestOperations(t *testing.T) {
	t.Parallel()
	c, _ := servers(t, 3)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	shown := linesOf(t)
	for title, steps := range operations {
		if len(shown[title]) == 0 {
			t.Errorf("section %q shows no lines", title)
			continue
		}
		holds(ctx, t, c, c.Servers[0])
		must(t, steps[0](c, c.Servers[0]))
		if steps[1] != nil {
			holds(ctx, t, c, c.Servers[1])
			must(t, steps[1](c, c.Servers[0]))
			holds(ctx, t, c, c.Servers[0])
		}
		must(t, c.Settled(ctx))
		told := history(t, c)
		for _, line := range shown[title] {
			if !strings.Contains(told, line+"\n") {
				t.Errorf("%s: nobody says %q, but:\n%s", title, line, told)
			}
		}
	}
}

// holds waits until the server is Active, and says so.
func holds(ctx context.Context, t *testing.T, c *cluster.Cluster, s *cluster.Server) {
	t.Helper()
	must(t, cluster.Until(ctx, s.Name+" to hold the VIP", func() error {
		st, err := s.Status(ctx)
		if err != nil {
			return err
		}
		if r := st.Routers[0]; !r.Holding || r.State != "Active" {
			return fmt.Errorf("it is %s: %v", r.State, r.Problems)
		}
		return nil
	}))
}

// linesOf returns the lines of history that the sections show, by their titles.
func linesOf(t *testing.T) map[string][]string {
	t.Helper()
	lines := make(map[string][]string)
	for section := range strings.SplitSeq(read(t, "docs/operations.md"), "\n## ") {
		title, _, _ := strings.Cut(section, "\n")
		for _, b := range (page{text: section}).parsed().blocks {
			for line := range strings.Lines(b.text) {
				if event.MatchString(strings.TrimSuffix(line, "\n")) {
					lines[title] = append(lines[title], timeless(line))
				}
			}
		}
	}
	return lines
}

// history is what vipd history prints on the servers, without times.
func history(t *testing.T, c *cluster.Cluster) string {
	t.Helper()
	var all strings.Builder
	for _, s := range c.Servers {
		out, err := s.Vipd("history")
		must(t, err)
		for line := range strings.Lines(out) {
			all.WriteString(timeless(line) + "\n")
		}
	}
	return all.String()
}

// timeless takes out of a line what differs from one time to another.
func timeless(line string) string {
	line = regexp.MustCompile(`^\S+ \S+ `).ReplaceAllString(strings.TrimSpace(line), "")
	line = regexp.MustCompile(`gap \S+`).ReplaceAllString(line, "gap")
	return strings.Join(strings.Fields(line), " ")
}
