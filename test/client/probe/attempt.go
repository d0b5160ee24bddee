package probe

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// Attempt is one try to get an answer. Times count from [Report.Began].
type Attempt struct {
	Start   time.Duration `json:"start"`
	End     time.Duration `json:"end"`
	Outcome Outcome       `json:"outcome"`
	Node    string        `json:"node,omitempty"`  // who answered
	Error   string        `json:"error,omitempty"` // what went wrong
}

// Outcome is how an attempt ended.
type Outcome string

// The outcomes. The first four failures mean that no connection came about.
const (
	OK          Outcome = "ok"
	Refused     Outcome = "refused"     // a reset instead of a connection
	Timeout     Outcome = "timeout"     // no connection within the dial timeout
	Unreachable Outcome = "unreachable" // no way to the host: nobody answers ARP or neighbour solicitations
	Other       Outcome = "other"       // an error of the client's own, or an answer that is not the node's name
	Unanswered  Outcome = "unanswered"  // connected, but no answer within the timeout
	Reset       Outcome = "reset"       // connected, then cut off before the answer
	BadTLS      Outcome = "tls"         // a certificate that is not trusted, or not TLS
)

// unfinished is the outcome of attempts that the end of the measurement cut short.
const unfinished Outcome = ""

// dialOutcome says why there is no connection.
func dialOutcome(err error) Outcome {
	switch {
	case isTimeout(err):
		return Timeout
	case errors.Is(err, syscall.ECONNREFUSED):
		return Refused
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return Unreachable
	case isReset(err): // the connection came about, and ended before this process knew
		return Reset
	}
	return Other
}

// cutOutcome says why a connection gave no answer; otherwise is what it means if
// neither time nor the peer ended it.
func cutOutcome(err error, otherwise Outcome) Outcome {
	switch {
	case isTimeout(err):
		return Unanswered
	case isReset(err), isEnd(err):
		return Reset
	}
	return otherwise
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, syscall.ETIMEDOUT) || errors.As(err, &ne) && ne.Timeout()
}

func isReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNABORTED)
}

func isEnd(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}
