package registrar_test

import (
	"testing"

	"sipregd/internal/journal"
)

// silent is a journal for benchmarks.
type silent struct{}

func (silent) Record(journal.Event) {}

// BenchmarkChallenge is what the daemon computes for a REGISTER without
// credentials: everything but the sockets.
func BenchmarkChallenge(b *testing.B) {
	l := newLab(b, withJournal(silent{}))
	request := l.kitchen().request(kitchenContact)
	b.ReportAllocs()
	for b.Loop() {
		l.receive(request)
	}
}

// BenchmarkRefresh is what it computes for a REGISTER with credentials. With
// BenchmarkChallenge it makes a registration.
func BenchmarkRefresh(b *testing.B) {
	l := newLab(b, withJournal(silent{}))
	p := l.kitchen()
	p.register(kitchenContact).want(200)
	requests := make([]string, 4096)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i%len(requests) == 0 {
			b.StopTimer()
			for j := range requests {
				p.nc++
				requests[j] = p.request(p.authorization(), kitchenContact)
			}
			b.StartTimer()
		}
		l.receive(requests[i%len(requests)])
	}
}
