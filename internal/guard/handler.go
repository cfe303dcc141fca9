package guard

import (
	"time"

	"sipregd/internal/message"
	"sipregd/internal/transaction"
)

// Handler handles messages.
type Handler interface {
	Receive(room, data []byte, flow message.Flow, now time.Time) transaction.Reply
	Refuse(data []byte, flow message.Flow, wrong *message.Error) transaction.Reply
	NotStored(data []byte, flow message.Flow, now time.Time) transaction.Reply
}

// guarded is a Handler that sees messages on streams of those alone who are admitted.
type guarded struct {
	Handler
	guard *Guard
	sleep func(time.Duration)
}

// Before returns a handler that passes on what the guard admits on streams, and drops the
// rest in silence, with the streams that it came on. Whether a datagram is read is to be
// asked by AdmitsDatagram, before it is known whether there is time for it.
func (g *Guard) Before(next Handler) Handler { return guarded{next, g, time.Sleep} }

// Receive handles one message, or drops it.
func (g guarded) Receive(room, data []byte, flow message.Flow, now time.Time) transaction.Reply {
	if flow.Reliable() && !g.guard.AdmitsInTime(flow.Source, flow.Transport, now, g.sleep) {
		return transaction.Reply{Ends: true}
	}
	return g.Handler.Receive(room, data, flow, now)
}

// Refuse answers what came on a stream that can be framed no more, or drops it.
func (g guarded) Refuse(data []byte, flow message.Flow, wrong *message.Error) transaction.Reply {
	if !g.guard.Admits(flow.Source, flow.Transport, g.guard.clock()) {
		return transaction.Reply{}
	}
	return g.Handler.Refuse(data, flow, wrong)
}
