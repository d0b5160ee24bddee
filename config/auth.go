package config

import (
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/vipd/vipd/vrrp"
)

// Auth is the authentication of advertisements by an HMAC trailer
// (draft-cassen-vrrp-auth-hmac-00).
type Auth struct {
	Mode       AuthMode
	ActiveKey  uint8 // the ID of the key that signs
	Keys       []Key // at least one, IDs unique
	AntiReplay AntiReplay
	Window     time.Duration // 1 s to 5 min; 0: see WindowFor
}

// Key tells where a key is kept. It never holds the key itself.
type Key struct {
	ID         uint8  // 1 to 255
	File       string // absolute; empty if Credential is set
	Credential string // name of a systemd credential; empty if File is set
}

// String names the key, as in "key 2 (/etc/vipd/keys/2)".
func (k Key) String() string {
	if k.Credential != "" {
		return fmt.Sprintf("key %d (credential %s)", k.ID, k.Credential)
	}
	return fmt.Sprintf("key %d (%s)", k.ID, k.File)
}

// AuthMode says what is signed and what is accepted.
type AuthMode string

// The modes, in the order of a roll-out.
const (
	ReceiveOnly AuthMode = "receive-only" // sign nothing; verify what is signed
	Permissive  AuthMode = "permissive"   // sign; accept what is not
	Enforce     AuthMode = "enforce"      // sign; accept nothing else
)

// AntiReplay says how a recorded advertisement is told from a new one.
type AntiReplay string

// The kinds of replay protection.
const (
	ByTime      AntiReplay = "time"      // by clocks that agree
	ByMonotonic AntiReplay = "monotonic" // by growing sequence numbers alone
)

const (
	minWindow = time.Second
	maxWindow = 5 * time.Minute

	minWindowByDefault = 5 * time.Second
)

// WindowFor returns the tolerated difference of clocks for a virtual router that
// advertises each interval: Window, or the larger of three intervals and 5 s.
func (a *Auth) WindowFor(interval time.Duration) time.Duration {
	if a.Window > 0 {
		return a.Window
	}
	return max(3*interval, minWindowByDefault)
}

// Equal tells whether a and o are configured alike; either may be nil. Keys are
// compared by place: what is in their files may differ.
func (a *Auth) Equal(o *Auth) bool { return reflect.DeepEqual(a, o) }

// Verifier returns what checks advertisements, of a virtual router that advertises each
// interval, with the keys that were read.
func (a *Auth) Verifier(keys []vrrp.Key, interval time.Duration) *vrrp.Verifier {
	return vrrp.NewVerifier(a.mode(), keys, a.replay(), a.WindowFor(interval))
}

// Signer returns what signs them, or nil if nothing is to be signed or the active key is
// not among the keys.
func (a *Auth) Signer(keys []vrrp.Key, interval time.Duration) *vrrp.Signer {
	i := slices.IndexFunc(keys, func(k vrrp.Key) bool { return k.ID == a.ActiveKey })
	if a.Mode == ReceiveOnly || i < 0 {
		return nil
	}
	return vrrp.NewSigner(keys[i], a.replay(), a.WindowFor(interval))
}

func (a *Auth) mode() vrrp.AuthMode {
	switch a.Mode {
	case ReceiveOnly:
		return vrrp.AuthReceiveOnly
	case Permissive:
		return vrrp.AuthPermissive
	}
	return vrrp.AuthEnforce
}

func (a *Auth) replay() vrrp.AntiReplay {
	if a.AntiReplay == ByMonotonic {
		return vrrp.ReplayMonotonic
	}
	return vrrp.ReplayTime
}

// authKeys are the keys of [auth].
var authKeys = schema[Auth]{
	{"mode", func(v value, a *Auth) { oneOf(v, &a.Mode, Enforce, Permissive, ReceiveOnly) }},
	{"active_key", func(v value, a *Auth) { whole(v, &a.ActiveKey, 1, 255, ", the id of one of the keys") }},
	{"keys", readKeys},
	{"anti_replay", func(v value, a *Auth) { oneOf(v, &a.AntiReplay, ByTime, ByMonotonic) }},
	{"window", readWindow},
}

// keyKeys are the keys of one of auth.keys.
var keyKeys = schema[Key]{
	{"id", func(v value, k *Key) { whole(v, &k.ID, 1, 255, "") }},
	{"file", readKeyFile},
	{"credential", readCredential},
}

func readAuth(t value) *Auth {
	a := defaultAuth()
	authKeys.read(t, &a)
	if _, ok := t.data.(map[string]any); !ok {
		return nil
	}
	if !t.has("keys") {
		t.failKey("keys", "missing: list at least one, such as [{ id = 1, file = \"/etc/vipd/keys/1\" }]")
		return nil
	}
	switch known := slices.ContainsFunc(a.Keys, func(k Key) bool { return k.ID == a.ActiveKey }); {
	case !t.has("active_key") && len(a.Keys) == 1:
		a.ActiveKey = a.Keys[0].ID
	case !t.has("active_key") && len(a.Keys) > 1:
		t.failKey("active_key", "missing: name the id of the key that signs, one of %s", ids(a.Keys))
	case a.ActiveKey > 0 && len(a.Keys) > 0 && !known:
		t.failKey("active_key", "there is no key %d: choose one of %s", a.ActiveKey, ids(a.Keys))
	}
	return &a
}

func ids(keys []Key) string {
	s := ""
	for i, k := range keys {
		if i > 0 {
			s += ", "
		}
		s += fmt.Sprint(k.ID)
	}
	return s
}

func readKeys(v value, a *Auth) {
	const example = "{ id = 1, file = \"/etc/vipd/keys/1\" }"
	list, ok := v.elements()
	if !ok {
		v.fail("is %s: write a list, such as [%s]", v.kind(), example)
		return
	}
	if len(list) == 0 {
		v.fail("is empty: list at least one, such as [%s]", example)
	}
	for _, t := range list {
		if _, ok := t.data.(map[string]any); !ok {
			t.fail("is %s: write %s", t.kind(), example)
			continue
		}
		var k Key
		keyKeys.read(t, &k)
		if !t.has("id") {
			t.failKey("id", "missing: choose 1 to 255, the same on all nodes")
		}
		switch file, credential := t.has("file"), t.has("credential"); {
		case file && credential:
			t.failKey("file", "excludes credential: keep one of the two")
		case !file && !credential:
			t.failKey("file", "missing: name the file that holds the key, or a systemd credential")
		}
		if k.ID == 0 {
			continue
		}
		if slices.ContainsFunc(a.Keys, func(o Key) bool { return o.ID == k.ID }) {
			t.failKey("id", "%d is used twice: choose another", k.ID)
			continue
		}
		a.Keys = append(a.Keys, k)
	}
}

// readKeyFile does not repeat what it refuses: somebody may have put the key
// itself there.
func readKeyFile(v value, k *Key) {
	s, ok := v.data.(string)
	if !ok || s == "" || s[0] != '/' {
		v.fail("is not an absolute path: write the path of a file that holds the key, such as \"/etc/vipd/keys/1\"")
		return
	}
	k.File = s
}

func readCredential(v value, k *Key) {
	s, ok := v.data.(string)
	if !ok || !printable(s, 255, "/:") || s == "." || s == ".." {
		v.fail("is not the name of a credential: write the one that LoadCredential= in the unit gives it")
		return
	}
	k.Credential = s
}

func readWindow(v value, a *Auth) {
	d := minWindowByDefault
	if v.duration(&d, minWindow, maxWindow) {
		a.Window = d
	}
}
