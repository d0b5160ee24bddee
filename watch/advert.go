package watch

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/vipd/vipd/vrrp"
)

// message is what a VRRP packet says, whether or not it is refused.
type message struct {
	version, vrid, priority uint8
	interval                time.Duration
	addrs                   []netip.Addr
	trailer                 []byte
}

// readMessage decodes as much as there is. Version 2 has its addresses where version 3
// has them.
func readMessage(d *datagram) message {
	var p vrrp.Packet
	f := vrrp.FamilyOf(d.Src)
	n, _ := p.Parse(f, d.payload)
	m := message{version: p.Version, vrid: p.VRID, priority: p.Priority, interval: p.Interval, addrs: p.Addrs}
	if n > 0 {
		m.trailer = d.payload[n:]
	}
	const head = 8
	if p.Version == 2 && f == vrrp.IPv4 && len(d.payload) >= head {
		for b := d.payload[head:]; len(b) >= 4 && len(m.addrs) < int(d.payload[3]); b = b[4:] {
			m.addrs = append(m.addrs, netip.AddrFrom4([4]byte(b)))
		}
	}
	return m
}

// keyID returns the key of the signature, 0 if there is none.
func (m message) keyID() uint8 {
	if len(m.trailer) != vrrp.TrailerLen {
		return 0
	}
	return m.trailer[1]
}

// grade names what the priority stands for. A priority that is no vipd's is one of the
// grades all the same: so it is ranked.
func (m message) grade() string {
	if m.priority == vrrp.PriorityLeave {
		return "leaving"
	}
	return vrrp.GradeOf(m.priority).String()
}

// checksum names the kind.
func checksum(d *datagram, m message, reason vrrp.Reason) string {
	switch {
	case d.part || len(d.payload) < 8 || m.version != 3:
		return "unknown"
	case vrrp.FamilyOf(d.Src) == vrrp.IPv6 && d.checksumOK():
		return "ok"
	case vrrp.FamilyOf(d.Src) == vrrp.IPv6 || reason == vrrp.BadChecksum:
		return "bad"
	}
	again := vrrp.Packet{Version: 3, VRID: m.vrid, Priority: m.priority, Interval: m.interval, Addrs: m.addrs}
	sum := binary.BigEndian.Uint16(d.payload[6:])
	for _, kind := range []vrrp.ChecksumKind{vrrp.ChecksumPseudoHeader, vrrp.ChecksumRFC9568} {
		if b := again.Append(nil, d.Src, d.Dst, kind); binary.BigEndian.Uint16(b[6:]) == sum {
			return kind.String()
		}
	}
	return "unknown"
}

// advert makes the event's part from a packet and the verdict on it.
func advert(d *datagram, m message, v verdict) *Advert {
	a := &Advert{
		Source: d.Src.String(), Destination: d.Dst.String(), MAC: d.mac.String(), Family: vrrp.FamilyOf(d.Src).String(),
		Version: m.version, VRID: m.vrid, Priority: m.priority, Grade: m.grade(), Addresses: []string{},
		Checksum: checksum(d, m, v.reason), Signed: len(m.trailer) == vrrp.TrailerLen, KeyID: m.keyID(), Verified: v.verified,
		Notices: noticed(v),
	}
	if m.interval > 0 {
		a.Interval = m.interval.String()
	}
	for _, x := range m.addrs {
		a.Addresses = append(a.Addresses, x.String())
	}
	if v.router != nil {
		a.VIP = v.router.vip.Name
	}
	if v.reason != vrrp.Accepted {
		a.Refused, a.Why = v.reason.String(), why(v.reason, m.version)
	}
	return a
}
