package control

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// WriteText writes the status as an operator reads it, as of now.
func (s Status) WriteText(w io.Writer, now time.Time) error {
	var b strings.Builder
	fmt.Fprintf(&b, "vipd %s on %s, up %s%s\n", s.Version, s.Node, ago(now, s.Started), mark(s.Drained, ", DRAINED (vipd resume ends it)"))
	s.Health.write(&b, now)
	b.WriteByte('\n')
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "VIP\tADDRESSES\tINTERFACE\tVRID\tSTATE\tSINCE\tPRIORITY\tACTIVE")
	for _, r := range s.Routers {
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%s\t%s\t%s\t%s\n", r.VIP, r.shortAddresses(), dash(r.Interface), r.VRID,
			r.State, ago(now, r.Since), r.shownPriority(), r.active())
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, r := range s.Routers {
		fmt.Fprintf(&b, "\n%s %s: %s since %s: %s\n", r.VIP, r.Family, r.State, clockTime(r.Since), r.Cause)
		for _, p := range r.Peers {
			fmt.Fprintf(&b, "  heard %s, priority %d (%s), %s ago\n", p.Address, p.Priority, p.Grade, ago(now, p.LastHeard))
		}
		for _, p := range r.Problems {
			fmt.Fprintf(&b, "  ! %s\n", p)
		}
	}
	for _, p := range s.Problems {
		fmt.Fprintf(&b, "! %s\n", p)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (h Health) write(b *strings.Builder, now time.Time) {
	fmt.Fprintf(b, "API server: %s since %s%s\n", h.Grade, ago(now, h.Since), colon(h.Cause))
	for _, c := range h.Checks {
		fmt.Fprintf(b, "  %s: %s, %s%s\n", c.Name, c.Grade, time.Duration(c.Latency).Round(100*time.Microsecond), colon(c.Cause))
	}
	if time.Duration(h.PreemptHold) > time.Second {
		fmt.Fprintf(b, "  it flaps: this node preempts only after %s of being ready\n", time.Duration(h.PreemptHold))
	}
}

func (r Router) shortAddresses() string {
	if len(r.Addresses) > 2 {
		return fmt.Sprintf("%s and %d more", r.Addresses[0], len(r.Addresses)-1)
	}
	return strings.Join(r.Addresses, ",")
}

// shownPriority is the advertised one, and the configured one if it differs.
func (r Router) shownPriority() string {
	if r.Priority == r.Configured {
		return fmt.Sprint(r.Priority)
	}
	return fmt.Sprintf("%d (%s, else %d)", r.Priority, r.Grade, r.Configured)
}

func (r Router) active() string {
	switch {
	case r.State == "Active":
		return "this node"
	case r.Active == nil:
		return "-"
	}
	return r.Active.Address
}

// WriteHistory writes events, oldest first, a line each.
func WriteHistory(w io.Writer, events []Event) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, e := range events {
		what := e.Kind
		if e.VIP != "" {
			what = e.VIP + " " + e.Family
		}
		if e.To != "" {
			what += " " + e.From + " -> " + e.To
		}
		fmt.Fprintf(t, "%s\t%s\t%s\n", e.Time.Local().Format("2006-01-02 15:04:05.000"), what, e.Cause)
	}
	return t.Flush()
}

func ago(now, t time.Time) string {
	d := now.Sub(t)
	switch {
	case t.IsZero():
		return "-"
	case d < time.Second:
		return fmt.Sprintf("%dms", max(0, d.Milliseconds()))
	case d < time.Minute:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d < 48*time.Hour:
		return d.Round(time.Second).String()
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}

func clockTime(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05") }

func colon(s string) string {
	if s == "" {
		return ""
	}
	return ": " + s
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func mark(on bool, s string) string {
	if on {
		return s
	}
	return ""
}
