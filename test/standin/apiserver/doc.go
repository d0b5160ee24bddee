// Package apiserver stands in for the API of a K3s server: the same answers with
// the same delays, when it starts, serves, fails and dies, each on command. What
// it imitates was measured on K3s v1.21.2.
package apiserver
