package doctor

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/vipd/vipd/vrrp"
)

// signedBy is what the peer sends with a key.
func signedBy(id uint8, secret string) Frame {
	return advert(51, 0, vrrp.NewSigner(vrrp.Key{ID: id, Secret: []byte(secret)}, vrrp.ReplayTime, 5*time.Second), theVIP)
}

// What a peer is refused for is told by its reason, with a remedy of its own.
func TestRefusals(t *testing.T) {
	signed := func(f *fakes, frames ...Frame) { f.files[configPath], f.frames = authConfig, frames }
	for reason, tt := range map[vrrp.Reason]struct {
		id, remedy string
		change     func(*fakes)
	}{
		vrrp.BadTTL:         {"peer-refused", "unicast peers", func(f *fakes) { f.frames[0].Header.TTL = 64 }},
		vrrp.BadDestination: {"peer-refused", "use peers on all servers or on none", func(f *fakes) { f.frames[0].Header.Dst = netip.MustParseAddr("198.51.100.11") }},
		vrrp.BadChecksum:    {"peer-refused", "NAT", func(f *fakes) { f.frames[0].Payload[6] ^= 1 }},
		vrrp.BadInterval:    {"peer-refused", "set its interval", func(f *fakes) { f.frames = []Frame{advert(51, time.Nanosecond, nil, theVIP)} }},
		vrrp.BadLength:      {"peer-refused", "vipd watch", func(f *fakes) { f.frames[0].Payload = append(f.frames[0].Payload, 0) }},
		vrrp.BadType:        {"peer-refused", "vipd watch", func(f *fakes) { f.frames[0].Payload[0] = 3<<4 | 2 }},
		vrrp.AuthMissing:    {"peer-auth-differs", "permissive", func(f *fakes) { signed(f, f.frames[0]) }},
		vrrp.AuthUnexpected: {"peer-auth-differs", "receive-only", func(f *fakes) { f.frames = []Frame{signedBy(1, secret)} }},
		vrrp.AuthUnknownKey: {"peer-auth-differs", "under the same ids", func(f *fakes) { signed(f, signedBy(2, secret)) }},
		vrrp.AuthBadHMAC:    {"peer-auth-differs", "sha256sum", func(f *fakes) { signed(f, signedBy(1, strings.Repeat("o", 32))) }},
		vrrp.AuthReplay:     {"peer-refused", "replays", func(f *fakes) { once := signedBy(1, secret); signed(f, once, once) }},
		vrrp.AuthMalformed: {"peer-auth-differs", "same release", func(f *fakes) {
			odd := signedBy(1, secret)
			odd.Payload[len(odd.Payload)-vrrp.TrailerLen] ^= 0xff
			signed(f, odd)
		}},
	} {
		t.Run(reason.String(), func(t *testing.T) {
			f := healthy()
			tt.change(f)
			fault, _ := reason.Explain("198.51.100.12 (02:00:00:00:00:02)")
			r := f.examine(t, Options{Listen: listen, Root: true})
			for _, x := range r.Findings {
				if x.ID == tt.id && strings.HasPrefix(x.Evidence, fault) && strings.Contains(x.Remedy, tt.remedy) {
					return
				}
			}
			t.Errorf("%s, %q, %q is not among %+v", tt.id, fault, tt.remedy, r.Findings)
		})
	}
}

// A peer that signs as it should is no finding, in a rotation of keys neither.
func TestSignedIsSound(t *testing.T) {
	f := healthy()
	f.files[configPath], f.frames = authConfig, []Frame{signedBy(1, secret)}
	for _, x := range f.examine(t, Options{Listen: listen, Root: true}).Findings {
		if x.Severity != OK {
			t.Errorf("%+v", x)
		}
	}
}

// An interval that is long is listened for as long as it takes, or it is said that it was not.
func TestLongInterval(t *testing.T) {
	for name, tt := range map[string]struct {
		interval         string
		listen, patience time.Duration
		heardFor         time.Duration
		finding, left    bool
	}{
		"short":         {"250ms", 4 * time.Second, 30 * time.Second, 4 * time.Second, true, false},
		"long":          {"2s", 4 * time.Second, 30 * time.Second, 8 * time.Second, true, false},
		"too long":      {"10s", 4 * time.Second, 30 * time.Second, 30 * time.Second, false, true},
		"as it is told": {"2s", 4 * time.Second, 4 * time.Second, 4 * time.Second, false, true},
		"to hear more":  {"10s", 40 * time.Second, 40 * time.Second, 40 * time.Second, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			f := healthy()
			f.files[configPath] = soundConfig + "advert_interval = \"" + tt.interval + "\"\n"
			f.frames = nil
			r := f.examine(t, Options{Listen: tt.listen, Patience: tt.patience, Root: true})
			left := false
			for _, s := range r.LeftOut {
				left = left || s.Check == "wire" && strings.Contains(s.Why, "run vipd doctor --listen ")
			}
			if f.heardFor != tt.heardFor || r.has("no-advertisement") != tt.finding || left != tt.left || r.hasOK("wire") {
				t.Errorf("listened for %v; %+v, left out %+v", f.heardFor, r.Findings, r.LeftOut)
			}
		})
	}
}

// That an Active hears nobody takes no time to tell.
func TestActiveWithLongInterval(t *testing.T) {
	f := healthy()
	f.files[configPath] = soundConfig + "advert_interval = \"10s\"\n"
	f.frames, f.router().State = nil, "Active"
	r := f.examine(t, Options{Listen: listen, Root: true})
	if !r.hasOK("wire") {
		t.Errorf("%+v, left out %+v", r.Findings, r.LeftOut)
	}
}

func (r Report) hasOK(check string) bool {
	for _, f := range r.Findings {
		if f.ID == check && f.Severity == OK {
			return true
		}
	}
	return false
}
