package systemd

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/coreos/go-systemd/v22/journal"
	"golang.org/x/sys/unix"
)

const journalSocket = "/run/systemd/journal/socket"

// maxFieldName is the longest field name that journald takes
// (systemd.journal-fields(7)).
const maxFieldName = 64

// journalHandler writes each record as one entry of the journal, in its native
// protocol (https://systemd.io/JOURNAL_NATIVE_PROTOCOL). An attribute is a field
// VIPD_KEY, with the groups that it is in before the key, and is also part of
// MESSAGE for those who read. An entry that journald cannot take at once is
// lost: whoever logs must not wait.
type journalHandler struct {
	socket string
	level  slog.Leveler
	prefix string // of the keys: the open groups, each with a dot behind it
	attrs  []attr
}

// attr is a resolved attribute; its key holds the groups it is in: "peer.address".
type attr struct{ key, value string }

// NewLogHandler returns a handler for records of level and above. If w is
// connected to the journal (systemd says so in JOURNAL_STREAM) they become
// structured entries there; otherwise they are written to w as text.
func NewLogHandler(w *os.File, level slog.Leveler) slog.Handler {
	return newLogHandler(w, level, journalSocket)
}

func newLogHandler(w *os.File, level slog.Leveler, socket string) slog.Handler {
	// A sandbox may have the stream but hide the socket.
	if isJournal(w) && unix.Access(socket, unix.W_OK) == nil {
		return &journalHandler{socket: socket, level: level}
	}
	return slog.NewTextHandler(w, &slog.HandlerOptions{Level: level})
}

// isJournal tells whether w is the stream that systemd connected to the journal,
// and not something that it was redirected to since.
func isJournal(w *os.File) bool {
	stream := os.Getenv("JOURNAL_STREAM")
	if stream == "" {
		return false
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(w.Fd()), &st); err != nil {
		return false
	}
	return stream == fmt.Sprintf("%d:%d", st.Dev, st.Ino)
}

func (h *journalHandler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= h.level.Level()
}

func (h *journalHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *h
	with.attrs = slices.Clone(h.attrs)
	for _, a := range attrs {
		with.attrs = appendAttr(with.attrs, h.prefix, a)
	}
	return &with
}

func (h *journalHandler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	with := *h
	with.prefix += name + "."
	return &with
}

func (h *journalHandler) Handle(_ context.Context, r slog.Record) error {
	attrs := slices.Clone(h.attrs)
	r.Attrs(func(a slog.Attr) bool {
		attrs = appendAttr(attrs, h.prefix, a)
		return true
	})
	if err := sendDatagram(h.socket, entry(r.Level, r.Message, attrs), nil); err != nil {
		return fmt.Errorf("writing to the journal: %w", err)
	}
	return nil
}

// appendAttr appends a, or what a group holds, to attrs.
func appendAttr(attrs []attr, prefix string, a slog.Attr) []attr {
	v := a.Value.Resolve()
	if v.Kind() != slog.KindGroup {
		if a.Equal(slog.Attr{}) {
			return attrs
		}
		return append(attrs, attr{prefix + a.Key, v.String()})
	}
	if a.Key != "" {
		prefix += a.Key + "."
	}
	for _, member := range v.Group() {
		attrs = appendAttr(attrs, prefix, member)
	}
	return attrs
}

func entry(level slog.Level, message string, attrs []attr) []byte {
	var b bytes.Buffer
	writeField(&b, "MESSAGE", readable(message, attrs))
	writeField(&b, "PRIORITY", strconv.Itoa(int(priority(level))))
	writeField(&b, "SYSLOG_IDENTIFIER", "vipd")
	for _, a := range attrs {
		writeField(&b, fieldName(a.key), a.value)
	}
	return b.Bytes()
}

func writeField(b *bytes.Buffer, name, value string) {
	if !strings.Contains(value, "\n") {
		b.WriteString(name + "=" + value + "\n")
		return
	}
	b.WriteString(name + "\n")
	b.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(value))))
	b.WriteString(value + "\n")
}

// readable returns the line that journalctl shows.
func readable(message string, attrs []attr) string {
	var b strings.Builder
	b.WriteString(message)
	for _, a := range attrs {
		b.WriteString(" " + a.key + "=" + quoted(a.value))
	}
	return b.String()
}

func quoted(value string) string {
	plain := func(r rune) bool { return r > ' ' && r != '"' && r != '=' && strconv.IsPrint(r) }
	if value == "" || strings.ContainsFunc(value, func(r rune) bool { return !plain(r) }) {
		return strconv.Quote(value)
	}
	return value
}

func fieldName(key string) string {
	name := "VIPD_" + strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		}
		return '_'
	}, key)
	return name[:min(len(name), maxFieldName)]
}

func priority(level slog.Level) journal.Priority {
	switch {
	case level < slog.LevelInfo:
		return journal.PriDebug
	case level < slog.LevelWarn:
		return journal.PriInfo
	case level < slog.LevelError:
		return journal.PriWarning
	}
	return journal.PriErr
}
