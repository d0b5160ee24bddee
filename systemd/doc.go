// Package systemd is what the agent says to systemd and hears from it: readiness
// and watchdog ([Notifier]), the state of other units and the end of their main
// processes ([Units]), structured logs ([NewLogHandler]) and the scheduling that
// the unit file asked for ([RealTime], [LockMemory]).
//
// Everything works, as a no-op or with a clear error, on a host without systemd.
package systemd
