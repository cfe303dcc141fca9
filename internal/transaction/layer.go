// Package transaction is the server side of RFC 3261 §17.2.2 for non-INVITE
// requests, without a goroutine or a timer for any of them. What can be
// answered anew with the same outcome, a first challenge above all, is answered
// without state (§8.2.7).
package transaction

import (
	"errors"
	"fmt"
	"hash/maphash"
	"net/netip"
	"time"

	"sipregd/internal/message"
)

// Core decides on requests. The message it returns goes out at once.
type Core interface {
	Answer(request *message.Request, now time.Time) *message.Response
	Malformed(request *message.Request, err *message.Error) *message.Response
	Merged(request *message.Request) *message.Response
	// NotStored answers a request that was answered before and whose change
	// was then undone.
	NotStored(request *message.Request) *message.Response
}

// Reply is what goes out for a message that came in. Empty data: nothing.
type Reply struct {
	Data []byte
	To   netip.AddrPort // over UDP; on a stream the answer goes back on it
	// Rests says that it rests on bindings: it must not go out before they last.
	Rests bool
}

// Layer passes requests to the core and keeps it from seeing one twice. It may
// be used by many goroutines at once.
type Layer struct {
	parser *message.Parser
	core   Core
	table  *table
	tags   maphash.Seed
}

// NewLayer returns a layer above core.
func NewLayer(core Core) *Layer {
	return &Layer{
		parser: message.NewParser(),
		core:   core,
		table:  newTable(MaxBytes),
		tags:   maphash.MakeSeed(),
	}
}

// Receive handles one message and returns what is to be sent for it.
func (l *Layer) Receive(data []byte, flow message.Flow, now time.Time) Reply {
	request, err := l.parser.Parse(data, flow)
	var wrong *message.Error
	switch {
	case errors.As(err, &wrong):
		return l.answerMalformed(request, wrong, data)
	case err != nil: // no SIP, or a response to nothing (§18.1.2)
		return Reply{}
	case request.Method == "ACK": // never answered (§8.2.7, §17.2.1)
		return Reply{}
	case request.Method == "CANCEL":
		return l.answerCancel(request, now)
	}
	id := identify(request)
	if flow.Reliable() || len(request.Digests) == 0 {
		// Timer J is 0 over streams; without credentials nothing is changed.
		response := l.core.Answer(request, now)
		return l.reply(request, l.render(request, id, response)).resting(response.Keep)
	}
	return l.answerOnce(request, id, now)
}

// Refuse answers what came on a stream that can be framed no more.
func (l *Layer) Refuse(data []byte, flow message.Flow, wrong *message.Error) Reply {
	request, _ := l.parser.Parse(data, flow)
	if request == nil { // no SIP, or a response
		return Reply{}
	}
	return l.answerMalformed(request, wrong, data)
}

// answerOnce answers a request in a transaction of its own (§17.2.2).
func (l *Layer) answerOnce(request *message.Request, id identity, now time.Time) Reply {
	state, stored := l.table.begin(id, now)
	switch state {
	case completed: // a retransmission gets the same bytes
		return l.reply(request, stored).resting(true)
	case trying: // a retransmission before the answer is dropped
		return Reply{}
	case merged:
		return l.reply(request, l.render(request, id, l.core.Merged(request)))
	}
	response := l.core.Answer(request, now)
	data := l.render(request, id, response)
	l.table.end(id, data, response.Keep, now)
	return l.reply(request, data).resting(response.Keep)
}

// NotStored answers a message anew whose answer must not go out, since what it
// had changed was undone. Its retransmissions get the new answer.
func (l *Layer) NotStored(data []byte, flow message.Flow, now time.Time) Reply {
	request, err := l.parser.Parse(data, flow)
	if err != nil { // it did parse before
		return Reply{}
	}
	id := identify(request)
	response := l.render(request, id, l.core.NotStored(request))
	if !flow.Reliable() {
		l.table.end(id, response, true, now)
	}
	return l.reply(request, response)
}

// answerCancel answers a CANCEL (§9.2). It comes too late for whatever it
// matches, and has no effect on it. Only REGISTER has transactions here.
func (l *Layer) answerCancel(request *message.Request, now time.Time) Reply {
	id := identifyAs(request, "REGISTER")
	response := message.NewResponse(481, "Call/Transaction Does Not Exist")
	if l.table.has(id, now) {
		response = message.NewResponse(200, "OK")
	}
	return l.reply(request, l.render(request, id, response)) // with the To tag of what it cancels
}

func (l *Layer) answerMalformed(request *message.Request, wrong *message.Error, data []byte) Reply {
	if request.Method == "ACK" {
		return Reply{}
	}
	tag := l.tag(maphash.Bytes(l.tags, data))
	return l.reply(request, message.Render(request, l.core.Malformed(request, wrong), tag))
}

// render writes a response. Its To tag is computed from the request, so that a
// retransmission gets the same (§8.2.6.2, §8.2.7).
func (l *Layer) render(request *message.Request, id identity, response *message.Response) []byte {
	tag := l.tag(maphash.String(l.tags, id.transaction))
	return message.Render(request, response, tag)
}

// tag has always the same length, so that it tells nothing.
func (l *Layer) tag(hash uint64) string { return fmt.Sprintf("%016x", hash) }

// reply addresses a response (§18.2.2). Without a Via that can be read it goes
// back to the source.
func (l *Layer) reply(request *message.Request, data []byte) Reply {
	if len(request.Vias) == 0 {
		return Reply{Data: data, To: request.Flow.Source}
	}
	return Reply{Data: data, To: request.Vias[0].ResponseAddr(request.Flow.Source)}
}

func (r Reply) resting(rests bool) Reply {
	r.Rests = rests
	return r
}
