package agent

import (
	"net/netip"
	"slices"

	"github.com/vipd/vipd/config"
	"github.com/vipd/vipd/vrrp"
	"github.com/vipd/vipd/vrrp/transport"
)

// send sends an advertisement to all peers and reports whether any went out, or
// there was nobody to send to.
func (r *router) send(priority uint8) bool {
	r.packet.Priority = priority
	to := ofFamily(r.cfg.Peers, r.id.Family)
	if len(to) == 0 {
		return r.sendTo(r.id.Family.Group()) == nil
	}
	var tried, sent int
	for _, p := range to {
		if p == r.link.src {
			continue
		}
		tried++
		if r.sendTo(p) == nil {
			sent++
		}
	}
	return sent > 0 || tried == 0
}

func (r *router) sendTo(dst netip.Addr) error {
	kind := vrrp.ChecksumPseudoHeader
	if r.cfg.Checksum == config.RFC9568 {
		kind = vrrp.ChecksumRFC9568
	}
	r.buf = r.packet.Append(r.buf[:0], r.link.src, dst, kind)
	if r.signer != nil {
		r.buf = r.signer.Append(r.buf, r.buf, r.link.src, r.clock.wall())
	}
	if err := r.link.sender.Send(r.link.src, dst, r.buf); err != nil {
		r.record.sendFailed(r.id, r.cfg, dst, err)
		return err
	}
	r.sent[0].Add(1)
	if r.packet.Priority == vrrp.PriorityLeave {
		r.sent[1].Add(1)
	}
	return nil
}

// handle is the receiver's: it checks a packet and queues the advertisement.
func (r *router) handle(d *transport.Datagram) {
	in := r.inspector.Load()
	if in == nil {
		return
	}
	hdr := vrrp.Header{Src: d.Src, Dst: d.Dst, TTL: d.TTL}
	a, reason, notice := in.Inspect(hdr, d.Payload, d.Arrival, r.clock.wall())
	if reason == vrrp.AuthStale {
		// A clock that was set right before anything vouches for it, as that of a
		// virtual machine which stood still: now a peer does.
		if wall, differs := r.clock.day.host(); differs {
			if a, reason, notice = in.Inspect(hdr, d.Payload, d.Arrival, wall); reason == vrrp.Accepted {
				r.clock.day.trust()
			}
		}
	}
	if reason != vrrp.Accepted {
		r.refused(d.Src, reason, in.Packet())
		return
	}
	if notice != 0 {
		r.noticed(d.Src, notice, in.Packet())
	}
	r.peers.heard(a)
	r.queue(a)
}

// queue hands the loop an advertisement. Where there is no room the oldest goes:
// the newest tells who is alive now.
func (r *router) queue(a vrrp.Advert) {
	for {
		select {
		case r.adverts <- a:
			return
		default:
		}
		select {
		case <-r.adverts:
			r.dropped.Add(1)
		default:
		}
	}
}

// wireOrder puts the IPv6 link-local address first, where strict receivers want
// it (RFC 9568, section 5.2.9).
func wireOrder(addrs []netip.Addr) []netip.Addr {
	out := slices.Clone(addrs)
	slices.SortStableFunc(out, func(a, b netip.Addr) int {
		switch {
		case a.IsLinkLocalUnicast() == b.IsLinkLocalUnicast():
			return 0
		case a.IsLinkLocalUnicast():
			return -1
		}
		return 1
	})
	return out
}

func ofFamily(addrs []netip.Addr, f vrrp.Family) []netip.Addr {
	var out []netip.Addr
	for _, a := range addrs {
		if vrrp.FamilyOf(a) == f {
			out = append(out, a)
		}
	}
	return out
}
