// Package watch shows what virtual routers say on the wire: advertisements,
// announcements, and where two of them contradict each other. It needs no agent.
package watch
