package transaction

import (
	"fmt"
	"testing"
	"time"

	"sipregd/internal/message"
)

// granting is a core that decides nothing.
type granting struct{ core }

func (*granting) Answer(request *message.Request, _ time.Time) *message.Response {
	response := request.Respond(200, "OK").With("Contact", "<sip:2001@192.0.2.7:5060>;expires=3600")
	response.Keep = true
	return response
}

// BenchmarkMatch passes requests with credentials through the layer: each a new
// one, and each a retransmission of one of many that were answered. Half of its
// time is the parser's.
func BenchmarkMatch(b *testing.B) {
	const count = 100000
	requests := make([][]byte, count)
	for i := range requests {
		requests[i] = register(fmt.Sprint("z9hG4bK", i), fmt.Sprint(i))
	}
	for _, row := range []struct {
		name string
		step time.Duration // by which the clock goes on: as many are new as Timer J lets be
	}{{"new", 2 * timerJ / count}, {"retransmission", 0}} {
		b.Run(row.name, func(b *testing.B) {
			l := NewLayer(&granting{}, 64<<20)
			room, now := make([]byte, 0, 1024), start
			for _, request := range requests {
				l.Receive(room, request, udp, now)
				now = now.Add(row.step)
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				now = now.Add(row.step)
				l.Receive(room, requests[i%count], udp, now)
			}
		})
	}
}
