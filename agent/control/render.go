package control

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// WriteText writes the status as an operator reads it, as of now.
func (s Status) WriteText(w io.Writer, now time.Time, p Palette) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: vipd %s, up %s", s.Node, s.Version, ago(now, s.Started))
	if s.Drained {
		b.WriteString(", " + p.paint(p.fair, "DRAINED") + " (vipd resume ends it)")
	}
	b.WriteByte('\n')
	s.Health.write(&b, now, p)
	for _, x := range s.Problems {
		b.WriteString(problem(p, x))
	}
	s.writeRouters(&b, now, p)
	s.writePeers(&b, now, p)
	s.writeSessions(&b, now, p)
	s.writeMoves(&b, p)
	_, err := io.WriteString(w, b.String())
	return err
}

func (s Status) writeRouters(b *strings.Builder, now time.Time, p Palette) {
	t := table{palette: p}
	t.row(heads(p, "VIP", "ADDRESSES", "STATE", "ACTIVE", "FOR", "RANKS AS", "INTERFACE", "VRID")...)
	for _, r := range s.Routers {
		active, since := r.active()
		t.row(cell{text: r.VIP}, cell{text: r.shortAddresses()}, cell{r.State, p.state(r.State)}, cell{text: active},
			cell{text: ago(now, since)}, cell{r.rank(), p.grade(r.Grade)}, cell{text: dash(r.Interface)}, cell{text: r.vrid()})
	}
	b.WriteByte('\n')
	t.write(b, "")
	for _, r := range s.Routers {
		for _, x := range r.Problems {
			b.WriteString(problem(p, r.VIP+" "+r.Family+": "+x))
		}
	}
}

func (s Status) writePeers(b *strings.Builder, now time.Time, p Palette) {
	t := table{palette: p}
	for _, r := range s.Routers {
		for _, x := range r.Peers {
			t.row(cell{text: r.VIP + " " + r.Family}, cell{text: x.Address}, cell{fmt.Sprintf("%s %d", x.Grade, x.Priority), p.grade(x.Grade)},
				cell{text: "heard " + ago(now, x.LastHeard) + " ago"})
		}
	}
	if len(t.rows) > 0 {
		b.WriteString("\n" + p.paint(p.faint, "OTHERS") + "\n")
		t.write(b, "")
	}
}

func (s Status) writeSessions(b *strings.Builder, now time.Time, p Palette) {
	t := table{palette: p}
	for _, x := range s.Sessions {
		colour := p.good
		if x.State != "Established" {
			colour = p.bad
		}
		t.row(cell{text: x.Peer}, cell{text: fmt.Sprintf("AS %d", x.AS)}, cell{x.State, colour},
			cell{text: "for " + ago(now, x.Since)}, cell{text: plural(x.Routes, "route")}, cell{text: x.bfd()})
	}
	if len(t.rows) > 0 {
		b.WriteString("\n" + p.paint(p.faint, "SESSIONS") + "\n")
		t.write(b, "")
	}
	for _, x := range s.Sessions {
		if x.Problem != "" {
			b.WriteString(problem(p, x.Peer+": "+x.Problem))
		}
	}
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func (x Session) bfd() string {
	if x.BFD == "" {
		return ""
	}
	return "BFD " + x.BFD
}

// writeMoves writes the last changes of state. An agent of an older version tells only
// the last one of each router.
func (s Status) writeMoves(b *strings.Builder, p Palette) {
	moves := s.Moves
	if moves == nil {
		for _, r := range s.Routers {
			moves = append(moves, Event{Time: r.Since, Kind: KindTransition, VIP: r.VIP, Family: r.Family, To: r.State, Cause: r.Cause})
		}
	}
	if len(moves) == 0 {
		return
	}
	b.WriteString("\n" + p.paint(p.faint, "LAST MOVES") + "\n")
	t := table{palette: p}
	for _, e := range moves {
		t.row(e.cells(p, "2006-01-02 15:04:05")...)
	}
	t.write(b, "")
}

func heads(p Palette, names ...string) []cell {
	var cells []cell
	for _, n := range names {
		cells = append(cells, cell{n, p.faint})
	}
	return cells
}

func problem(p Palette, words string) string { return p.paint(p.bad, "! "+printable(words)) + "\n" }

func (h Health) write(b *strings.Builder, now time.Time, p Palette) {
	fmt.Fprintf(b, "API server: %s for %s%s\n", p.paint(p.grade(h.Grade), h.Grade), ago(now, h.Since), colon(h.why()))
	for _, c := range h.Checks {
		fmt.Fprintf(b, "  %s: %s, %s%s\n", printable(c.Name), p.paint(p.grade(c.Grade), c.Grade),
			time.Duration(c.Latency).Round(100*time.Microsecond), colon(c.Cause))
	}
	if time.Duration(h.PreemptHold) > time.Second {
		fmt.Fprintf(b, "  it flaps: this node preempts only after %s of being ready\n", time.Duration(h.PreemptHold))
	}
}

// why is the cause, if it says more than the grade.
func (h Health) why() string {
	if h.Cause == h.Grade {
		return ""
	}
	return h.Cause
}

func (r Router) shortAddresses() string {
	if len(r.Addresses) > 2 {
		return fmt.Sprintf("%s and %d more", r.Addresses[0], len(r.Addresses)-1)
	}
	return strings.Join(r.Addresses, ",")
}

func (r Router) vrid() string {
	if r.Mode == "bgp" {
		return "bgp"
	}
	return fmt.Sprint(r.VRID)
}

// rank is the grade and the advertised priority, and the configured one if it differs.
func (r Router) rank() string {
	if r.Mode == "bgp" {
		return r.Standing
	}
	if r.Priority == r.Configured {
		return fmt.Sprintf("%s %d", r.Grade, r.Priority)
	}
	return fmt.Sprintf("%s %d (else %d)", r.Grade, r.Priority, r.Configured)
}

// active returns who is, and since when.
func (r Router) active() (string, time.Time) {
	switch {
	case r.State == "Active":
		return "this node", r.Since
	case r.Active == nil:
		return "-", time.Time{}
	}
	return r.Active.Address, r.ActiveSince
}

// WriteHistory writes events, oldest first, a line each.
func WriteHistory(w io.Writer, events []Event, p Palette) error {
	t := table{palette: p}
	for _, e := range events {
		t.row(e.cells(p, "2006-01-02 15:04:05.000")...)
	}
	var b strings.Builder
	t.write(&b, "")
	_, err := io.WriteString(w, b.String())
	return err
}

// cells are the event's in a table.
func (e Event) cells(p Palette, format string) []cell {
	what, colour := e.Kind, ""
	if e.VIP != "" {
		what = e.VIP + " " + e.Family
	}
	if e.Kind == KindSession {
		what = e.Kind + " " + e.Peer
	}
	change := e.To
	if e.From != "" {
		change = e.From + " -> " + e.To
	}
	switch e.Kind {
	case KindTransition:
		colour = p.state(e.To)
	case KindHealth:
		colour = p.grade(e.To)
	case KindConflict:
		colour = p.bad
	}
	return []cell{{e.Time.Local().Format(format), p.faint}, {text: what}, {change, colour}, {text: printable(e.Cause) + e.gap()}}
}

// gap says for how long there was nobody, where the one before had gone.
func (e Event) gap() string {
	if e.Gap == 0 || e.Code != "silence" && e.Code != "left" && e.Code != "resumed" {
		return ""
	}
	return "; gap " + time.Duration(e.Gap).Round(time.Millisecond).String()
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

func colon(s string) string {
	if s == "" {
		return ""
	}
	return ": " + printable(s)
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
