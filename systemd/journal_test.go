package systemd

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/slogtest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestJournalEntry(t *testing.T) {
	in := newInbox(t)
	log := slog.New(&journalHandler{socket: in.path, level: slog.LevelInfo})

	for _, tt := range []struct {
		name string
		log  func()
		want map[string]string
	}{
		{
			name: "transition",
			log: func() {
				log.With("vip", "k3s").Info("transition", "state", "Active", "cause", "no advertisement for 850ms", "vrid", 51)
			},
			want: map[string]string{
				"MESSAGE":  `transition vip=k3s state=Active cause="no advertisement for 850ms" vrid=51`,
				"PRIORITY": "6", "SYSLOG_IDENTIFIER": "vipd",
				"VIPD_VIP": "k3s", "VIPD_STATE": "Active", "VIPD_CAUSE": "no advertisement for 850ms", "VIPD_VRID": "51",
			},
		},
		{
			name: "groups",
			log: func() {
				log.With("a", 1).WithGroup("peer").With("address", "198.51.100.2").Warn("lost", "silent", time.Second, slog.Group("tls", "ok", true))
			},
			want: map[string]string{
				"MESSAGE":  "lost a=1 peer.address=198.51.100.2 peer.silent=1s peer.tls.ok=true",
				"PRIORITY": "4", "SYSLOG_IDENTIFIER": "vipd",
				"VIPD_A": "1", "VIPD_PEER_ADDRESS": "198.51.100.2", "VIPD_PEER_SILENT": "1s", "VIPD_PEER_TLS_OK": "true",
			},
		},
		{
			name: "line breaks and odd keys",
			log:  func() { log.Error("failed", "err", errors.New("one\ntwo"), "größe-1", "") },
			want: map[string]string{
				"MESSAGE":  `failed err="one\ntwo" größe-1=""`,
				"PRIORITY": "3", "SYSLOG_IDENTIFIER": "vipd",
				"VIPD_ERR": "one\ntwo", "VIPD_GR__E_1": "",
			},
		},
		{
			name: "key too long for journald",
			log:  func() { log.Info("x", strings.Repeat("k", 80), 1) },
			want: map[string]string{
				"MESSAGE":  "x " + strings.Repeat("k", 80) + "=1",
				"PRIORITY": "6", "SYSLOG_IDENTIFIER": "vipd",
				"VIPD_" + strings.Repeat("K", 59): "1",
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.log()
			if diff := cmp.Diff(tt.want, parseEntry(t, in.next(t))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestJournalLevel(t *testing.T) {
	in := newInbox(t)
	var level slog.LevelVar
	log := slog.New(&journalHandler{socket: in.path, level: &level})
	log.Debug("not wanted")
	level.Set(slog.LevelDebug)
	log.Debug("wanted")
	got := parseEntry(t, in.next(t))
	if got["MESSAGE"] != "wanted" || got["PRIORITY"] != "7" {
		t.Errorf("got %v, want the second record, with priority 7", got)
	}
}

// TestJournalHandlerContract holds the handler against the rules for slog's.
func TestJournalHandlerContract(t *testing.T) {
	var in inbox
	slogtest.Run(t, func(t *testing.T) slog.Handler {
		if strings.HasSuffix(t.Name(), "/zero-time") {
			t.Skip("journald stamps each entry itself")
		}
		in = newInbox(t)
		return &journalHandler{socket: in.path, level: slog.LevelInfo}
	}, func(t *testing.T) map[string]any {
		return parseMessage(parseEntry(t, in.next(t))["MESSAGE"])
	})
}

// parseMessage makes a tree of a readable line whose values have no spaces.
func parseMessage(line string) map[string]any {
	words := strings.Fields(line)
	root := map[string]any{slog.TimeKey: "journald's", slog.LevelKey: "PRIORITY's", slog.MessageKey: words[0]}
	for _, word := range words[1:] {
		key, value, _ := strings.Cut(word, "=")
		at, groups := root, strings.Split(key, ".")
		for _, group := range groups[:len(groups)-1] {
			if at[group] == nil {
				at[group] = map[string]any{}
			}
			at = at[group].(map[string]any)
		}
		at[groups[len(groups)-1]] = value
	}
	return root
}

func TestJournalNeverWaits(t *testing.T) {
	in := newInbox(t) // and nobody reads
	h := &journalHandler{socket: in.path, level: slog.LevelInfo}
	deadline := time.Now().Add(5 * time.Second)
	for time.Now().Before(deadline) {
		if err := h.Handle(t.Context(), slog.Record{Message: "x"}); err != nil {
			if !errors.Is(err, unix.EAGAIN) {
				t.Errorf("got %v, want EAGAIN", err)
			}
			return
		}
	}
	t.Error("a socket that nobody reads was never full")
}

func TestNewLogHandler(t *testing.T) {
	in := newInbox(t)
	file, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &st); err != nil {
		t.Fatal(err)
	}

	for _, tt := range []struct {
		name, stream, socket string
		want                 slog.Handler
	}{
		{"stream of the journal", fmt.Sprintf("%d:%d", st.Dev, st.Ino), in.path, &journalHandler{}},
		{"redirected since", fmt.Sprintf("%d:%d", st.Dev, st.Ino+1), in.path, &slog.TextHandler{}},
		{"no systemd", "", in.path, &slog.TextHandler{}},
		{"nonsense", "journal", in.path, &slog.TextHandler{}},
		{"socket hidden", fmt.Sprintf("%d:%d", st.Dev, st.Ino), in.path + "-not", &slog.TextHandler{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("JOURNAL_STREAM", tt.stream)
			got := newLogHandler(file, slog.LevelInfo, tt.socket)
			if fmt.Sprintf("%T", got) != fmt.Sprintf("%T", tt.want) {
				t.Errorf("got %T, want %T", got, tt.want)
			}
		})
	}
}

// FuzzEntry looks for values that break out of their field.
func FuzzEntry(f *testing.F) {
	f.Add("transition", "cause", "no advertisement")
	f.Add("a\nPRIORITY=0", "k\nPRIORITY", "v\nPRIORITY=0\n")
	f.Add("", "", "")
	f.Fuzz(func(t *testing.T, message, key, value string) {
		got := parseEntry(t, string(entry(slog.LevelInfo, message, []attr{{key, value}})))
		if got["PRIORITY"] != "6" || got["SYSLOG_IDENTIFIER"] != "vipd" || got[fieldName(key)] != value {
			t.Errorf("message %q with %q = %q became %q", message, key, value, got)
		}
		if len(got) != 4 || !strings.HasPrefix(got["MESSAGE"], message) {
			t.Errorf("message %q with %q = %q became %q", message, key, value, got)
		}
	})
}

// parseEntry reads an entry as journald would.
func parseEntry(t *testing.T, entry string) map[string]string {
	t.Helper()
	fields := map[string]string{}
	for entry != "" {
		line, rest, ok := strings.Cut(entry, "\n")
		if !ok {
			t.Fatalf("entry ends in the middle of %q", line)
		}
		name, value, ok := strings.Cut(line, "=")
		if !ok {
			if len(rest) < 8 {
				t.Fatalf("field %s has no length", name)
			}
			n := binary.LittleEndian.Uint64([]byte(rest))
			if rest = rest[8:]; uint64(len(rest)) <= n || rest[n] != '\n' {
				t.Fatalf("field %s is not %d bytes long", name, n)
			}
			value, rest = rest[:n], rest[n+1:]
		}
		fields[name] = value
		entry = rest
	}
	return fields
}
