package screen

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFit(t *testing.T) {
	tests := map[string]struct {
		text string
		size size
		want string
	}{
		"fits":            {"a\nb\n", size{80, 24}, "a|b|"},
		"exactly":         {"abcd\ne\n", size{4, 3}, "abcd|e|"},
		"too wide":        {"abcde\n", size{4, 3}, "abc" + plain + "…|"},
		"too long":        {"a\nb\nc\nd\n", size{80, 4}, "a|b|…|"},
		"a single row":    {"a\nb\n", size{80, 1}, "…|"},
		"colour is free":  {"\x1b[31mabcd\x1b[m\n", size{4, 3}, "\x1b[31mabcd\x1b[m|"},
		"coloured, wide":  {"\x1b[31mabcde\x1b[m\n", size{4, 3}, "\x1b[31mabc" + plain + "…|"},
		"letters, bytes":  {"äöü…\n", size{4, 3}, "äöü…|"},
		"letters, wide":   {"äöü…x\n", size{4, 3}, "äöü" + plain + "…|"},
		"a single column": {"ab\n", size{1, 3}, plain + "…|"},
		"nothing":         {"", size{80, 24}, "|"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := strings.ReplaceAll(fit(tt.text, tt.size), clearLine+"\r\n", "|")
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
