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
	fault, remedy := r.Explain(src.String())
	if r == vrrp.BadVersion {
		fault = fmt.Sprintf("%s speaks VRRP version %d for VRID %d", src, p.Version, p.VRID)
	}
	if fault == "" {
		return ""
	}
	return fault + ": " + remedy
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
