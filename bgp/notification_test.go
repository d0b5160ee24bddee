package bgp

import (
	"strings"
	"testing"
)

// TestShutdownText: what a router's operator says is shown, as one line of text.
func TestShutdownText(t *testing.T) {
	const there = "an operator has shut the session down there"
	for _, c := range []struct{ body, want string }{
		{"\x06\x02", there},
		{"\x06\x02\x00", there},
		{"\x06\x02\x05works", there + `, and says "works"`},
		{"\x06\x04\x05works", `an operator has reset the session there, and says "works"`},
		{"\x06\x02\x05works, and more", there + `, and says "works"`},
		{"\x06\x02\xffcut off", there + `, and says "cut off"`},
		{"\x06\x02\x0bTicket \u00fc12", there + `, and says "Ticket ü12"`},
		{"\x06\x02\x09a\x1b[31m\n\xffb", there + `, and says "a?[31m??b"`},
		{"\x06\x02\x03\n\n ", there + `, and says "??"`},
		{"\x06\x03\x05works", "this node is not configured there any more"},
		{"\x06\x02\xff" + strings.Repeat("x", 300), there + `, and says "` + strings.Repeat("x", 255) + `"`},
	} {
		if got := parseNotification([]byte(c.body)).Error(); got != c.want {
			t.Errorf("%q: %s, want %s", c.body, got, c.want)
		}
	}
	_, body, _, err := split(shutdown("stopped").marshal())
	if err != nil || string(body) != "\x06\x02\x07stopped" {
		t.Errorf("sent: %q, %v", body, err)
	}
}
