// Package machine boots Debian with systemd, in systemd-nspawn, on a network
// namespace that it is given: a server as an operator has it, with a journal, units,
// reboots and losses of power. mkroot makes the root file system that machines share.
//
// Run programs that use it through test/contain as root: machines and what they
// mount end with it. Close removes their control groups, which would stay.
package machine
