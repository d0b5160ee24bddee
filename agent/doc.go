// Package agent joins the rooms at run time: one router per virtual router steps
// its state machine and carries out the effects, a segment per interface and
// family gives them the network, a health monitor tells how fit the local API
// server is, and the control socket answers operators.
package agent
