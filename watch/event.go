package watch

import (
	"time"
)

// Event is a line of what was seen. As JSON it is documented in
// docs/watch.schema.json.
type Event struct {
	Time      time.Time `json:"time"`
	Kind      Kind      `json:"kind"`
	Interface string    `json:"interface,omitempty"`
	Own       bool      `json:"own,omitempty"` // a packet that this host sent

	*Advert       `json:",omitempty"`
	*Announcement `json:",omitempty"`
	*Conflict     `json:",omitempty"`
	*Total        `json:",omitempty"`

	// Text is the event in words, for those that are more than packets.
	Text string `json:"text,omitempty"`
}

// Kind says what an event is.
type Kind string

// The kinds.
const (
	KindStart         Kind = "start"         // what is listened to, and by which rules
	KindAdvertisement Kind = "advertisement" // a VRRP packet
	KindAnnouncement  Kind = "announcement"  // a gratuitous ARP or an unsolicited neighbour advertisement
	KindConflict      Kind = "conflict"      // two stations contradict each other
	KindSilence       Kind = "silence"       // nothing is heard
	KindInterface     Kind = "interface"     // an interface can no longer be listened to
	KindEnd           Kind = "end"           // the totals
)

// Advert is a VRRP packet, decoded as far as it can be.
type Advert struct {
	Source      string   `json:"source"`
	Destination string   `json:"destination"`
	MAC         string   `json:"source_mac"`
	Family      string   `json:"family"`
	Version     uint8    `json:"version"`
	VRID        uint8    `json:"vrid"`
	VIP         string   `json:"vip,omitempty"` // its name in vipd.toml
	Priority    uint8    `json:"priority"`
	Grade       string   `json:"grade"`                     // ready, degraded, down; leaving
	Interval    string   `json:"advert_interval,omitempty"` // as in "250ms"
	Addresses   []string `json:"addresses"`
	Checksum    string   `json:"checksum"` // pseudo-header, rfc9568, ok, bad, unknown
	Signed      bool     `json:"signed"`
	KeyID       uint8    `json:"key_id,omitempty"`
	Verified    bool     `json:"verified"` // signed, and found right with a key of this host
	// Refused is the name of the counter that grows where this host's rules refuse the
	// packet; Why is that in words.
	Refused string   `json:"refused,omitempty"`
	Why     string   `json:"why,omitempty"`
	Notices []string `json:"notices,omitempty"`
}

// Announcement says that an address is at a MAC.
type Announcement struct {
	Address string `json:"address"`
	At      string `json:"mac"`
	Form    Form   `json:"form"`
}

// Form is the kind of packet that an announcement came in.
type Form string

// The forms. A reply that answers a question is none, but counts for conflicts.
const (
	ARPRequest Form = "arp-request"
	ARPReply   Form = "arp-reply"
	Neighbour  Form = "neighbour-advertisement"
)

// Conflict names two stations of which only one can be right.
type Conflict struct {
	About    string   `json:"about"` // the address, or "VRID 51"
	Stations []string `json:"stations"`
}

// Total is what was seen in all.
type Total struct {
	Adverts       int `json:"advertisements"`
	Refusals      int `json:"refused_advertisements"`
	Announcements int `json:"announcements"`
	Conflicts     int `json:"conflicts"`
	Dropped       int `json:"dropped_by_kernel"`
}
