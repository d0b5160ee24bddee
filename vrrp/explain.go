package vrrp

import "fmt"

// Explain says in words what a sender does whose packets are refused for this reason, and
// what an operator can do about it. Both are empty for ordinary traffic, which no sender is
// to blame for.
func (r Reason) Explain(sender string) (fault, remedy string) {
	switch r {
	case BadTTL:
		return sender + " sends advertisements with a TTL that is not 255",
			"they are forged or were routed: find the sender by its MAC; servers on different networks need unicast peers"
	case BadVersion:
		return sender + " speaks another version of VRRP", "set it to version 3 (keepalived: vrrp_version 3)"
	case BadDestination:
		return sender + " sends to the wrong place", "use peers on all servers or on none, and have each name all"
	case BadChecksum:
		return sender + " sends advertisements with a wrong checksum",
			"look for NAT of what that host sends (nft list ruleset), then for a faulty network card, cable or switch (ip -s link)"
	case BadInterval:
		return sender + " advertises an interval of zero", "set its interval to that of this node (keepalived: advert_int)"
	case BadLength, BadType, BadAddressCount:
		return fmt.Sprintf("%s sends malformed packets: %s", sender, r), "what it runs is no VRRP version 3: update or stop it; vipd watch shows the packets"
	}
	return r.explainAuth(sender)
}

func (r Reason) explainAuth(sender string) (fault, remedy string) {
	switch r {
	case AuthMissing:
		return sender + " does not sign its advertisements", "give it the [auth] of this node, or set mode to \"permissive\" until all have it"
	case AuthUnexpected:
		return sender + " signs its advertisements and this node has no [auth]", "give this node the keys, first with mode = \"receive-only\""
	case AuthMalformed:
		return sender + " signs in a way that is not known here", "run the same release on all servers"
	case AuthStale:
		return "the clock of " + sender + " is too far from ours", "check time synchronisation on both"
	case AuthUnknownKey:
		return sender + " signs with a key that is not in auth.keys here", "use the same keys on all servers, under the same ids"
	case AuthBadHMAC:
		return sender + " signs with a key of the right id and the wrong bytes, or is a forger", "compare the key's file on both: sha256sum"
	case AuthReplay:
		return "old advertisements of " + sender + " were sent again", "somebody replays them, or a loop of the network doubles them: look at the switch"
	}
	return "", ""
}
