// Package cluster runs vipd for real: servers with an agent and a stand-in API
// server each, and a client, as processes on a lab's nodes. The tests, the demo
// and the benchmarks use it.
package cluster
