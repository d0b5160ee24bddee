package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/vipd/vipd/test/cluster"
)

// prometheus is a Prometheus that scrapes through a relay.
type prometheus struct {
	address string
	version string
	cmd     *exec.Cmd
}

// startPrometheus starts one and waits until it is ready. It ends with ctx.
func startPrometheus(ctx context.Context, dir string, r *relay, log io.Writer) (*prometheus, error) {
	file := filepath.Join(dir, "prometheus.yml")
	text := fmt.Sprintf("global: { scrape_interval: %s, scrape_timeout: %s }\nscrape_configs:\n- job_name: vipd\n  static_configs:\n%s", step, step, r.targets())
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		return nil, fmt.Errorf("configure Prometheus: %w", err)
	}
	address, err := freePort()
	if err != nil {
		return nil, err
	}
	p := &prometheus{address: address, version: version()}
	p.cmd = exec.CommandContext(ctx, "prometheus", "--config.file="+file, "--storage.tsdb.path="+filepath.Join(dir, "tsdb"), "--web.listen-address="+address)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start Prometheus (package prometheus): %w", err)
	}
	limited, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	err = cluster.UntilEvery(limited, 100*time.Millisecond, "Prometheus", func() error {
		_, err := p.ask(limited, "query", url.Values{"query": {"1"}})
		return err
	})
	if err != nil {
		return nil, errors.Join(err, p.end())
	}
	return p, nil
}

// end kills it.
func (p *prometheus) end() error {
	if err := p.cmd.Process.Kill(); err != nil {
		return fmt.Errorf("end Prometheus: %w", err)
	}
	_ = p.cmd.Wait() // killed, as it had to be
	return nil
}

// freePort returns an address on loopback on which nobody listens: here nobody else is.
func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a port: %w", err)
	}
	return l.Addr().String(), l.Close()
}

func version() string {
	out, err := exec.Command("prometheus", "--version").CombinedOutput()
	if err != nil {
		return "Prometheus"
	}
	words := strings.Fields(string(out)) // prometheus, version 2.42.0+ds (...
	number, _, _ := strings.Cut(words[min(2, len(words)-1)], "+")
	return "Prometheus " + number
}

// series is a part of an answer.
type series struct {
	Metric map[string]string
	Values [][2]any // seconds, and the value as a string
}

// ask returns the series that answer a question.
func (p *prometheus) ask(ctx context.Context, call string, args url.Values) ([]series, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s/api/v1/%s?%s", p.address, call, args.Encode()), nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask Prometheus: %w", err)
	}
	defer resp.Body.Close()
	var answer struct {
		Error string
		Data  struct{ Result json.RawMessage }
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return nil, fmt.Errorf("ask Prometheus: %s: %w", resp.Status, err)
	}
	if answer.Error != "" {
		return nil, fmt.Errorf("ask Prometheus %s: %s", args.Get("query"), answer.Error)
	}
	if call != "query_range" {
		return nil, nil
	}
	var all []series
	if err := json.Unmarshal(answer.Data.Result, &all); err != nil {
		return nil, fmt.Errorf("ask Prometheus: %w", err)
	}
	return all, nil
}

// between returns what answers a question at each step of a time, in seconds from its
// beginning. Values that are no number are left out.
func (p *prometheus) between(ctx context.Context, from, to time.Time, t target) ([]line, error) {
	stamp := func(t time.Time) string { return strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', 3, 64) }
	answers, err := p.ask(ctx, "query_range", url.Values{"query": {t.query()}, "start": {stamp(from)}, "end": {stamp(to)}, "step": {step.String()}})
	if err != nil {
		return nil, err
	}
	var lines []line
	for _, a := range answers {
		l := line{Name: t.name(a.Metric)}
		for _, v := range a.Values {
			at, ok := v[0].(float64)
			text, isText := v[1].(string)
			value, err := strconv.ParseFloat(text, 64)
			if !ok || !isText || err != nil || math.IsNaN(value) || math.IsInf(value, 0) {
				continue
			}
			l.Points = append(l.Points, [2]float64{math.Round((at - float64(from.UnixMilli())/1000)), math.Round(value*1e6) / 1e6})
		}
		lines = append(lines, l)
	}
	return lines, nil
}
