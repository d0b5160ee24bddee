package metrics

import (
	"bytes"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// contentType is that of Prometheus' text format. Why it is written here by hand, and not by
// the library for it, is in docs/decisions/0015.
const contentType = "text/plain; version=0.0.4; charset=utf-8"

// atOnce is how many scrapes may be under way: the agent's threads are real-time ones.
const atOnce = 2

// NewHandler returns what answers scrapes.
func NewHandler(s Source, log *slog.Logger) http.Handler {
	places := make(chan struct{}, atOnce)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		select {
		case places <- struct{}{}:
			defer func() { <-places }()
		default:
			http.Error(w, "other scrapes are under way", http.StatusServiceUnavailable)
			return
		}
		p, err := readProcess()
		if err != nil {
			log.Warn("a scrape does without what the process costs", "error", err)
		}
		w.Header().Set("Content-Type", contentType)
		// The client may be gone; there is nobody to tell.
		_, _ = w.Write(write(s.Metrics(), append(families(), processFamilies(p)...)))
	})
	return mux
}

// write returns a Snapshot as text.
func write(s Snapshot, all []family) []byte {
	slices.SortFunc(all, func(x, y family) int { return strings.Compare(x.name, y.name) })
	var b bytes.Buffer
	for _, f := range all {
		lines := f.lines(s)
		if len(lines) == 0 {
			continue
		}
		b.WriteString("# HELP " + f.name + " " + f.help + "\n# TYPE " + f.name + " " + string(f.kind) + "\n")
		for _, l := range lines {
			b.WriteString(l + "\n")
		}
	}
	return b.Bytes()
}

// lines returns the samples of a family.
func (f family) lines(s Snapshot) []string {
	var out []string
	if f.readings == nil {
		f.values(s, func(v float64, labels ...string) { out = append(out, sample(f.name, f.labels, labels, v)) })
		return out
	}
	f.readings(s, func(r Reading, labels ...string) {
		names, values := append(slices.Clone(f.labels), "le"), append(slices.Clone(labels), "")
		for _, le := range slices.Sorted(maps.Keys(r.Buckets)) {
			values[len(labels)] = number(le)
			out = append(out, sample(f.name+"_bucket", names, values, float64(r.Buckets[le])))
		}
		values[len(labels)] = "+Inf"
		out = append(out, sample(f.name+"_bucket", names, values, float64(r.Count)),
			sample(f.name+"_sum", f.labels, labels, r.Sum.Seconds()),
			sample(f.name+"_count", f.labels, labels, float64(r.Count)))
	})
	return out
}

// sample is one line, without its end.
func sample(name string, labels, values []string, v float64) string {
	if len(labels) == 0 {
		return name + " " + number(v)
	}
	pairs := make([]string, len(labels))
	for i, l := range labels {
		pairs[i] = l + `="` + escape(values[i]) + `"`
	}
	return name + "{" + strings.Join(pairs, ",") + "} " + number(v)
}

// escape makes the value of a label safe: a name is the operator's, but may hold anything.
func escape(s string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(strings.ToValidUTF8(s, "\uFFFD"))
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
