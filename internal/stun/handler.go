// Package stun answers the STUN Binding requests that come to a SIP port over UDP: by
// them a phone keeps its way through a NAT open, and learns when that has changed
// (RFC 5626 §8). It needs of STUN (RFC 8489) no more than this one message.
package stun

import (
	"sync/atomic"
	"time"

	"sipregd/internal/message"
	"sipregd/internal/transaction"
	"sipregd/internal/transport"
)

// Keepalives answers Binding requests. It may be used by many goroutines at once.
type Keepalives struct{ answered atomic.Uint64 }

// Answered returns how many requests have been answered, errors among them.
func (k *Keepalives) Answered() uint64 { return k.answered.Load() }

// handler is one that sees no Binding requests.
type handler struct {
	transport.Handler
	keepalives *Keepalives
}

// Before returns a handler that answers Binding requests and passes on the rest, with
// STUN that is not to be answered.
func (k *Keepalives) Before(next transport.Handler) transport.Handler { return handler{next, k} }

// Receive answers a Binding request, or passes the message on.
func (h handler) Receive(room, data []byte, flow message.Flow, now time.Time) transaction.Reply {
	if isBindingRequest(data) && flow.Transport == "UDP" {
		if response := respond(room, data, flow.Source); response != nil {
			h.keepalives.answered.Add(1)
			return transaction.Reply{Data: response, To: flow.Source}
		}
	}
	return h.Handler.Receive(room, data, flow, now)
}
