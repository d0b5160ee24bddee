// Package health probes the local API server and judges what the probes say.
//
// A [Monitor] asks, a [Judge] decides. The judge is pure: it is handed results
// and the time, so what runs in production is what a simulation runs. Its
// verdict is one of three grades (see [vrrp.Grade]), for a server that answers
// but has lost its datastore must not rank with one that is dead: when the
// datastore loses its leader, every server of the cluster is unready at once.
package health
