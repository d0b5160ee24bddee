package agent

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/vipd/vipd/vip"
)

// askAgain is the time between two questions for one address (RFC 5227, section 1.1:
// PROBE_MIN).
const askAgain = time.Second

// inquiries are questions for other stations with an address. The segment's
// announcement watch hears the answers, so that they need no sockets of their own.
type inquiries struct {
	mu      sync.Mutex
	waiting map[netip.Addr]chan net.HardwareAddr
}

// ask puts the question until another station has answered, or ctx ends: then nobody
// has the address. Nobody else may ask for it meanwhile.
func (q *inquiries) ask(ctx context.Context, out asker, mac net.HardwareAddr, addr netip.Addr) (other net.HardwareAddr, found bool, err error) {
	answer := q.begin(addr)
	defer q.end(addr)
	again := time.NewTicker(askAgain)
	defer again.Stop()
	for {
		if err := out.Ask(mac, addr); err != nil {
			return nil, false, err
		}
		select {
		case other := <-answer:
			return other, true, nil
		case <-ctx.Done():
			return nil, false, nil
		case <-again.C:
		}
	}
}

type asker interface {
	Ask(mac net.HardwareAddr, addr netip.Addr) error
}

func (q *inquiries) begin(addr netip.Addr) <-chan net.HardwareAddr {
	answer := make(chan net.HardwareAddr, 1)
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.waiting == nil {
		q.waiting = make(map[netip.Addr]chan net.HardwareAddr)
	}
	q.waiting[addr] = answer
	return answer
}

func (q *inquiries) end(addr netip.Addr) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.waiting, addr)
}

// heard gives the one who asked the answer.
func (q *inquiries) heard(h vip.Heard) {
	q.mu.Lock()
	defer q.mu.Unlock()
	select {
	case q.waiting[h.Addr] <- h.MAC: // nobody asked: nil, which is never ready
	default:
	}
}
