package registrar_test

import (
	"net/netip"
	"testing"

	"sipregd/internal/journal"
	"sipregd/internal/message"
)

// silent is a journal for benchmarks.
type silent struct{}

func (silent) Record(journal.Event) {}

// BenchmarkChallenge is what the daemon computes for a REGISTER without
// credentials: everything but the sockets.
func BenchmarkChallenge(b *testing.B) {
	l := newLab(b, withJournal(silent{}))
	request := []byte(l.kitchen().request(kitchenContact))
	room := make([]byte, 0, 2048)
	b.ReportAllocs()
	for b.Loop() {
		l.layer.Receive(room, request, phoneFlow, l.now)
	}
}

// BenchmarkRefresh is what it computes for a REGISTER with credentials. With
// BenchmarkChallenge it makes a registration.
func BenchmarkRefresh(b *testing.B) {
	l := newLab(b, withJournal(silent{}))
	p := l.kitchen()
	p.register(kitchenContact).want(200)
	requests := make([][]byte, 4096)
	room := make([]byte, 0, 2048)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i%len(requests) == 0 {
			b.StopTimer()
			for j := range requests {
				p.nc++
				requests[j] = []byte(p.request(p.authorization(), kitchenContact))
			}
			b.StartTimer()
		}
		l.layer.Receive(room, requests[i%len(requests)], phoneFlow, l.now)
	}
}

var phoneFlow = message.Flow{
	Transport: "UDP",
	Source:    netip.MustParseAddrPort("192.0.2.7:5060"), Local: netip.MustParseAddrPort("192.0.2.1:5060"),
}
