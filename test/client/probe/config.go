package probe

import (
	"flag"
	"time"
)

// Config says what a [Prober] asks, and how often.
type Config struct {
	Address     string        // host:port
	CAFile      string        // PEM of the authority that the server's certificate must come from; "" for plain TCP
	ServerName  string        // name that the certificate must have; "" for the host of Address
	Interval    time.Duration // from the start of one attempt to the next
	DialTimeout time.Duration // for a connection to come about
	Timeout     time.Duration // for the whole attempt
	Idle        bool          // keep one more connection open and idle
}

// Flags defines the flags that fill c, with the defaults.
func (c *Config) Flags(fs *flag.FlagSet) {
	fs.StringVar(&c.Address, "address", "", "host:port to connect to")
	fs.StringVar(&c.CAFile, "ca", "", "PEM `file` of the server's authority; without it plain TCP, and the server says its name first")
	fs.StringVar(&c.ServerName, "server-name", "", "name that the certificate must have (default: the host of -address)")
	fs.DurationVar(&c.Interval, "interval", 2*time.Millisecond, "from one attempt to the next")
	fs.DurationVar(&c.DialTimeout, "dial-timeout", time.Second, "for a connection to come about")
	fs.DurationVar(&c.Timeout, "timeout", 3*time.Second, "for the whole attempt")
	fs.BoolVar(&c.Idle, "idle", false, "keep one more connection open and idle")
}

// args returns the command line that Flags reads c from; what is zero keeps its default.
func (c Config) args() []string {
	var out []string
	for _, f := range []struct{ name, value string }{
		{"address", c.Address}, {"ca", c.CAFile}, {"server-name", c.ServerName},
	} {
		if f.value != "" {
			out = append(out, "-"+f.name+"="+f.value)
		}
	}
	for _, f := range []struct {
		name  string
		value time.Duration
	}{
		{"interval", c.Interval}, {"dial-timeout", c.DialTimeout}, {"timeout", c.Timeout},
	} {
		if f.value != 0 {
			out = append(out, "-"+f.name+"="+f.value.String())
		}
	}
	if c.Idle {
		out = append(out, "-idle")
	}
	return out
}
