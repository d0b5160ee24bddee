package watch

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"

	"golang.org/x/sys/unix"
)

// Printer writes events, a line each.
type Printer struct {
	w      io.Writer
	json   *json.Encoder // nil: text
	colour bool
}

// NewPrinter returns a Printer of text, in colour if w is a terminal, or of JSON.
func NewPrinter(w io.Writer, asJSON bool) *Printer {
	if asJSON {
		return &Printer{w: w, json: json.NewEncoder(w)}
	}
	return &Printer{w: w, colour: coloured(w)}
}

// coloured goes by the terminal and by what its user wants (no-color.org).
func coloured(w io.Writer) bool {
	f, ok := w.(interface{ Fd() uintptr })
	if !ok || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// Colours of a terminal.
const (
	red    = "\x1b[31m"
	yellow = "\x1b[33m"
	dim    = "\x1b[2m"
	plain  = "\x1b[0m"
)

func (p *Printer) print(e Event) error {
	if p.json != nil {
		return p.json.Encode(e)
	}
	text, colour := line(e)
	at := e.Time.Local().Format("15:04:05.000")
	if !p.colour {
		_, err := fmt.Fprintf(p.w, "%s  %s\n", at, text)
		return err
	}
	_, err := fmt.Fprintf(p.w, "%s%s%s  %s%s%s\n", dim, at, plain, colour, text, plain)
	return err
}

// line returns an event as text, and its colour.
func line(e Event) (text, colour string) {
	switch {
	case e.Advert != nil:
		return e.Interface + "  " + e.Advert.line(e.Own), e.Advert.colour()
	case e.Announcement != nil:
		return e.Interface + "  " + e.Announcement.line(e.Own), ""
	case e.Kind == KindConflict:
		return e.Interface + "  CONFLICT  " + printable(e.Text), red
	case e.Kind == KindSilence || e.Kind == KindInterface:
		return e.Interface + "  " + printable(e.Text), yellow
	}
	return printable(e.Text), ""
}

func (a *Advert) line(own bool) string {
	source := a.Source
	if own {
		source += " (this host)"
	}
	if a.Destination != "224.0.0.18" && a.Destination != "ff02::12" {
		source += " to " + a.Destination
	}
	parts := []string{fmt.Sprintf("%-15s", source), fmt.Sprintf("VRID %d", a.VRID), fmt.Sprintf("priority %d (%s)", a.Priority, a.Grade)}
	if a.Version != 3 {
		parts = append(parts, fmt.Sprintf("version %d", a.Version))
	}
	if a.Interval != "" {
		parts = append(parts, "each "+a.Interval)
	}
	parts = append(parts, strings.Join(a.Addresses, ","), "checksum "+a.Checksum, a.signature())
	if a.Refused != "" {
		parts = append(parts, "REFUSED "+a.Refused+": "+a.Why)
	}
	parts = append(parts, a.Notices...)
	return strings.Join(parts, "  ")
}

func (a *Advert) signature() string {
	switch {
	case !a.Signed:
		return "unsigned"
	case a.Verified:
		return fmt.Sprintf("signed, key %d, verified", a.KeyID)
	}
	return fmt.Sprintf("signed, key %d, not verified", a.KeyID)
}

func (a *Advert) colour() string {
	switch {
	case a.Refused != "":
		return red
	case a.Grade != "ready" || len(a.Notices) > 0:
		return yellow
	}
	return ""
}

func (a *Announcement) line(own bool) string {
	what := map[Form]string{ARPRequest: "gratuitous ARP request", ARPReply: "gratuitous ARP reply", Neighbour: "unsolicited neighbour advertisement"}[a.Form]
	from := ""
	if own {
		from = " (this host)"
	}
	return fmt.Sprintf("%s is at %s%s  %s", a.Address, a.At, from, what)
}

// printable keeps control characters from the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, s)
}
