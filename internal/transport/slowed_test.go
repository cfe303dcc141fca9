package transport

import (
	"slices"
	"testing"
	"time"

	"sipregd/internal/message"
	"sipregd/internal/transaction"
)

// slow is a handler that has each message wait, and takes down when it was told it came.
type slow struct {
	echo
	told chan time.Time
}

const slowness = 20 * time.Millisecond

func (s *slow) Receive(_, _ []byte, _ message.Flow, now time.Time) transaction.Reply {
	s.told <- now
	time.Sleep(slowness)
	return transaction.Reply{}
}

// What has waited behind others that came with it has waited that long already: a source
// that is slowed is not slowed for the same time again.
func TestMessagesOfAStreamComeWhenTheyHaveTheirTurn(t *testing.T) {
	s, handler := listen(t, nil, []string{"127.0.0.1:0"}), &slow{told: make(chan time.Time, 3)}
	s.Serve(handler, nothing)
	conn := dial(t, "tcp", s.listeners[0].Addr().String())
	const request = "OPTIONS sip:r SIP/2.0\r\nContent-Length: 0\r\n\r\n"
	write(t, conn, request+request+request)
	var times []time.Time
	for range cap(handler.told) {
		times = append(times, <-handler.told)
	}
	for i, before := range slices.All(times[:2]) {
		if waited := times[i+1].Sub(before); waited < slowness {
			t.Errorf("message %d came %v after the one before", i+1, waited)
		}
	}
}
