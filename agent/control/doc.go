// Package control is the language of the agent's control socket: HTTP with JSON
// over a Unix socket that only its owner may open. The documents are a stable
// interface; docs/control.md describes them.
//
//	curl --unix-socket /run/vipd/control.sock http://vipd/v1/status
package control
