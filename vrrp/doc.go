// Package vrrp is the Virtual Router Redundancy Protocol version 3 (RFC 9568),
// pure: the packet codec, the authentication trailer and the state machine.
//
// It imports the standard library alone and knows neither sockets nor a clock.
// Time is handed in as an [Instant]; what has to be done is handed out as
// effects. So the code that runs in production is the code that is simulated.
package vrrp
