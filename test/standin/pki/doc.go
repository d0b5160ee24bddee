// Package pki makes the certificates of a K3s server, in K3s's places and with
// K3s's permissions, so that an agent under test finds what it would find on a
// real one. All keys are ECDSA P-256: a client that makes hundreds of
// connections a second must not be measuring RSA.
package pki
