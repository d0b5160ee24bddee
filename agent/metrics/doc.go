// Package metrics serves what an agent publishes to Prometheus. It asks for a
// [Snapshot] at each scrape, and knows nothing of where it comes from.
package metrics
