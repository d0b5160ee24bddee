package health

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Types of check.
const (
	typeK3s     = "k3s"
	typeHTTPS   = "https"
	typeTCP     = "tcp"
	typeExec    = "exec"
	typeSystemd = "systemd"
	typeNone    = "none"
)

// Check is one thing to watch, as the table [[check]] of the configuration has
// it. Which fields count depends on the type.
type Check struct {
	// Type is k3s, https, tcp, exec, systemd or none. A k3s check has all three
	// grades; the others are ready or down.
	Type string

	Interval time.Duration // between the beginnings of two probes; not for none
	Timeout  time.Duration // how long a probe may take; k3s: to show that the server lives
	Fall     int           // failures in a row before the grade falls
	Rise     int           // successes in a row before it rises

	URL string // k3s, https

	DataDir      string        // k3s: where K3s keeps its certificates, in server/tls
	ReadyTimeout time.Duration // k3s: how long /readyz may take
	Unit         string        // systemd; k3s: the unit to watch besides, or ""

	CAFile             string // https: signers of the server's certificate; "" for the system's
	CertFile, KeyFile  string // https: client certificate, or ""
	InsecureSkipVerify bool   // https: accept any server certificate
	ExpectStatus       int    // https: 0 means 200

	Address string   // tcp: host:port
	Command []string // exec: program and arguments; exit status 0 is ready
}

// String names the check by its type and what it looks at.
func (c Check) String() string {
	target := map[string]string{
		typeK3s:     c.URL,
		typeHTTPS:   c.URL,
		typeTCP:     c.Address,
		typeExec:    strings.Join(c.Command, " "),
		typeSystemd: c.Unit,
	}[c.Type]
	return strings.TrimSpace(c.Type + " " + target)
}

// subject is what a verdict's cause calls the thing that is checked.
func (c Check) subject() string {
	if c.Type == typeK3s {
		return "api"
	}
	return c.String()
}

// validate reports what no probe could be made of.
func (c Check) validate() error {
	switch c.Type {
	case typeK3s, typeHTTPS:
		if u, err := url.Parse(c.URL); err != nil || u.Scheme != "https" || u.Host == "" {
			return fmt.Errorf("url %q is not https://host:port", c.URL)
		}
	case typeTCP:
		if _, _, err := net.SplitHostPort(c.Address); err != nil {
			return fmt.Errorf("address %q is not host:port", c.Address)
		}
	case typeExec:
		if len(c.Command) == 0 {
			return errors.New("command is missing")
		}
		if err := MayStart(); err != nil {
			return err
		}
	case typeSystemd:
		if c.Unit == "" {
			return errors.New("unit is missing")
		}
	case typeNone:
		return nil
	default:
		return fmt.Errorf("unknown type %q", c.Type)
	}
	return c.validateTimes()
}

func (c Check) validateTimes() error {
	times := []time.Duration{c.Interval, c.Timeout}
	if c.Type == typeK3s {
		times = append(times, c.ReadyTimeout)
	}
	if slices.Min(times) <= 0 {
		return errors.New("interval and timeouts must be positive")
	}
	if c.Fall < 1 || c.Rise < 1 {
		return errors.New("fall and rise must be 1 or more")
	}
	return nil
}

// counts returns fall and rise. What systemd says, and what is always so, needs
// no second opinion.
func (c Check) counts() (fall, rise int) {
	if c.Type == typeSystemd || c.Type == typeNone {
		return 1, 1
	}
	return c.Fall, c.Rise
}
