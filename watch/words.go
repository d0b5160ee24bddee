package watch

import (
	"fmt"

	"github.com/vipd/vipd/vrrp"
)

// why says in words why this host refuses an advertisement, and what to do.
func why(r vrrp.Reason, version uint8) string {
	switch r {
	case vrrp.BadTTL:
		return "its TTL is not 255: it was forged or came through a router"
	case vrrp.OwnSource:
		return "it claims to come from this host and did not: forged, or an address is used twice"
	case vrrp.BadDestination:
		return "sent to the wrong place: some routers use unicast peers and others multicast, or peers lacks the sender"
	case vrrp.BadLength:
		return "its length is not what its own fields say"
	case vrrp.BadVersion:
		return fmt.Sprintf("VRRP version %d: set the sender to version 3 (keepalived: vrrp_version 3)", version)
	case vrrp.BadType:
		return "not an advertisement"
	case vrrp.BadAddressCount:
		return "it has no address"
	case vrrp.BadChecksum:
		return "wrong checksum: damaged, or computed in another way"
	case vrrp.BadInterval:
		return "its interval is zero"
	case vrrp.BadFirstAddress:
		return "its first address is not link-local"
	case vrrp.AuthMissing:
		return "not signed: give the sender the [auth] of this host, or set mode to \"permissive\" until all have it"
	case vrrp.AuthUnexpected:
		return "signed, and this host has no [auth]: give it mode = \"receive-only\" and the keys"
	case vrrp.AuthMalformed:
		return "the signature is of a kind that nobody knows"
	case vrrp.AuthStale:
		return "the sender's clock is too far from ours: check time synchronisation on both, or it is a replay"
	case vrrp.AuthUnknownKey:
		return "signed with a key that is not in auth.keys here"
	case vrrp.AuthBadHMAC:
		return "signed with a key of the right id and the wrong bytes, or forged"
	case vrrp.AuthReplay:
		return "old: it was sent again"
	}
	return r.String()
}

// noticed says what is odd about an advertisement that is accepted.
func noticed(v verdict) []string {
	var list []string
	if v.router == nil {
		return nil
	}
	if v.notices&vrrp.NoticeInterval != 0 {
		list = append(list, fmt.Sprintf("vipd.toml here says each %v", v.router.vip.AdvertInterval))
	}
	if v.notices&vrrp.NoticeAddresses != 0 {
		list = append(list, "vipd.toml here has other addresses for this VRID")
	}
	if v.notices&vrrp.NoticeUnsigned != 0 {
		list = append(list, "not signed, which mode \"enforce\" would refuse")
	}
	if v.blind {
		list = append(list, "the key is not readable here, so its signature was not verified")
	}
	return list
}
