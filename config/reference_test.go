package config

import (
	_ "embed"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// reference is a vipd.toml that documents every option, with its default. Lines
// that start with "#" and no space after it are settings to be chosen.
//
//go:embed reference.toml
var reference string

// uncommented turns the settings that are off in a reference on: in prose there
// is a space after "#".
func uncommented(text string) string {
	return regexp.MustCompile(`(?m)^#([^ #\n])|^#(    \{)`).ReplaceAllString(text, "$1$2")
}

// TestReferenceDefaults: what the reference shows is what a file without it means.
// TestReferenceBGPDefaults: the examples show the defaults, where there are any.
func TestReferenceBGPDefaults(t *testing.T) {
	got := parse(t, uncommented(reference)).BGP
	b := defaultBGP()
	b.LocalAS, b.RouterID, b.Peers = got.LocalAS, got.RouterID, got.Peers
	if diff := cmp.Diff(&b, got, addrs, cmp.AllowUnexported(BGPPeer{})); diff != "" {
		t.Errorf("bgp (-default +reference):\n%s", diff)
	}
	g := got.Peers[0]
	want := defaultBGPPeer()
	if g.Port != want.Port || g.HoldTime != want.HoldTime || g.ConnectRetry != want.ConnectRetry || g.WorseStep != 4 || g.WorseBy != WorseByPath {
		t.Errorf("bgp.peer: %+v", g)
	}
}

func TestReferenceDefaults(t *testing.T) {
	want := parse(t, minimal)
	if diff := cmp.Diff(want, parse(t, reference), addrs); diff != "" {
		t.Errorf("(-defaults +reference):\n%s", diff)
	}
}

func TestReferenceOptionDefaults(t *testing.T) {
	c := parse(t, uncommented(reference))
	for _, got := range c.Checks {
		want := defaultCheck(got.Type)
		// What has no default is shown by an example.
		want.URL, want.Address, want.Command, want.Unit = got.URL, got.Address, got.Command, got.Unit
		want.CAFile, want.CertFile, want.KeyFile = got.CAFile, got.CertFile, got.KeyFile
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("check %s (-default +reference):\n%s", got.Type, diff)
		}
	}
	for _, got := range c.Hooks {
		want := defaultHook()
		want.On, want.Command = got.On, got.Command
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("hook (-default +reference):\n%s", diff)
		}
	}
	want := defaultAuth()
	want.ActiveKey, want.Keys = c.Auth.ActiveKey, c.Auth.Keys
	want.Window = want.WindowFor(defaultVIP().AdvertInterval)
	if diff := cmp.Diff(&want, c.Auth); diff != "" {
		t.Errorf("auth (-default +reference):\n%s", diff)
	}
}

func TestReferenceIsComplete(t *testing.T) {
	text := uncommented(reference)
	for table, keys := range map[string][]string{
		"check": checkKeys.names(), "vip": vipKeys.names(), "auth": authKeys.names(),
		"auth.keys": keyKeys.names(), "bgp": bgpKeys.names()[:4], "bgp.peer": bgpPeerKeys.names(), "metrics": metricsKeys.names(), "hook": hookKeys.names(),
	} {
		for _, key := range keys {
			if !regexp.MustCompile(`(?m)(^|[{,] )` + key + ` = `).MatchString(text) {
				t.Errorf("%s.%s is not in it", table, key)
			}
		}
	}
	var kinds []CheckType
	for _, c := range parse(t, text).Checks {
		kinds = append(kinds, c.Type)
	}
	want := []CheckType{CheckK3s, CheckHTTPS, CheckTCP, CheckExec, CheckSystemd, CheckNone}
	if diff := cmp.Diff(want, kinds); diff != "" {
		t.Errorf("types (-want +got):\n%s", diff)
	}
}
