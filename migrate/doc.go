// Package migrate translates the configuration of another program that keeps a
// virtual IP into a vipd.toml, and says of what it cannot translate what to do.
package migrate
