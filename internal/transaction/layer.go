// Package transaction is RFC 3261 §17: the server side (§17.2.2, and §17.2.1 for INVITEs,
// which wait for nothing but the store), and the client side for those that ask phones
// whether they are there, or tell others about them (§17.1.2), without a goroutine or a
// timer for any of them. What can be answered anew with the same outcome, a first
// challenge above all, is answered without state (§8.2.7).
package transaction

import (
	"errors"
	"hash/maphash"
	"net/netip"
	"slices"
	"time"

	"sipregd/internal/message"
)

// Core decides on requests. The message it returns goes out at once; it may have to wait for
// a store before. It keeps
// neither a request nor a text of it: they are good until it returns.
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
	Data []byte         // as a rule in the room that was given for it
	To   netip.AddrPort // over UDP; on a stream the answer goes back on it
	// Rests says that it rests on bindings: it must not go out before they last.
	Rests  bool
	Proved bool // a peer has proved itself, or whoever sent the message need not
	Ends   bool // the stream that the message came on is to be closed
	// Alive is for how long that stream may be silent from now on, as the phone is told
	// by Flow-Timer (RFC 5626 §4.4); 0: for as long as before.
	Alive time.Duration
}

// Layer passes requests to the core and keeps it from seeing one twice. It may
// be used by many goroutines at once.
type Layer struct {
	parser  *message.Parser
	core    Core
	clients []*Clients // of those who ask something
	finals  *Finals    // nil: nothing is sent again by itself
	table   *table
	keys    maphash.Seed // of what transactions are found by
	tags    maphash.Seed

	strangers strangers
	counters  counters
}

// NewLayer returns a layer above core, that keeps transactions in up to so many
// bytes.
func NewLayer(core Core, maxBytes int) *Layer {
	return &Layer{
		parser: message.NewParser(),
		core:   core,
		table:  newTable(maxBytes),
		keys:   maphash.MakeSeed(),
		tags:   maphash.MakeSeed(),

		strangers: strangers{seed: maphash.MakeSeed()},
	}
}

// Answering has clients take in the responses that come, each those to its own requests.
// It is to be called before Receive, and returns the layer.
func (l *Layer) Answering(clients ...*Clients) *Layer {
	l.clients = append(l.clients, clients...)
	return l
}

// Repeating has the final responses to INVITEs sent again until they are acknowledged. It
// is to be called before Receive, and returns the layer.
func (l *Layer) Repeating(finals *Finals) *Layer {
	l.finals = finals
	return l
}

// Receive handles one message and returns what is to be sent for it, appended to
// room.
func (l *Layer) Receive(room, data []byte, flow message.Flow, now time.Time) Reply {
	request, err := l.parser.Parse(data, flow)
	defer l.parser.Release(request)
	if err != nil {
		if err == message.ErrResponse && l.takeAnswer(data, now) {
			return Reply{}
		}
		return l.answerUnread(room, request, err, data, now)
	}
	switch request.Method {
	case "ACK": // never answered (§8.2.7, §17.2.1)
		return l.takeACK(request)
	case "CANCEL":
		return l.answerCancel(room, request, now)
	}
	var space identitySpace
	id := l.identify(&space, request)
	request.AnswerTag = id.tag
	if request.Method != "INVITE" && (flow.Reliable() || len(request.Digests) == 0) {
		// Timer J is 0 over streams; without credentials nothing is changed.
		response := l.core.Answer(request, now)
		return l.reply(room, request, id, response, now).after(request, response.Keep)
	}
	return l.answerOnce(room, request, id, now)
}

// takeAnswer tells whether a response answers a request of ours.
func (l *Layer) takeAnswer(data []byte, now time.Time) bool {
	if len(l.clients) == 0 {
		return false
	}
	answer, ok := message.ParseAnswer(data)
	return ok && slices.ContainsFunc(l.clients, func(c *Clients) bool { return c.take(&answer, now) })
}

// Refuse answers what came on a stream that can be framed no more.
func (l *Layer) Refuse(data []byte, flow message.Flow, wrong *message.Error) Reply {
	request, _ := l.parser.Parse(data, flow)
	defer l.parser.Release(request)
	if request == nil { // no SIP, or a response
		l.counters.ignored.Add(1)
		return Reply{}
	}
	return l.answerMalformed(nil, request, wrong, data, time.Time{})
}

// answerOnce answers a request in a transaction of its own (§17.2.2; §17.2.1 for an
// INVITE, which gets a 100 just where it comes again before its final response: that goes
// out within 200 ms as a rule, but a store may be slow). What is not to be
// kept, as it would be answered the same again, leaves no state (§8.2.7): so a stranger's
// INVITE gets its challenge once, and Timer G makes nobody's address a target.
func (l *Layer) answerOnce(room []byte, request *message.Request, id identity, now time.Time) Reply {
	state, stored := l.table.begin(id, now)
	switch state {
	case completed: // a retransmission gets the same bytes
		l.counters.retransmissions.Add(1)
		return render(room, request, stored, id.tag).after(request, true)
	case trying: // a retransmission before the answer
		l.counters.retransmissions.Add(1)
		return l.answerTrying(room, request, id, now)
	case merged:
		return l.reply(room, request, id, l.core.Merged(request), now)
	}
	response := l.core.Answer(request, now)
	l.table.end(id, response.Own(), response.Keep, now)
	reply := l.reply(room, request, id, response, now).after(request, response.Keep)
	if request.Method == "INVITE" && response.Keep && !request.Flow.Reliable() && l.finals != nil {
		own := reply
		own.Data = reply.Data[len(room):]
		l.finals.begin(id, request.Flow, &own, now)
	}
	return reply
}

// answerTrying answers what comes again before its answer: an INVITE gets 100, which ends
// its retransmissions (§17.2.1), others nothing (§17.2.2).
func (l *Layer) answerTrying(room []byte, request *message.Request, id identity, now time.Time) Reply {
	if request.Method != "INVITE" {
		return Reply{}
	}
	return l.reply(room, request, id, request.Respond(100, "Trying"), now)
}

// NotStored answers a message anew whose answer must not go out, since what it
// had changed was undone. Its retransmissions get the new answer.
func (l *Layer) NotStored(data []byte, flow message.Flow, now time.Time) Reply {
	request, err := l.parser.Parse(data, flow)
	defer l.parser.Release(request)
	if err != nil { // it did parse before
		return Reply{}
	}
	var space identitySpace
	id := l.identify(&space, request)
	response := l.core.NotStored(request)
	response.Keep = true // a digest was right
	if !flow.Reliable() {
		l.table.end(id, response.Own(), response.Keep, now)
	}
	return l.reply(nil, request, id, response, now)
}

// answerCancel answers a CANCEL (§9.2). It comes too late for whatever it
// matches, and has no effect on it.
func (l *Layer) answerCancel(room []byte, request *message.Request, now time.Time) Reply {
	var space identitySpace
	id := l.identifyAs(&space, request, "INVITE")
	matches := l.table.has(id, now)
	if !matches {
		id = l.identifyAs(&space, request, "REGISTER")
		matches = l.table.has(id, now)
	}
	response := request.Respond(481, "Call/Transaction Does Not Exist")
	if matches {
		response = request.Respond(200, "OK")
	}
	return l.reply(room, request, id, response, now) // with the To tag of what it cancels
}

// takeACK takes in that the response to an INVITE has come: one that is no success is
// acknowledged in the transaction of the INVITE (§17.2.3), by a To with our tag, which the
// INVITE had not (§17.1.1.3).
func (l *Layer) takeACK(request *message.Request) Reply {
	if l.finals != nil {
		var space identitySpace
		request.To.Tag = ""
		l.finals.acknowledge(l.identifyAs(&space, request, "INVITE"))
	}
	return l.ignoreACK()
}

// answerUnread answers what is SIP, but not as it should be.
func (l *Layer) answerUnread(room []byte, request *message.Request, err error, data []byte, now time.Time) Reply {
	var wrong *message.Error
	if !errors.As(err, &wrong) { // no SIP, or a response to nothing (§18.1.2)
		l.counters.ignored.Add(1)
		return Reply{}
	}
	return l.answerMalformed(room, request, wrong, data, now)
}

func (l *Layer) answerMalformed(room []byte, request *message.Request, wrong *message.Error, data []byte, now time.Time) Reply {
	if request.Method == "ACK" {
		return l.ignoreACK()
	}
	return l.replyTagged(room, request, l.core.Malformed(request, wrong), maphash.Bytes(l.tags, data), now)
}

func (l *Layer) ignoreACK() Reply {
	l.counters.countAnswer("ACK", noAnswer)
	return Reply{}
}

// reply counts a response, renders and addresses it. Its To tag is computed from the
// request, so that a retransmission gets the same (§8.2.6.2, §8.2.7).
func (l *Layer) reply(room []byte, request *message.Request, id identity, response *message.Response, now time.Time) Reply {
	return l.replyTagged(room, request, response, id.tag, now)
}

func (l *Layer) replyTagged(room []byte, request *message.Request, response *message.Response, tag uint64, now time.Time) Reply {
	if isUnproven(request, response) {
		return l.replyToStranger(room, request, response, tag, now)
	}
	l.counters.countAnswer(request.Method, response.Status)
	reply := render(room, request, response.Own(), tag)
	reply.Alive = response.Alive
	return reply
}

// render renders a response and addresses it. Without a Via that can be read the response goes back to
// the source (§18.2.2).
func render(room []byte, request *message.Request, own []byte, tag uint64) Reply {
	digits := message.TagText(tag)
	r := Reply{Data: message.Render(room, request, own, digits[:]), To: request.Flow.Source}
	if len(request.Vias) > 0 {
		r.To = request.Vias[0].ResponseAddr(request.Flow.Source)
	}
	return r
}

// after says of a reply what follows from its being kept: just a registration rests on
// bindings that are to last.
func (r Reply) after(request *message.Request, kept bool) Reply {
	r.Proved, r.Rests = kept, kept && request.Method == "REGISTER"
	return r
}
