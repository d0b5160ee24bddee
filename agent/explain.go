package agent

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/vipd/vipd/vrrp"
)

// explain says in words why a state changed. Unfit is why this node is not ready.
func explain(t vrrp.Transition, unfit string, configured uint8) string {
	switch t.Cause {
	case vrrp.CauseStartup:
		return "started"
	case vrrp.CauseResumed:
		return "the agent was restarted and goes on"
	case vrrp.CauseOwner:
		return "it owns the addresses"
	case vrrp.CauseSilence:
		if t.Peer.IsValid() {
			return fmt.Sprintf("%s fell silent", t.Peer)
		}
		return "no other router was heard"
	case vrrp.CauseLeft:
		return fmt.Sprintf("%s left", t.Peer)
	case vrrp.CauseUnfit:
		return fmt.Sprintf("%s ranks as %s", t.Peer, vrrp.GradeOf(t.Priority))
	case vrrp.CausePreempt:
		return fmt.Sprintf("preempted %s, priority %d; ours is %d", t.Peer, t.Priority, configured)
	case vrrp.CauseOutranked:
		return outranked(t, unfit)
	case vrrp.CauseTieBreak:
		return fmt.Sprintf("%s has the same priority and the higher address", t.Peer)
	case vrrp.CauseStalled:
		return fmt.Sprintf("this host stood still, and %s has taken over", t.Peer)
	case vrrp.CauseMute:
		return fmt.Sprintf("this host cannot send advertisements, and %s can", t.Peer)
	case vrrp.CauseShutdown:
		return "the agent was stopped"
	case vrrp.CauseDisabled:
		return "the interface is not usable"
	case vrrp.CauseUnready:
		return unfit
	case vrrp.CauseWithheld:
		return "K3s is not running here: the addresses stay off until it is"
	}
	return t.Cause.String()
}

func outranked(t vrrp.Transition, unfit string) string {
	if unfit == "" {
		return fmt.Sprintf("preempted by %s, priority %d", t.Peer, t.Priority)
	}
	return fmt.Sprintf("%s; %s has taken over", unfit, t.Peer)
}

// explainRefusal says in words why a packet was refused, with the remedy where
// there is one. Empty: nothing that an operator could mend.
func explainRefusal(src netip.Addr, r vrrp.Reason, p *vrrp.Packet) string {
	switch r {
	case vrrp.BadTTL:
		return fmt.Sprintf("%s sends advertisements with a TTL that is not 255: they are forged or were routed", src)
	case vrrp.BadVersion:
		return fmt.Sprintf("%s speaks VRRP version %d for VRID %d: set it to version 3 (keepalived: vrrp_version 3)", src, p.Version, p.VRID)
	case vrrp.BadDestination:
		return fmt.Sprintf("%s sends to the wrong place: some routers here use unicast peers and others multicast, or peers lacks %s", src, src)
	case vrrp.BadChecksum:
		return fmt.Sprintf("advertisements of %s arrive with a wrong checksum", src)
	case vrrp.BadInterval:
		return fmt.Sprintf("%s advertises an interval of zero", src)
	case vrrp.AuthMissing:
		return fmt.Sprintf("%s does not sign its advertisements: give it the [auth] of this node, or set mode to \"permissive\" until all have it", src)
	case vrrp.AuthUnexpected:
		return fmt.Sprintf("%s signs its advertisements and this node has no [auth]: give it mode = \"receive-only\" and the keys first", src)
	case vrrp.AuthStale:
		return fmt.Sprintf("the clock of %s is too far from ours: check time synchronisation on both", src)
	case vrrp.AuthUnknownKey:
		return fmt.Sprintf("%s signs with a key that is not in auth.keys here", src)
	case vrrp.AuthBadHMAC:
		return fmt.Sprintf("%s signs with a key of the right id and the wrong bytes, or is a forger", src)
	case vrrp.AuthReplay:
		return fmt.Sprintf("old advertisements of %s were sent again: somebody replays them", src)
	case vrrp.BadLength, vrrp.BadType, vrrp.BadAddressCount, vrrp.AuthMalformed:
		return fmt.Sprintf("%s sends malformed packets: %s", src, r)
	}
	return ""
}

// explainNotice says in words what is odd about an accepted packet.
func explainNotice(src netip.Addr, n vrrp.Notice, p *vrrp.Packet, in *vrrp.Inspector) string {
	switch n {
	case vrrp.NoticeInterval:
		return fmt.Sprintf("%s advertises each %v, this node each %v: use one vipd.toml on all servers", src, p.Interval, in.Interval)
	case vrrp.NoticeAddresses:
		return fmt.Sprintf("%s uses VRID %d for other addresses (%s): if it is a stranger choose another vrid, else use one vipd.toml on all servers",
			src, in.VRID, addresses(p.Addrs))
	case vrrp.NoticeUnsigned:
		return fmt.Sprintf("%s does not sign its advertisements yet", src)
	}
	return ""
}

func addresses(list []netip.Addr) string {
	var s []string
	for i, a := range list {
		if i == 3 {
			s = append(s, "...")
			break
		}
		s = append(s, a.String())
	}
	return strings.Join(s, ", ")
}
