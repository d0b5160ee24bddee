package bgp

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Error codes of a NOTIFICATION (RFC 4271, section 4.5).
const (
	codeHeader = 1
	codeOpen   = 2
	codeUpdate = 3
	codeHold   = 4
	codeFSM    = 5
	codeCease  = 6
)

// Subcodes of codeCease (RFC 4486) that are sent, or may have a text.
const (
	ceaseShutdown   = 2
	ceaseReset      = 4
	ceaseConfigured = 6
	ceaseBFD        = 10 // RFC 9384
)

// Error is what ends a session: to be sent to the router, or received from it.
type Error struct {
	Code, Subcode uint8
	Data          []byte
	Words         string // what happened, where it did not come from the router
}

func (e *Error) Error() string {
	if e.Words != "" {
		return e.Words
	}
	return e.meaning()
}

func (e *Error) marshal() []byte {
	return end(append(append(begin(nil, typeNotification), e.Code, e.Subcode), e.Data...))
}

// parseNotification reads the body of a NOTIFICATION.
func parseNotification(b []byte) *Error {
	if len(b) < 2 {
		return &Error{Words: "it sent a notification that is cut off"}
	}
	return &Error{Code: b[0], Subcode: b[1], Data: b[2:min(len(b), 2+1+maxText)]}
}

// maxText is the length of a text in octets (RFC 9003).
const maxText = 255

// shutdown is what a router is told when the agent is stopped, with a text for its operator.
func shutdown(text string) *Error {
	text = text[:min(len(text), maxText)]
	return &Error{Code: codeCease, Subcode: ceaseShutdown, Data: append([]byte{byte(len(text))}, text...)}
}

// text is what the router's operator has to say; "": nothing.
func (e *Error) text() string {
	if e.Code != codeCease || e.Subcode != ceaseShutdown && e.Subcode != ceaseReset || len(e.Data) == 0 {
		return ""
	}
	n, b := int(e.Data[0]), e.Data[1:]
	return strings.TrimSpace(strings.Map(visible, string(b[:min(n, len(b))])))
}

// visible keeps from a terminal and a log what would not be a line of text.
func visible(r rune) rune {
	if r == utf8.RuneError || !unicode.IsPrint(r) {
		return '?'
	}
	return r
}

// meanings are those of the notifications that an operator can do something about.
var meanings = map[[2]uint8]string{
	{codeOpen, 2}:   "it expects another AS: check local_as here, and the AS that it has for this node",
	{codeOpen, 3}:   "it refuses our router id: is another node using it?",
	{codeOpen, 5}:   "it wants authentication: give the peer a password_file",
	{codeOpen, 6}:   "it refuses our hold time: raise hold_time, or lower its minimum",
	{codeOpen, 7}:   "it refuses the address families: check families here and there",
	{codeCease, 1}:  "it takes no more routes from this node: check its maximum-prefix",
	{codeCease, 2}:  "an operator has shut the session down there",
	{codeCease, 3}:  "this node is not configured there any more",
	{codeCease, 4}:  "an operator has reset the session there",
	{codeCease, 5}:  "it refuses the connection: is this node configured there?",
	{codeCease, 6}:  "its configuration has changed",
	{codeCease, 7}:  "it has another connection with this node: make it passive",
	{codeCease, 8}:  "it is out of resources",
	{codeCease, 9}:  "it resets the session hard",
	{codeCease, 10}: "its BFD session with this node went down",
	{codeHold, 0}:   "it has not heard from this node for its hold time",
}

func (e *Error) meaning() string {
	if words, ok := meanings[[2]uint8{e.Code, e.Subcode}]; ok {
		if text := e.text(); text != "" {
			words += fmt.Sprintf(", and says %q", text)
		}
		return words
	}
	names := map[uint8]string{codeHeader: "message header", codeOpen: "OPEN", codeUpdate: "update", codeHold: "hold timer", codeFSM: "state machine", codeCease: "cease"}
	if name, ok := names[e.Code]; ok {
		return fmt.Sprintf("it ended the session: %s error, subcode %d", name, e.Subcode)
	}
	return fmt.Sprintf("it ended the session with code %d, subcode %d", e.Code, e.Subcode)
}
