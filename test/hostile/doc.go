// Package hostile holds the tests of what strangers can do: on the segment, with
// forged, replayed, damaged and too many packets, and on the control socket.
package hostile
